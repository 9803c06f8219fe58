"""Who is in a cgroup, and removing it.

A container that owns its cgroup may nest others as deep as it likes, deeper than a path name can be long: everything
below is reached through one descriptor that climbs down and up. A cgroup that is gone has nobody in it.
"""

import posix as os
from time import monotonic, sleep

from pyruntime.cgroup.files import EBUSY, EOPNOTSUPP, GONE, CgroupError, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ENOTEMPTY = 39


def processes(directory: str, recursive: bool = True) -> "list[int]":
    """The ids of the processes in the cgroup, and below it if `recursive`; of those our pid namespace can see.

    Raises CgroupError.
    """
    try:
        found = _members(directory, "")
        for parent, name in below(directory) if recursive else ():
            found.extend(_members(parent, name + "/"))
    except OSError as error:
        raise CgroupError.of(f"cannot read the processes of the cgroup {directory}", error) from None
    return found


def _members(directory: "str | int", name: str) -> "list[int]":
    """0 stands for a process outside of our pid namespace, and would mean ourselves to kill(2): left out."""
    try:
        return [int(pid) for pid in read(directory, name + "cgroup.procs").split() if pid != "0"]
    except OSError as error:
        if error.errno in GONE:
            return []
        if error.errno == EOPNOTSUPP:
            return _owners(read(directory, name + "cgroup.threads").split())
        raise


def _owners(threads: "list[str]") -> "list[int]":
    """The processes of threads: a threaded cgroup lists nothing else."""
    found: dict[int, None] = {}
    for thread in threads:
        try:
            status = read(f"/proc/{thread}", "status")
        except OSError:
            continue
        found[int(status.partition("\nTgid:")[2].split(None, 1)[0])] = None
    return list(found)


def below(directory: str) -> "Iterator[tuple[int, str]]":
    """Every cgroup below, children before parents, as (descriptor of the parent's directory, name).

    The descriptor serves until the next one is asked for. Raises OSError, but not for what is gone.
    """
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno in GONE:
            return
        raise
    left = [_children(fd)]
    try:
        while True:
            if left[-1]:
                inner = _open(fd, left[-1][-1])
                if inner < 0:
                    left[-1].pop()
                    continue
                os.close(fd)
                fd = inner
                left.append(_children(fd))
                continue
            left.pop()
            if not left:
                return
            outer = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = outer
            yield fd, left[-1].pop()
    finally:
        os.close(fd)


def _open(fd: int, name: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
    except OSError as error:
        if error.errno in GONE:
            return -1
        raise


def _children(fd: int) -> "list[str]":
    try:
        with os.scandir(fd) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def remove(directory: str, seconds: float = 10.0) -> None:
    """Remove the cgroup, children first, never a parent.

    A dying process keeps it busy for a moment: tried again with growing pauses, then CgroupError after `seconds`.
    """
    deadline, pause = monotonic() + seconds, 0.001
    try:
        while not _removed(directory):
            if monotonic() > deadline:
                raise CgroupError(_still_there(directory), EBUSY)
            sleep(pause)
            pause = min(pause * 2, 0.1)
    except OSError as error:
        raise CgroupError.of(f"cannot remove the cgroup {directory}", error) from None


def _removed(directory: str) -> bool:
    if _rmdir(directory):
        return True
    for parent, name in below(directory):
        _rmdir(name, parent)
    return _rmdir(directory)


def _rmdir(name: str, parent: "int | None" = None) -> bool:
    """False if something is still in it."""
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno in (EBUSY, _ENOTEMPTY):
            return False
        if error.errno not in GONE:
            raise
    return True


def _still_there(directory: str) -> str:
    busy = os.strerror(EBUSY).lower()
    pids = " ".join(map(str, processes(directory))) or "none that this pid namespace shows"
    return f"cannot remove the cgroup {directory}: {busy}: processes still in it: {pids}"
