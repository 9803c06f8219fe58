"""wasi:filesystem for components whose world is ours: the directories opened for the guest, and what is below.

Paths are resolved by the kernel below a descriptor (kernel/paths.py), so no link and no `..` leads out of it; an
absolute link leads to what lies there below the same directory.
"""

import errno
import posix as os

from pyruntime.engine.wasi.host import Call
from pyruntime.engine.wasi.io import InputStream, OutputStream, StreamFaultError
from pyruntime.engine.wasi.values import Err, Ok
from pyruntime.errors import Error, reason
from pyruntime.kernel.paths import open_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyruntime.engine.base import Guest

DESCRIPTOR, ENTRIES = 36, 37
RESOURCES = {"descriptor": DESCRIPTOR, "directory-entry-stream": ENTRIES}
_O_PATH, _O_NOFOLLOW = 0o10000000, os.O_NOFOLLOW
_S_IFMT = 0o170000
_KINDS = {
    0o060000: "block-device", 0o020000: "character-device", 0o040000: "directory", 0o010000: "fifo",
    0o120000: "symbolic-link", 0o100000: "regular-file", 0o140000: "socket",
}  # fmt: skip
_CODES = {
    errno.EACCES: "access", errno.EAGAIN: "would-block", errno.EALREADY: "already", errno.EBADF: "bad-descriptor",
    errno.EBUSY: "busy", errno.EDEADLK: "deadlock", errno.EDQUOT: "quota", errno.EEXIST: "exist",
    errno.EFBIG: "file-too-large", errno.EILSEQ: "illegal-byte-sequence", errno.EINPROGRESS: "in-progress",
    errno.EINTR: "interrupted", errno.EINVAL: "invalid", errno.EIO: "io", errno.EISDIR: "is-directory",
    errno.ELOOP: "loop", errno.EMLINK: "too-many-links", errno.ENAMETOOLONG: "name-too-long",
    errno.ENODEV: "no-device", errno.ENOENT: "no-entry", errno.ENOMEM: "insufficient-memory",
    errno.ENOSPC: "insufficient-space", errno.ENOTDIR: "not-directory", errno.ENOTEMPTY: "not-empty",
    errno.EOPNOTSUPP: "unsupported", errno.ENOTTY: "no-tty", errno.ENXIO: "no-such-device",
    errno.EOVERFLOW: "overflow", errno.EPERM: "not-permitted", errno.EPIPE: "pipe", errno.EROFS: "read-only",
    errno.ESPIPE: "invalid-seek", errno.ETXTBSY: "text-file-busy", errno.EXDEV: "cross-device",
}  # fmt: skip
_LARGEST = 1 << 16  # bytes of one read
_NANO = 1_000_000_000
_NOW, _OMIT = "now", "no-change"
_BEYOND = "an offset that no file has"


class Descriptor:
    """wasi:filesystem/types.descriptor"""

    RESOURCE = DESCRIPTOR

    def __init__(self, fd: int, flags: "set[str]", writable: bool) -> None:
        """`writable`: whether anything may be changed through it, which a directory hands on."""
        self.fd = fd
        self.flags = flags
        self.writable = writable

    def dropped(self) -> None:
        """Close it; streams have descriptors of their own."""
        os.close(self.fd)


class Source:
    """A file from an offset on (see io.py)."""

    _fd = -1

    def __init__(self, fd: int, offset: int) -> None:
        self._fd = os.dup(fd)
        self._offset = offset

    def read(self, count: int, block: bool) -> "bytes | None":
        """See io.py."""
        try:
            found = os.pread(self._fd, count, self._offset)
        except OverflowError:
            raise StreamFaultError(_BEYOND) from None
        except OSError as error:
            raise StreamFaultError(reason(error)) from None
        self._offset += len(found)
        return found or None

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class Sink:
    """A file from an offset on, or its end (see io.py)."""

    _fd = -1

    def __init__(self, fd: int, offset: "int | None") -> None:
        self._fd = os.dup(fd)
        self._offset = offset

    def write(self, content: bytes) -> None:
        """See io.py."""
        view = memoryview(content)
        try:
            while view:
                place = os.fstat(self._fd).st_size if self._offset is None else self._offset
                done = os.pwrite(self._fd, view, place)
                view = view[done:]
                self._offset = self._offset if self._offset is None else self._offset + done
        except OverflowError:
            raise StreamFaultError(_BEYOND) from None
        except OSError as error:
            raise StreamFaultError(reason(error)) from None

    def flush(self) -> None:
        """See io.py: the kernel has it."""

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class Entries:
    """wasi:filesystem/types.directory-entry-stream"""

    RESOURCE = ENTRIES

    def __init__(self, fd: int) -> None:
        self._found = [(entry.name, entry.inode(), _entry_kind(entry)) for entry in _scanned(fd)]

    def next(self) -> Ok:
        """The next directory-entry, None after the last."""
        if not self._found:
            return Ok(None)
        name, _, kind = self._found.pop(0)
        return Ok({"type": kind, "name": name})


