"""What is remembered of a container: one directory, one file, one lock.

    ROOT/ID/              0711; the mkdir decides who owns the id; flock on it is the container's lock
    ROOT/ID/state.json    0600; written to .state.json, synced, renamed: never seen half
    ROOT/ID/exec.fifo     while init waits for `start`
    ROOT/ID/claim         which process and which cgroup are the container's, once more: claim.py

The file holds the keys other tools read (id, init_process_pid, init_process_start, created, cgroup_paths,
namespace_paths, config.rootfs) and ours below "pyruntime". It is first written with the intent, before anything else
of the container exists, so that `delete --force` can find what a killed `create` left behind.
"""

import fcntl
import posix as os

from pyruntime.errors import Error, StateError, explain_oserror
from pyruntime.report.jsonout import dumps
from pyruntime.state import claim
from pyruntime.state.roots import root_mode
from pyruntime.version import SPEC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1
_FILE = "state.json"
_MEMBERS = {"id": str, "ociVersion": str, "cgroup_paths": dict, "config": dict, "init_process_pid": int}
FIFO = "exec.fifo"
FILES = frozenset((_FILE, "." + _FILE, FIFO, *claim.NAMES, "notify"))  # whatever lies in a directory of ours
_MAX = 64 << 20
_SHOWN = 5  # ids in an error
_EACCES = 13


