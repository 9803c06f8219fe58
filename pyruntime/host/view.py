"""A container's files as it will see them, before its mounts are made: its rootfs, and what will be mounted over it."""

import posix as os

from pyruntime.kernel.paths import O_PATH, open_in_root
from pyruntime.pathtext import clean, split

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_ENOENT, _EACCES, _ENOTDIR, _ELOOP = 2, 13, 20, 40
_LINKS = 40  # as many as the kernel follows, path_resolution(7)
_S_IFMT, _S_IFREG, _S_IFLNK = 0o170000, 0o100000, 0o120000


class View:
    """Opens paths of a container; `mounts` are (destination, source) in the order in which they are made.

    A source is an absolute path of the host, "" for what is no bind mount: nothing is to be found there yet.
    """

    def __init__(self, root_fd: int, mounts: "list[tuple[str, str]]") -> None:
        self._root = root_fd
        self._mounts = [(clean(destination), source) for destination, source in mounts]

    def open(self, path: str) -> int:
        """Open a regular file of the container for reading. Raises OSError: EACCES, as execve(2), for all else.

        Symlinks are the kernel's to follow; only where that finds nothing are they followed here, as they may lead
        from the rootfs to a mount.
        """
        fd = self._named(path)
        try:
            # To open a device is an act of its driver: a watchdog is armed by it, and no cgroup keeps us from it here.
            if os.fstat(fd).st_mode & _S_IFMT != _S_IFREG:
                raise OSError(_EACCES, os.strerror(_EACCES), path)
            return os.open(f"/proc/self/fd/{fd}", _READ | os.O_CLOEXEC)
        finally:
            os.close(fd)

    def _named(self, path: str) -> int:
        try:
            return self._open(clean(path), O_PATH)
        except OSError as error:
            if error.errno not in (_ENOENT, _ENOTDIR) or not self._mounts:
                raise
        return self._open(self._resolved(path), O_PATH)

    def _open(self, path: str, flags: int) -> int:
        """A path without links between mounts; what is mounted last covers what was there before."""
        for destination, source in reversed(self._mounts):
            if path == destination or path.startswith(destination.rstrip("/") + "/"):
                return _below(source, path[len(destination) :], flags, path)
        return open_in_root(self._root, path, flags)

    def _resolved(self, path: str) -> str:
        done: "list[str]" = []
        todo, links = split(path), 0
        while todo:
            part = todo.pop(0)
            if part == "..":
                del done[-1:]
                continue
            target = self._link("/" + "/".join([*done, part]))
            if not target:
                done.append(part)
                continue
            links += 1
            if links > _LINKS:
                raise OSError(_ELOOP, os.strerror(_ELOOP), path)
            todo = split(target) + todo
            done = [] if target.startswith("/") else done
        return "/" + "/".join(done)

    def _link(self, path: str) -> str:
        """Where a symlink leads, "" for anything else. Raises OSError."""
        fd = self._open(path, O_PATH | os.O_NOFOLLOW)
        try:
            is_link = os.fstat(fd).st_mode & _S_IFMT == _S_IFLNK
            return os.readlink("", dir_fd=fd) if is_link else ""
        finally:
            os.close(fd)


def _below(source: str, rest: str, flags: int, path: str) -> int:
    if not source:
        raise OSError(_ENOENT, os.strerror(_ENOENT), path)
    if not rest.strip("/"):
        return os.open(source, (flags & ~os.O_NOFOLLOW) | os.O_CLOEXEC)
    top = os.open(source, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_in_root(top, rest, flags)
    finally:
        os.close(top)