def _scanned(fd: int) -> "list[Any]":
    own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        with os.scandir(own) as found:
            return list(found)
    finally:
        os.close(own)


def _entry_kind(entry: "Any") -> str:
    if entry.is_symlink():
        return "symbolic-link"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "regular-file" if entry.is_file(follow_symlinks=False) else "unknown"


def preopened(guest: "Guest") -> "list[tuple[Descriptor, str]]":
    """The guest's directories, opened. Raises Error."""
    found = []
    for place, name, read_only in guest.preopens:
        try:
            fd = os.open(place, _O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Error(f"{place}: cannot be opened for the guest as {name}: {reason(error)}") from None
        flags = {"read"} if read_only else {"read", "mutate-directory"}
        found.append((Descriptor(fd, flags, not read_only), name))
    return found


def _answer(act: "Callable[..., Any]", changes: bool = False) -> "Callable[..., Ok | Err]":
    """`act` as a method that answers with a result; `changes`: refused through what is only to be read."""

    def method(call: Call, self: Descriptor, *arguments: object) -> "Ok | Err":
        if changes and not self.writable:
            return Err("read-only")
        try:
            return Ok(act(self, *arguments))
        except OSError as error:
            return Err(_CODES.get(error.errno or 0, "io"))
        except (ValueError, OverflowError):
            return Err("invalid")

    return method


def _refuse_absolute(path: str) -> None:
    if path.startswith("/"):
        raise OSError(errno.EPERM, "absolute")
    if not path:
        raise OSError(errno.ENOENT, "empty")


def _reach(self: Descriptor, path: str, flags: int) -> int:
    _refuse_absolute(path)
    return open_in_root(self.fd, path, flags)


class _Parent:
    """The directory that a path's last name lies in, while it is open."""

    def __init__(self, base: Descriptor, path: str) -> None:
        _refuse_absolute(path)
        folder, _, self.name = path.rstrip("/").rpartition("/")
        if self.name in ("", ".", ".."):
            raise OSError(errno.EINVAL, "no name")
        self._fd = open_in_root(base.fd, folder or ".", _O_PATH | os.O_DIRECTORY)

    def __enter__(self) -> "tuple[str, int]":
        return self.name, self._fd

    def __exit__(self, *error: object) -> None:
        os.close(self._fd)


def _open_at(self: Descriptor, follow: "set[str]", path: str, how: "set[str]", flags: "set[str]") -> Descriptor:
    changes = bool(how & {"create", "truncate"} or flags & {"write", "mutate-directory"})
    if changes and not self.writable:
        raise OSError(errno.EROFS, "read-only")
    access = os.O_RDWR if {"read", "write"} <= flags else os.O_WRONLY if "write" in flags else os.O_RDONLY
    access |= os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    access |= (os.O_DIRECTORY if "directory" in how else 0) | (os.O_TRUNC if "truncate" in how else 0)
    access |= (os.O_DSYNC if "data-integrity-sync" in flags else 0) | (
        os.O_SYNC if "file-integrity-sync" in flags else 0
    )
    access |= 0 if "symlink-follow" in follow else _O_NOFOLLOW
    return Descriptor(_opened(self, path, access, how), flags or {"read"}, self.writable)


def _opened(self: Descriptor, path: str, access: int, how: "set[str]") -> int:
    if "create" not in how:
        return _reach(self, path, access)
    if "exclusive" not in how:
        try:
            return _reach(self, path, access)
        except FileNotFoundError:
            pass  # to be made
    exclusive = os.O_EXCL if "exclusive" in how else 0
    with _Parent(self, path) as (name, folder):
        return os.open(name, access | os.O_CREAT | exclusive | _O_NOFOLLOW, 0o666, dir_fd=folder)


def _with(self: Descriptor, follow: "set[str]", path: str, act: "Callable[[int], Any]") -> "Any":
    """What `act` makes of a descriptor for a path, which only names it."""
    fd = _reach(self, path, _O_PATH | (0 if "symlink-follow" in follow else _O_NOFOLLOW))
    try:
        return act(fd)
    finally:
        os.close(fd)


def _stat(fd: int) -> "dict[str, Any]":
    found = os.fstat(fd)
    return {
        "type": _kind(fd),
        "link-count": found.st_nlink,
        "size": found.st_size,
        "data-access-timestamp": _datetime(found.st_atime_ns),
        "data-modification-timestamp": _datetime(found.st_mtime_ns),
        "status-change-timestamp": _datetime(found.st_ctime_ns),
    }


def _kind(fd: int) -> str:
    return _KINDS.get(os.fstat(fd).st_mode & _S_IFMT, "unknown")


def _datetime(nanoseconds: int) -> "dict[str, int]":
    nanoseconds = max(nanoseconds, 0)
    return {"seconds": nanoseconds // _NANO, "nanoseconds": nanoseconds % _NANO}


def _hash(fd: int) -> "dict[str, int]":
    """What differs between files and between contents of one: not secret, and the same within one run."""
    found = os.fstat(fd)
    return {
        "lower": hash((found.st_dev, found.st_ino)) & 0xFFFFFFFFFFFFFFFF,
        "upper": hash((found.st_size, found.st_mtime_ns, found.st_ctime_ns)) & 0xFFFFFFFFFFFFFFFF,
    }


def _set_times(fd: "int | str", access: "Any", modified: "Any") -> None:
    import time  # built in

    found, now = os.stat(fd), time.time_ns()
    os.utime(fd, ns=(_time(access, found.st_atime_ns, now), _time(modified, found.st_mtime_ns, now)))


def _time(wanted: "tuple[str, Any]", old: int, now: int) -> int:
    case, value = wanted
    if case == _NOW:
        return now
    return old if case == _OMIT else value["seconds"] * _NANO + value["nanoseconds"]


def _read(self: Descriptor, count: int, offset: int) -> "tuple[bytes, bool]":
    found = os.pread(self.fd, min(count, _LARGEST), offset)
    return found, not found and count > 0


def _link(self: Descriptor, follow: "set[str]", old: str, other: Descriptor, new: str) -> None:
    _demand(other)
    with _Parent(self, old) as (name, folder), _Parent(other, new) as (other_name, other_folder):
        os.link(name, other_name, src_dir_fd=folder, dst_dir_fd=other_folder, follow_symlinks=False)


def _rename(self: Descriptor, old: str, other: Descriptor, new: str) -> None:
    _demand(other)
    with _Parent(self, old) as (name, folder), _Parent(other, new) as (other_name, other_folder):
        os.rename(name, other_name, src_dir_fd=folder, dst_dir_fd=other_folder)


def _demand(other: Descriptor) -> None:
    if not other.writable:
        raise OSError(errno.EROFS, "read-only")


def _symlink(self: Descriptor, target: str, path: str) -> None:
    if target.startswith("/"):
        raise OSError(errno.EPERM, "absolute")
    with _Parent(self, path) as (name, folder):
        os.symlink(target, name, dir_fd=folder)


def _named(act: "Callable[..., Any]") -> "Callable[..., Any]":
    def method(self: Descriptor, path: str) -> "Any":
        with _Parent(self, path) as (name, folder):
            return act(name, dir_fd=folder)

    return method


def _same(call: Call, self: Descriptor, other: Descriptor) -> bool:
    one, two = os.fstat(self.fd), os.fstat(other.fd)
    return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)


def _set_times_at(self: Descriptor, follow: "set[str]", path: str, access: "Any", modified: "Any") -> None:
    _with(self, follow, path, lambda fd: _set_times(f"/proc/self/fd/{fd}", access, modified))


_METHODS: "dict[str, Callable[..., Any]]" = {
    "read-via-stream": _answer(lambda self, offset: InputStream(Source(self.fd, offset))),
    "write-via-stream": _answer(lambda self, offset: OutputStream(Sink(self.fd, offset)), True),
    "append-via-stream": _answer(lambda self: OutputStream(Sink(self.fd, None)), True),
    "advise": _answer(lambda self, offset, length, advice: None),
    "sync-data": _answer(lambda self: os.fdatasync(self.fd)),
    "sync": _answer(lambda self: os.fsync(self.fd)),
    "get-flags": _answer(lambda self: self.flags),
    "get-type": _answer(lambda self: _kind(self.fd)),
    "set-size": _answer(lambda self, size: os.ftruncate(self.fd, size), True),
    "set-times": _answer(lambda self, access, modified: _set_times(self.fd, access, modified), True),
    "read": _answer(_read),
    "write": _answer(lambda self, content, offset: os.pwrite(self.fd, content, offset), True),
    "read-directory": _answer(lambda self: Entries(self.fd)),
    "create-directory-at": _answer(_named(lambda name, dir_fd: os.mkdir(name, 0o777, dir_fd=dir_fd)), True),
    "stat": _answer(lambda self: _stat(self.fd)),
    "stat-at": _answer(lambda self, follow, path: _with(self, follow, path, _stat)),
    "set-times-at": _answer(_set_times_at, True),
    "link-at": _answer(_link, True),
    "open-at": _answer(_open_at),
    "readlink-at": _answer(_named(os.readlink)),
    "remove-directory-at": _answer(_named(os.rmdir), True),
    "rename-at": _answer(_rename, True),
    "symlink-at": _answer(_symlink, True),
    "unlink-file-at": _answer(_named(os.unlink), True),
    "is-same-object": _same,
    "metadata-hash": _answer(lambda self: _hash(self.fd)),
    "metadata-hash-at": _answer(lambda self, follow, path: _with(self, follow, path, _hash)),
}
FUNCTIONS: "dict[str, dict[str, Callable[..., Any]]]" = {
    "wasi:filesystem/preopens": {"get-directories": lambda call: preopened(call.guest)},
    "wasi:filesystem/types": {
        **{f"[method]descriptor.{name}": method for name, method in _METHODS.items()},
        "[method]directory-entry-stream.read-directory-entry": lambda call, self: self.next(),
        "filesystem-error-code": lambda call, error: None,
    },
}
