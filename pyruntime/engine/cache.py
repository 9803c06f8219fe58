"""Compiled modules that are kept for the next start.

An artefact is machine code that a container's process will run, so the directory belongs to the runtime's user alone
and is never shown to a container. Only the host's side writes. Beside each artefact lies a note: which program and
engine it is of, the digest of its content, and what stat(2) said of the file when that digest was made. As long as
stat says the same nobody has written to it, and it is mapped without being read; else the digest decides.

    KEY          the artefact, mode 0600
    KEY.note     lines `name value`; its modification time is when the artefact was last used
    .KEY.PID     one that is being written, by whoever holds the lock on the directory (flock(2))
"""

import _blake2
import fcntl
import posix as os
import time

from pyruntime.engine.find import untrusted
from pyruntime.errors import Error, explain_oserror, one_line
from pyruntime.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.engine.base import Engine, Limits

SYSTEM = "/var/cache/pyruntime/wasm"
BOUND = 1 << 30  # bytes of all artefacts together
_CHUNK = 1 << 20
_DIGEST = 32  # bytes
_RECENT = 60  # seconds within which a use is not noted again
_NOTE = ".note"
_S_IFMT, _S_IFREG = 0o170000, 0o100000


def place(in_user_namespace: bool = False) -> str:
    """The directory for this user: SYSTEM for the host's root, else below $XDG_CACHE_HOME or ~/.cache; "" for none."""
    if os.geteuid() == 0 and not in_user_namespace:
        return SYSTEM
    home = os.environ.get(b"XDG_CACHE_HOME", b"")
    if not home.startswith(b"/"):  # the base directory specification wants others ignored
        home = os.environ.get(b"HOME", b"") + b"/.cache"
    found = home.decode("utf-8", "surrogateescape")
    return f"{found}/pyruntime/wasm" if found.startswith("/") and found != "/.cache" else ""


def digest(content: bytes) -> str:
    """What a program is known by; blake2b is built into every CPython, and three times as fast as its sha256."""
    return str(_blake2.blake2b(content, digest_size=_DIGEST).hexdigest())


def key_of(digest: str, engine: "Engine", limits: "Limits") -> str:
    """The name of a program's artefact, by the program's digest; "" for an engine that makes none.

    Raises Error when the engine is not there.
    """
    settings = engine.cache_key(limits)
    if not settings:
        return ""
    text = f"{VERSION}\0{engine.name}\0{settings}\0{digest}".encode("utf-8", "surrogateescape")
    return str(_blake2.blake2b(text, digest_size=_DIGEST).hexdigest())


class Entry:
    """One artefact: its key, bytes, time of last use in seconds since 1970, and what its note says."""

    __slots__ = ("key", "note", "size", "used")

    def __init__(self, key: str, size: int, used: float, note: "dict[str, str]") -> None:
        self.key = key
        self.size = size
        self.used = used
        self.note = note


