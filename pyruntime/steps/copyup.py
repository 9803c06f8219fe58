"""Copying the directory that a tmpfs covers (`tmpcopyup`): ownership, modes, times and extended attributes kept."""

import posix as os

from pyruntime.errors import Error
from pyruntime.kernel import mounts
from pyruntime.steps.mounts import MountFilesystem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_S_IFMT, _S_IFDIR, _S_IFLNK, _S_IFREG = 0o170000, 0o040000, 0o120000, 0o100000
_DEPTH = 200
_EPERM, _EOPNOTSUPP = 1, 95


class CopyUp(MountFilesystem):
    """A tmpfs that starts with a copy of the directory it covers (`tmpcopyup`)."""

    def describe(self) -> str:
        return super().describe() + ", with a copy of what it covers"

    def run(self, walker: "Walker") -> None:
        options = self._options(walker.fds["root"])
        target = self._target(walker.fds["root"])
        mount_fd = mounts.new_filesystem(self.fstype, self.source, options, self.attributes.set)
        covered = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=target)
        top = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount_fd)  # fsmount's is an O_PATH one
        copy_tree(covered, top)
        os.close(top)
        os.close(covered)
        self._attach(mount_fd, target)
        self._keep(walker, mount_fd)


def copy_tree(source: int, target: int, depth: int = 0) -> None:
    """Copy everything below one directory descriptor into another, following no link and crossing no mount.

    Raises OSError, and Error for directories nested deeper than 200: each level costs two descriptors.
    """
    if depth > _DEPTH:
        raise Error(f"directories are nested deeper than {_DEPTH}")
    device = os.fstat(source).st_dev
    for name in os.listdir(source):
        _copy(source, target, name, device, depth)
    _attributes(source, target)


def _copy(source: int, target: int, name: str, device: int, depth: int) -> None:
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    kind = found.st_mode & _S_IFMT
    if kind == _S_IFDIR:
        os.mkdir(name, 0o700, dir_fd=target)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        inner, outer = os.open(name, flags, dir_fd=source), os.open(name, flags, dir_fd=target)
        if found.st_dev == device:
            copy_tree(inner, outer, depth + 1)
        os.close(inner)
        os.close(outer)
    elif kind == _S_IFLNK:
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    elif kind == _S_IFREG:
        _copy_file(source, target, name)
    else:
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)


def _copy_file(source: int, target: int, name: str) -> None:
    inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    outer = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
    while os.sendfile(outer, inner, None, 1 << 20):
        continue
    _attributes(inner, outer)
    os.close(inner)
    os.close(outer)


def _attributes(source: int, target: int) -> None:
    found = os.fstat(source)
    os.fchown(target, found.st_uid, found.st_gid)  # first: it takes file capabilities and setuid bits away
    for name in os.listxattr(source):
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in (_EOPNOTSUPP, _EPERM):  # tmpfs has no such kind; it is not ours to give
                raise
    os.fchmod(target, found.st_mode & 0o7777)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