class Container:
    """One container's directory, open; `data` is its state file's content."""

    def __init__(self, root: str, container_id: str, dir_fd: int, data: "dict[str, Any]") -> None:
        self.root = root
        self.id = container_id
        self.dir_fd = dir_fd
        self.data = data

    @property
    def path(self) -> str:
        """The container's state directory."""
        return f"{self.root}/{self.id}"

    @property
    def own(self) -> "dict[str, Any]":
        """The part of the state that only we read."""
        own: "dict[str, Any]" = self.data["pyruntime"]
        return own

    @property
    def pid(self) -> int:
        """Init's pid as recorded, 0 before there was one; `life.init_pid` says whether it still is init."""
        return int(self.data.get("init_process_pid") or 0)

    @property
    def cgroup(self) -> str:
        """The absolute directory of the container's cgroup, "" without one."""
        return str(self.data.get("cgroup_paths", {}).get("", ""))

    def save(self) -> None:
        """Replace the state file: temporary file, fsync, rename. Raises Error."""
        text = dumps(self.data).encode("utf-8", "surrogateescape")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open("." + _FILE, flags, 0o600, dir_fd=self.dir_fd)
            try:
                _write_all(fd, text)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename("." + _FILE, _FILE, src_dir_fd=self.dir_fd, dst_dir_fd=self.dir_fd)
            if self.pid:
                claim.write(self)
        except OSError as error:
            raise Error(f"cannot save the state in {self.path}: {explain_oserror(error)}") from None

    def lock(self) -> None:
        """Wait for the container's lock; it is held until the directory's descriptor is closed."""
        fcntl.flock(self.dir_fd, fcntl.LOCK_EX)

    def unlock(self) -> None:
        """Let go of the lock and keep the directory open; `gone` tells later whether it still is this container's."""
        fcntl.flock(self.dir_fd, fcntl.LOCK_UN)

    def locked_by_other(self) -> bool:
        """Whether another command holds the lock right now; takes it otherwise."""
        try:
            fcntl.flock(self.dir_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True

    def close(self) -> None:
        """Let go of the directory, and with it of the lock. For who goes on after this container."""
        os.close(self.dir_fd)

    def gone(self) -> bool:
        """Whether the directory was removed since it was opened."""
        return os.fstat(self.dir_fd).st_nlink == 0

    def remove(self) -> None:
        """Remove the directory and what is in it; without error if it is gone already."""
        remove_tree(self.path)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def reserve(root: str, container_id: str) -> Container:
    """Make the container's directory and lock it: the one place where an id is taken. Raises StateError if it is."""
    _make_root(root)
    path = f"{root}/{container_id}"
    try:
        os.mkdir(path, 0o711)
    except FileExistsError:
        raise StateError(_taken(root, container_id)) from None
    except OSError as error:
        raise Error(f"cannot make the state directory: {explain_oserror(error)}{not_ours(error)}") from None
    try:
        dir_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fchmod(dir_fd, 0o711)
        fcntl.flock(dir_fd, fcntl.LOCK_EX)
    except BaseException:  # nobody else would take it back
        os.rmdir(path)
        raise
    return Container(
        root, container_id, dir_fd, {"ociVersion": SPEC, "id": container_id, "pyruntime": {"format": FORMAT}}
    )


def _taken(root: str, container_id: str) -> str:
    """Whose the id is, as far as its state can be read."""
    from pyruntime.state import life

    how = ""
    try:
        other = load(root, container_id)
        status = life.status(other)
        how = f" ({status}{f', pid {other.pid}' if status != 'stopped' and other.pid else ''})"
        other.close()
    except (Error, OSError):  # half made, or gone by now: it was there, and that is the answer
        pass
    given = f"container with given ID already exists: {container_id}{how}"
    return f"{given}; remove it: pyruntime delete -f {container_id}"


def _make_root(root: str) -> None:
    parts = root.strip("/").split("/")
    mode = root_mode(root, os.environ)
    for end in range(1, len(parts) + 1):
        try:
            os.mkdir("/" + "/".join(parts[:end]), mode if end == len(parts) else 0o755)
        except FileExistsError:
            continue
        except OSError as error:
            raise Error(
                f"cannot make the state directory: {explain_oserror(error)}; name another one with --root"
            ) from None


def not_ours(error: OSError) -> str:
    """What to do about a state root that is another user's, "" for other errors."""
    return "; name one of your own with --root, or set XDG_RUNTIME_DIR" if error.errno == _EACCES else ""


def open_directory(root: str, container_id: str) -> int:
    """The container's directory, after checking that it is ours: a real directory of our user. Raises StateError."""
    path = f"{root}/{container_id}"
    try:
        dir_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise StateError(
            f"container does not exist: {container_id} in {root}; another --root or user?{_known(root)}"
        ) from None
    except OSError as error:
        raise StateError(f"cannot open the state directory {explain_oserror(error)}") from None
    if os.fstat(dir_fd).st_uid != os.geteuid():
        os.close(dir_fd)
        raise StateError(f"the state directory {path} belongs to another user; it is left alone")
    return dir_fd


def _known(root: str) -> str:
    """` known: a b`: a few of the ids that are there, "" where there is none."""
    try:
        found = names(root)
    except OSError:
        return ""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f" known: {' '.join(found[:_SHOWN])}{more}" if found else ""


def load(root: str, container_id: str, lock: bool = False) -> Container:
    """Read a container's state, holding its lock if asked. Raises StateError: it does not exist, or its file is
    unreadable or not ours.
    """
    dir_fd = open_directory(root, container_id)
    if lock:
        fcntl.flock(dir_fd, fcntl.LOCK_EX)
    try:
        data = _parse(read_file(dir_fd), f"{root}/{container_id}")
    except (Error, OSError) as error:
        gone = os.fstat(dir_fd).st_nlink == 0
        os.close(dir_fd)
        raise StateError(_why_not(error, root, container_id, gone)) from None
    return Container(root, container_id, dir_fd, data)


def _why_not(error: Exception, root: str, container_id: str, gone: bool) -> str:
    if gone:
        return f"container does not exist: {container_id} in {root}; it was deleted just now"
    if isinstance(error, OSError):
        # Engines take "no such file" for a missing program.
        why = f"it has no {_FILE}" if isinstance(error, FileNotFoundError) else explain_oserror(error)
        hint = f"remove it: pyruntime delete -f {container_id}"
        return f"container {container_id} is half made or half deleted ({why}); {hint}"
    return str(error)


def read_file(dir_fd: int) -> bytes:
    """What the state file holds. Raises OSError; StateError for a file that somebody may have slipped in."""
    fd = os.open(_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=dir_fd)
    try:
        info = os.fstat(fd)
        if info.st_nlink > 1 or info.st_uid != os.geteuid():
            raise StateError(
                f"{_FILE} has {info.st_nlink} links and belongs to uid {info.st_uid}, expected one link and uid "
                f"{os.geteuid()}: it may be another's file, and is not read"
            )
        return os.read(fd, info.st_size + 1) if info.st_size <= _MAX else b""
    finally:
        os.close(fd)


def _parse(text: bytes, path: str) -> "dict[str, Any]":
    from pyruntime.config.jsontext import parse

    hint = f"remove the container: pyruntime delete -f {path.rpartition('/')[2]}"
    try:
        data = parse(text, _FILE)
    except Error as error:
        raise StateError(f"{path}/{_FILE} is unreadable ({error}); {hint}") from None
    own = data.get("pyruntime") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(own, dict):
        raise StateError(f"{path}/{_FILE} was written by another runtime; give that runtime its own --root")
    if own.get("format") != FORMAT:
        raise StateError(f"{path}/{_FILE} has format {own.get('format')}, this version reads {FORMAT}")
    for name, kind in _MEMBERS.items():
        if not isinstance(data.get(name), kind):
            raise StateError(f"{path}/{_FILE} is unreadable ({name}: expected {kind.__name__}); {hint}")
    return data


def names(root: str) -> "list[str]":
    """The ids below a root, sorted; raises OSError when the root can't be listed. A plain file is nobody's id."""
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries if not entry.is_file(follow_symlinks=False))


def remove_tree(path: str) -> None:
    """Remove a directory of ours with plain files and directories in it, following nothing; gone already is fine."""
    try:
        entries = list(os.scandir(path))
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(path)
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove_tree(entry.path)
        else:
            _unlink(entry.path)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
