"""Bind sources that init can't open by itself: out of its user namespace's reach, or to be id-mapped by the host."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import mounts, paths
from pyruntime.steps.base import HOST, Step
from pyruntime.steps.mounts import copied, open_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_ROOT = "sources"
_ENOENT, _ENOTDIR, _ELOOP = 2, 20, 40
_S_IFMT, _S_IFLNK = 0o170000, 0o120000


class Source:
    """One bind source to find: where it was asked for, its path, the slot for it, and how it is looked up."""

    def __init__(self, because: str, path: str, slot: str, place: str = "", link: bool = False) -> None:
        """`place`: where in the container's root it lies, if so. `link`: a symlink itself is wanted."""
        self.because = because
        self.path = path
        self.slot = slot
        self.place = place
        self.link = link

    def find(self, root: int) -> int:
        """It, opened below the root of a mount namespace. Raises Error that names it."""
        try:
            return self._find(root)
        except OSError as error:
            where = " (on the host)" if error.errno in (_ENOENT, _ENOTDIR) else ""
            raise Error(f"{self.because}.source {self.path}: {reason(error)}{where}") from None

    def _find(self, root: int) -> int:
        if not self.place:
            return self._look_up(root, self.path)
        rootfs = paths.open_in_root(root, self.path.removesuffix(self.place) or "/", paths.O_PATH | os.O_DIRECTORY)
        try:
            return self._look_up(rootfs, self.place)
        finally:
            os.close(rootfs)

    def _look_up(self, root: int, path: str) -> int:
        if self.link:
            fd = paths.open_in_root(root, path, paths.O_PATH | os.O_NOFOLLOW)
            if os.fstat(fd).st_mode & _S_IFMT == _S_IFLNK:
                return fd
            os.close(fd)
        try:
            return paths.open_in_root(root, path, paths.O_PATH | os.O_DIRECTORY)  # so asked, an automount is made
        except NotADirectoryError:
            return paths.open_in_root(root, path)
        except OSError as error:
            if error.errno != _ELOOP or self.place:
                raise
        # A link of /proc/PID leads past every root: what it shows of namespaces (ns/net) can be bound from anywhere.
        return os.open(path, paths.O_PATH | os.O_CLOEXEC)


class OfferRoot(Step):
    """Give the host's side the root of init's mount namespace."""

    def describe(self) -> str:
        return "open / of the new mount namespace, for the host to find mount sources in"

    def run(self, walker: "Walker") -> None:
        walker.fds[_ROOT] = os.open("/", paths.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        walker.hand(_ROOT)


class FindSources(Step):
    """Find bind sources with the host's rights, among the mounts that init's user namespace was given.

    In a mount namespace that another user namespace owns the kernel locks what the host has taken from a mount: flags,
    and what the mounts below cover. A copy of the host's own mount would have none of that.
    """

    lane = HOST

    def __init__(self, because: str, sources: "list[Source]") -> None:
        super().__init__(because)
        self.sources = sources

    def describe(self) -> str:
        return f"find with the host's rights {' '.join(each.path for each in self.sources)}"

    def run(self, walker: "Walker") -> None:
        try:
            for each in self.sources:
                walker.fds[each.slot] = each.find(walker.fds[_ROOT])
                walker.hand(each.slot)
        finally:
            walker.close_fd(_ROOT)


class CopySource(Step):
    """Copy the mount of a bind source that the host has found, for the host to map its ids."""

    def __init__(self, because: str, source: str, recursive: bool, slot: str, kind: str) -> None:
        """`kind`: the propagation that every mount of init gets."""
        super().__init__(because)
        self.source = source
        self.recursive = recursive
        self.slot = slot
        self.kind = kind

    def describe(self) -> str:
        return f"copy the mount of {self.source}"

    def run(self, walker: "Walker") -> None:
        fd = walker.fds[self.slot]
        try:
            tree = walker.fds[self.slot] = copied(self.because, self.source, self.recursive, fd)
        finally:
            os.close(fd)
        _propagate(tree, self.kind)
        walker.give(self.slot)


def _propagate(tree: int, kind: str) -> None:
    """What init mounts below a copy is never seen on the host; for the rest it is as init's other mounts."""
    for each in dict.fromkeys(("slave", kind)):
        mounts.set_attributes(tree, 0, propagation=mounts.PROPAGATION[each], recursive=True)


class OpenSource(Step):
    """Open a bind source that an earlier mount of this container has made, for the host to map its ids."""

    def __init__(self, because: str, source: str, recursive: bool, slot: str, place: str) -> None:
        super().__init__(because)
        self.source = source
        self.recursive = recursive
        self.slot = slot
        self.place = place

    def describe(self) -> str:
        return f"open the mount source {self.source}, which is {self.place} in the container"

    def run(self, walker: "Walker") -> None:
        root = walker.fds["root"]
        walker.fds[self.slot] = open_source(self.because, self.source, self.recursive, root, self.place)
        walker.give(self.slot)


class PrepareMount(Step):
    """Open a bind source on the host, for its ids to be mapped before there is an init: in no user namespace."""

    lane = HOST

    def __init__(self, because: str, source: str, recursive: bool, slot: str, kind: str, place: str = "") -> None:
        """`kind`: the propagation that every mount of init gets. `place`: where in the container's root it lies."""
        super().__init__(because)
        self.source = source
        self.recursive = recursive
        self.slot = slot
        self.kind = kind
        self.place = place

    def describe(self) -> str:
        return f"open the mount source {self.source} on the host"

    def run(self, walker: "Walker") -> None:
        tree = walker.fds[self.slot] = self._open()
        _propagate(tree, self.kind)

    def _open(self) -> int:
        if not self.place:
            return open_source(self.because, self.source, self.recursive)
        rootfs = self.source.removesuffix(self.place)
        root = os.open(rootfs, paths.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return open_source(self.because, self.source, self.recursive, root, self.place)
        finally:
            os.close(root)
