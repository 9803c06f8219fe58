"""Bind mounts of a source that may be a symlink, of which the container is to have a copy (`copy-symlink`)."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import paths
from pyruntime.steps.mounts import BindMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_EINVAL = 22
_S_IFMT, _S_IFLNK = 0o170000, 0o120000


def _target(because: str, source: str, root: int = -1, place: str = "") -> str:
    """Where the source leads, "" if it is no symlink. Raises Error that names it.

    One that lies in the container's root is `place` there: folders of the rootfs that are links lead nowhere else then.
    """
    try:
        return _inside(root, place) if place else os.readlink(source)
    except OSError as error:
        if error.errno == _EINVAL:
            return ""
        raise Error(f"{because}.source {source}: {reason(error)}") from None


def _inside(root: int, place: str) -> str:
    fd = paths.open_in_root(root, place, paths.O_PATH | os.O_NOFOLLOW)
    try:
        return os.readlink("", dir_fd=fd) if os.fstat(fd).st_mode & _S_IFMT == _S_IFLNK else ""
    finally:
        os.close(fd)


class CopyLink(BindMount):
    """The same symlink in the container, or a bind mount of what is none."""

    def describe(self) -> str:
        return super().describe() + "; if that is a symlink, make one with the same text"

    def run(self, walker: "Walker") -> None:
        root = walker.fds["root"]
        target = self._text(walker) if self.slot else _target(self.because, self.source, root, self.place)
        if not target:
            super().run(walker)
            return
        parent, name = paths.make_parent(root, self.destination)
        try:
            os.symlink(target, name, dir_fd=parent)
        except FileExistsError:
            self._check(parent, name, target)
        finally:
            os.close(parent)

    def _text(self, walker: "Walker") -> str:
        """Of the link that the host has found, "" if it has found another file."""
        fd = walker.fds[self.slot]
        if os.fstat(fd).st_mode & _S_IFMT != _S_IFLNK:
            return ""
        try:
            return os.readlink("", dir_fd=fd)
        finally:
            walker.close_fd(self.slot)

    def _check(self, parent: int, name: str, target: str) -> None:
        try:
            found = os.readlink(name, dir_fd=parent)
        except OSError:
            found = ""
        if found != target:
            what = f"leads to {found}" if found else "is no symlink"
            raise Error(
                f"{self.because}: {self.destination} in the rootfs {what}, expected the symlink to {target} that "
                f"{self.source} is; remove it from the rootfs, or copy-symlink from the options"
            )
