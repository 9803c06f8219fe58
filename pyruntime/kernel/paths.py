"""Paths inside a container's root: resolved by the kernel below one descriptor, never as joined strings.

openat2(2) with RESOLVE_IN_ROOT (Linux 5.6) follows symlinks as the container would and can't leave the root;
RESOLVE_NO_MAGICLINKS keeps the links in /proc/PID/fd from being doors. Where an outer filter hides the call, a walk
component by component does the same. Every later act uses the descriptor that is returned here.
"""

import _struct
import posix as os

from pyruntime.kernel.mountapi import encode
from pyruntime.kernel.syscall import buffer, syscall
from pyruntime.pathtext import clean, split

O_PATH = 0o10000000
PROC_SUPER_MAGIC = 0x9FA0
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_ENOENT, _EAGAIN, _EEXIST, _ENOTDIR, _ELOOP, _ENOSYS, _EPERM = 2, 11, 17, 20, 40, 38, 1
_ATTEMPTS = 64
_LINKS = 40
_S_IFMT, _S_IFDIR, _S_IFLNK, _S_IFREG = 0o170000, 0o040000, 0o120000, 0o100000


def open_in_root(root_fd: int, path: str, flags: int = O_PATH) -> int:
    """Open an existing `path` as a process whose root is `root_fd` would see it; close-on-exec.

    Raises OSError with `path` as its filename. A rename that races with the look-up (EAGAIN) is tried again, then
    reported.
    """
    flags |= os.O_CLOEXEC
    how = _struct.pack("3Q", flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    for _ in range(_ATTEMPTS):
        try:
            return syscall("openat2", root_fd, encode(path), how, len(how), subject=path)
        except OSError as error:
            if error.errno in (_ENOSYS, _EPERM):
                return _walk(root_fd, path, flags)
            if error.errno != _EAGAIN:
                raise
    raise OSError(_EAGAIN, os.strerror(_EAGAIN), path)


def _walk(root_fd: int, path: str, flags: int) -> int:
    """`open_in_root` without openat2: one component at a time, no link followed but by reading it ourselves.

    ".." goes back to the directory we came through, so no rename can lead above the root.
    """
    flags |= os.O_DIRECTORY if path.endswith("/") else 0
    for _ in range(_ATTEMPTS):
        trail, name = _climb(root_fd, path, bool(flags & os.O_NOFOLLOW))
        try:
            fd = _reopen(trail, name, flags)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        finally:
            for each in trail:
                os.close(each)
        if fd >= 0:
            return fd
    raise OSError(_EAGAIN, os.strerror(_EAGAIN), path)


def _climb(root_fd: int, path: str, unfollowed: bool) -> "tuple[list[int], str]":
    """The directories from the root to what `path` names, that itself last, all O_PATH; and its name in the one before.

    `unfollowed`: a link as the last component is the answer.
    """
    trail, name = [os.dup(root_fd)], "."
    todo, links = split(path), 0
    try:
        while todo:
            name = todo.pop(0)
            if name == "..":
                _back(trail)
                name = "."
                continue
            trail.append(os.open(name, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=trail[-1]))
            if _kind(trail[-1]) == _S_IFLNK and (todo or not unfollowed):
                links += 1
                if links > _LINKS:
                    raise OSError(_ELOOP, os.strerror(_ELOOP))
                todo, name = _follow(trail, todo), "."
    except OSError as error:
        for fd in trail:
            os.close(fd)
        raise OSError(error.errno, error.strerror, path) from None
    return trail, name


def _back(trail: "list[int]") -> None:
    if _kind(trail[-1]) != _S_IFDIR:
        raise OSError(_ENOTDIR, os.strerror(_ENOTDIR))
    if len(trail) > 1:
        os.close(trail.pop())


def _kind(fd: int) -> int:
    return os.fstat(fd).st_mode & _S_IFMT


def _follow(trail: "list[int]", todo: "list[str]") -> "list[str]":
    link = trail.pop()
    try:
        target = os.readlink("", dir_fd=link)
        if _is_magic(link, target):
            raise OSError(_ELOOP, os.strerror(_ELOOP))
    finally:
        os.close(link)
    if target.startswith("/"):
        while len(trail) > 1:
            os.close(trail.pop())
    return split(target) + todo


def _is_magic(link: int, target: str) -> bool:
    """Whether the link is one of /proc/PID that leads to an open file, a root or a namespace whatever its text says.

    procfs gives its ordinary links the length of their text and all permissions, those at /proc/PID neither;
    `self` and `thread-self` are made up when read and hold numbers (fs/proc, Linux 3.10 to 6.18).
    """
    if filesystem_type(link) != PROC_SUPER_MAGIC:
        return False
    found = os.fstat(link)
    if found.st_mode & 0o777 == 0o777 and found.st_size == len(encode(target)):
        return False
    return not target.replace("/task/", "").isdigit()


def _reopen(trail: "list[int]", name: str, flags: int) -> int:
    """The end of a walk, opened with the flags asked for; -1 if another file has come to its name meanwhile.

    Not by /proc/self/fd: after the change of root that is the container's.
    """
    wanted = os.fstat(trail[-1])
    if flags & O_PATH and not (flags & os.O_DIRECTORY and wanted.st_mode & _S_IFMT != _S_IFDIR):
        return os.dup(trail[-1])
    if wanted.st_mode & _S_IFMT == _S_IFDIR:
        return os.open(".", flags, dir_fd=trail[-1])
    fd = os.open(name, flags | os.O_NOFOLLOW, dir_fd=trail[-2])
    found = os.fstat(fd)
    if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
        return fd
    os.close(fd)
    return -1


def filesystem_type(fd: int) -> int:
    """f_type of the filesystem behind a descriptor (fstatfs(2))."""
    buf = buffer(256)
    syscall("fstatfs", fd, buf)
    return int(_struct.unpack("q", bytes(buf)[:8])[0])


def make_directory(root_fd: int, path: str, mode: int = 0o755) -> int:
    """Open the directory `path` in the root (O_PATH), making what is missing one component at a time.

    A dangling symlink on the way is followed inside the root, as mkdir -p in the container would. Raises OSError.
    """
    try:
        return open_in_root(root_fd, path, O_PATH | os.O_DIRECTORY)
    except OSError as error:
        if error.errno != _ENOENT:
            raise
    done: "list[str]" = []
    todo = split(path)
    for _ in range(_LINKS * 8):
        if not todo:
            return open_in_root(root_fd, "/".join(done), O_PATH | os.O_DIRECTORY)
        done, todo = _descend(root_fd, done, todo, mode)
    raise OSError(_ELOOP, os.strerror(_ELOOP), path)


def _descend(root_fd: int, done: "list[str]", todo: "list[str]", mode: int) -> "tuple[list[str], list[str]]":
    """Make sure of the next component of `todo`; returns what is done and what is left, changed by a dangling link."""
    name, rest = todo[0], todo[1:]
    here = "/".join([*done, name])
    try:
        os.close(open_in_root(root_fd, here))
        return [*done, name], rest
    except OSError as error:
        if error.errno != _ENOENT:
            raise
    parent = open_in_root(root_fd, "/".join(done) or ".", O_PATH | os.O_DIRECTORY)
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:
        target = os.readlink(name, dir_fd=parent)
        return ([] if target.startswith("/") else done), split(target) + rest
    finally:
        os.close(parent)
    return [*done, name], rest


def make_file(root_fd: int, path: str, mode: int = 0o644) -> int:
    """Open the file `path` in the root (O_PATH), making an empty one and its directories if missing. Raises OSError.

    A dangling symlink is followed inside the root: many images have one at /etc/resolv.conf.
    """
    path = clean(path)
    for _ in range(_LINKS):
        try:
            return open_in_root(root_fd, path)
        except OSError as error:
            if error.errno != _ENOENT:
                raise
        folder, _, name = path.rpartition("/")
        parent = make_directory(root_fd, folder or ".")
        try:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent))
        except FileExistsError:
            target = os.readlink(name, dir_fd=parent)
            path = target if target.startswith("/") else f"{folder}/{target}"
        finally:
            os.close(parent)
    raise OSError(_ELOOP, os.strerror(_ELOOP), path)


def make_parent(root_fd: int, path: str) -> "tuple[int, str]":
    """The directory that is to hold `path` (O_PATH, made if missing) and the last component."""
    parts = split(clean(path))
    if not parts:
        raise OSError(_EEXIST, os.strerror(_EEXIST), path)
    return make_directory(root_fd, "/".join(parts[:-1]) or "."), parts[-1]


def read_file(root_fd: int, path: str, limit: int) -> "bytes | None":
    """The first `limit` bytes of a regular file in the root; None if it is missing or anything but a regular file.

    Opened without blocking, so that a FIFO put there can't hang us.
    """
    try:
        fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None
    try:
        if os.fstat(fd).st_mode & _S_IFMT != _S_IFREG:
            return None
        return os.read(fd, limit)
    finally:
        os.close(fd)