class Cache:
    """A directory of artefacts."""

    def __init__(self, directory: str, bound: int = BOUND) -> None:
        """Open the directory, made where it is missing. Raises Error when it cannot be had or others could write."""
        self.directory = directory
        self.bound = bound
        self.lost = ""  # why the last artefact was not kept
        try:
            self._fd = _own_directory(directory)
        except OSError as error:
            raise Error(f"cache of Wasm modules: {explain_oserror(error)}") from None

    def close(self) -> None:
        """Close the directory."""
        os.close(self._fd)

    def find(self, key: str) -> "int | None":
        """A descriptor of the artefact, read-only, or None. What was tampered with is removed."""
        fd = self._open(key)
        if fd is None:
            return None
        note = self._note(key)
        if note.get("stat") == _identity(fd):
            self._touch(key)
            return fd
        if note.get("digest") == digest_of(fd):
            self._write_note(key, {**note, "stat": _identity(fd)})
            return fd
        os.close(fd)
        self.remove(key)
        return None

    def put(self, key: str, source: int, about: "dict[str, str]") -> "int | None":
        """Keep a copy of the artefact in `source`; a descriptor of the copy, or None where it could not be kept.

        `about` is for people: program, engine. Least recently used artefacts make room. `lost` says why not.
        """
        size = os.fstat(source).st_size
        if size > self.bound // 2:
            self.lost = f"its {size} bytes are more than half of {self.bound}, the most that is kept"
            return None
        if not self._lock():
            self.lost = "others write to it"
            return None
        try:
            self.prune(self.bound - size)
            return self._store(key, source, about)
        except OSError as error:  # a full disk costs the next start some time, and this one nothing
            self.lost = explain_oserror(error)
            self._discard(_temporary(key))
            return None
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def entries(self) -> "list[Entry]":
        """What is kept, most recently used first; nothing that `find` would refuse by its owner, mode or type."""
        found = []
        for name in os.listdir(self._fd):
            fd = self._open(name) if _is_key(name) else None
            if fd is not None:
                found.append(Entry(name, os.fstat(fd).st_size, self._used(name), self._note(name)))
                os.close(fd)
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def prune(self, bound: int) -> "list[Entry]":
        """Remove the least recently used until no more than `bound` bytes are kept, and what writers left behind."""
        gone, total = [], 0
        for entry in self.entries():
            total += entry.size
            if total > bound:
                self.remove(entry.key)
                gone.append(entry)
        for name in os.listdir(self._fd):
            if name.startswith(".") or (name.endswith(_NOTE) and self._is_alone(name)):
                self._discard(name)
        return gone

    def remove(self, key: str) -> None:
        """Remove an artefact and its note."""
        self._discard(key)
        self._discard(key + _NOTE)

    def lock(self) -> None:
        """Wait until nobody else writes. For `prune`, which would take away what others are writing."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def _lock(self) -> bool:
        """Whether we may write now: a start waits for nobody longer than a tenth of a second."""
        for _ in range(10):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(0.01)
            else:
                return True
        return False

    def _store(self, key: str, source: int, about: "dict[str, str]") -> "int | None":
        name = _temporary(key)
        self._discard(name)
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=self._fd)
        try:
            _copy(source, fd)
            os.fdatasync(fd)
            digest = digest_of(fd)
        finally:
            os.close(fd)
        os.rename(name, key, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        kept = self._open(key)
        if kept is not None:
            self._write_note(key, {**about, "digest": digest, "stat": _identity(kept)})
        return kept

    def _open(self, name: str) -> "int | None":
        """A regular file of ours that has one name and that nobody else may touch, or None."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError:
            return None
        found = os.fstat(fd)
        own = found.st_uid == os.geteuid() and found.st_mode & 0o077 == 0
        if own and found.st_mode & _S_IFMT == _S_IFREG and found.st_nlink == 1:
            return fd
        os.close(fd)
        return None

    def _note(self, key: str) -> "dict[str, str]":
        fd = self._open(key + _NOTE)
        if fd is None:
            return {}
        text = os.read(fd, 1 << 16).decode("utf-8", "replace")
        os.close(fd)
        return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)

    def _write_note(self, key: str, note: "dict[str, str]") -> None:
        """A note that cannot be written costs a compilation later."""
        name = f".{key}{_NOTE}.{os.getpid()}"
        text = "".join(f"{field} {one_line(value)}\n" for field, value in note.items())
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
            os.write(fd, text.encode("utf-8", "backslashreplace"))
            os.close(fd)
            os.rename(name, key + _NOTE, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except OSError:
            self._discard(name)

    def _touch(self, key: str) -> None:
        if time.time() - self._used(key) > _RECENT:
            try:
                os.utime(key + _NOTE, dir_fd=self._fd, follow_symlinks=False)
            except OSError:
                return  # a read-only file system: the order of removal suffers

    def _used(self, key: str) -> float:
        try:
            return os.stat(key + _NOTE, dir_fd=self._fd, follow_symlinks=False).st_mtime
        except OSError:
            return 0.0

    def _is_alone(self, note: str) -> bool:
        try:
            os.stat(note.removesuffix(_NOTE), dir_fd=self._fd, follow_symlinks=False)
        except OSError:
            return True
        return False

    def _discard(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._fd)
        except OSError:
            return


def _own_directory(directory: str) -> int:
    """A descriptor of the directory, made with mode 0700 if missing. Raises OSError, and Error for foreign ones."""
    parent = directory.rpartition("/")[0]
    _make(parent)
    refused = untrusted(parent)
    if refused:
        raise Error(f"cache of Wasm modules: {directory}: {refused}")
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(fd)
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        os.close(fd)
        mode = f"{found.st_mode & 0o7777:04o}"
        raise Error(
            f"cache of Wasm modules: {directory} belongs to uid {found.st_uid} and has mode {mode}, "
            f"expected uid {os.geteuid()} and 0700; remove it"
        )
    return fd


def _make(directory: str) -> None:
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make(directory.rpartition("/")[0])
        os.mkdir(directory, 0o755)


def _is_key(name: str) -> bool:
    return len(name) == 64 and not name.strip("0123456789abcdef")


def _temporary(key: str) -> str:
    return f".{key}.{os.getpid()}"


def _identity(fd: int) -> str:
    """What changes with every write to the file, and with being copied or moved in."""
    found = os.fstat(fd)
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def digest_of(fd: int) -> str:
    """`digest` of what a descriptor holds. Raises OSError."""
    state, offset = _blake2.blake2b(digest_size=_DIGEST), 0
    while part := os.pread(fd, _CHUNK, offset):
        state.update(part)
        offset += len(part)
    return str(state.hexdigest())


def _copy(source: int, target: int) -> None:
    size, offset = os.fstat(source).st_size, 0
    while offset < size:
        offset += os.sendfile(target, source, offset, size - offset)
