"""`delete --force` of a container whose state file is missing, cut off or otherwise unreadable.

What is left of it is found by what the kernel can prove: the claim beside the state file, and who holds the start
barrier open. A path read out of the damaged file proves nothing: such a cgroup is removed if it is empty, and nobody
in it is touched.
"""

import _signal
import posix as os
import select

from pyruntime.cgroup import kill, members
from pyruntime.cgroup.files import EBUSY, CgroupError
from pyruntime.cli.context import complain
from pyruntime.config.jsontext import parse
from pyruntime.errors import ConfigError, Error, StateError, one_line
from pyruntime.kernel.pidfd import pidfd_open
from pyruntime.state import claim, life, processes, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 10_000  # milliseconds for a killed process to vanish
_GRACE = 2.0  # seconds for an init without its creator to notice and end
_BEGINNING = b'{"ociVersion":'
_CGROUP = b'"cgroup_paths":{"":'


def clear(root: str, container_id: str, error: StateError) -> int:
    """Kill and remove what is there, of this container only; returns the exit status.

    Raises StateError, and leaves all as it is, for a directory of another user or another runtime; Error if a process
    does not die or a cgroup stays in use.
    """
    try:
        dir_fd = store.open_directory(root, container_id)
    except StateError as found:
        if "does not exist" in found.text:
            return 0
        raise
    container = store.Container(root, container_id, dir_fd, {"id": container_id, "pyruntime": {}})
    container.lock()
    try:
        if not container.gone():
            _refuse_foreign(container, error)
            destroy(container)
            container.remove()
    finally:
        container.close()
    return 0


def _content(dir_fd: int) -> "bytes | None":
    """The damaged file as far as it can be read, None if it is not there."""
    try:
        return store.read_file(dir_fd)
    except FileNotFoundError:
        return None
    except (OSError, StateError):
        return b""


def _refuse_foreign(container: store.Container, error: StateError) -> None:
    text = _content(container.dir_fd)
    if text is None:
        strange = sorted(set(os.listdir(container.dir_fd)) - store.FILES)
        if strange:
            raise StateError(
                f"{container.path} has no state.json, but {one_line(', '.join(strange[:5]))}, which is not ours: "
                "it is left alone; give the runtime that made it its own --root"
            )
    elif text.lstrip()[:1] == b"{" and not (text.startswith(_BEGINNING) or _BEGINNING.startswith(text)):
        raise StateError(
            f"{container.path}/state.json was written by another runtime: it is left alone; "
            "give that runtime its own --root"
        )
    elif _is_whole(text) and b'"pyruntime":' not in text:
        raise error


def _is_whole(text: bytes) -> bool:
    try:
        parse(text, "state.json")
    except ConfigError:
        return False
    return True


def destroy(container: store.Container) -> None:
    """Kill and remove the processes and the cgroup of a container whose state file is no proof of what is its own:
    damaged, or written before init was in the cgroup. Raises Error.
    """
    cgroup = claim.read(container.dir_fd)[1]
    pidfds = list(_killed(container.dir_fd))
    if cgroup:
        kill.kill(cgroup)
    for pidfd in pidfds:
        _wait_gone(container.id, pidfd)
    if cgroup:
        members.remove(cgroup)
    else:
        _remove_unproven(container)


def _remove_unproven(container: store.Container) -> None:
    """What init of a killed `create` was to live in; it may have been another container's before, and still be."""
    cgroup = _noted_cgroup(_content(container.dir_fd) or b"")
    try:
        if cgroup:
            members.remove(cgroup, _GRACE)
    except CgroupError as error:
        if error.errno != EBUSY:
            raise
        complain(f"{error.text}; they are not known to be of container {container.id}: left as it is")


def _killed(dir_fd: int) -> "Iterator[int]":
    """Pidfds of what was this container's init, or is on its way to become it, each sent SIGKILL."""
    for pid in _ours(dir_fd):
        try:
            pidfd = pidfd_open(pid)
        except ProcessLookupError:
            continue
        if pid in _ours(dir_fd):  # still: its number was not reused before the descriptor was ours
            life.signal(pidfd, _signal.SIGKILL)
            yield pidfd


def _ours(dir_fd: int) -> "list[int]":
    init, _ = claim.read(dir_fd)
    try:
        waiting = processes.holders(os.stat(store.FIFO, dir_fd=dir_fd, follow_symlinks=False))
    except FileNotFoundError:
        waiting = []
    return [init, *waiting] if init else waiting


def _wait_gone(container_id: str, pidfd: int) -> None:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    if not poller.poll(_PATIENCE):
        seconds = _PATIENCE // 1000
        raise Error(f"container still running: a process of {container_id} did not die of SIGKILL in {seconds} s")
    os.close(pidfd)


def _noted_cgroup(text: bytes) -> str:
    """The path in a cut file, if it got that far and a cgroup is there."""
    rest = text.partition(_CGROUP)[2]
    quoted = rest[: rest.find(b"}")] if b"}" in rest else b""
    try:
        path = parse(quoted, "cgroup_paths")
    except ConfigError:
        return ""
    return path if isinstance(path, str) and os.access(f"{path}/cgroup.procs", os.F_OK) else ""
