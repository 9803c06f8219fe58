"""Steps that hide parts of the tree, or make them read-only."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import mounts, paths
from pyruntime.steps.base import Step
from pyruntime.steps.mounts import is_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.walk.walker import Walker

_S_IFMT, _S_IFCHR = 0o170000, 0o020000
_ENOENT, _ENOTDIR = 2, 20


class RemountReadonly(Step):
    """Make mounts read-only that had to be written while the container was set up."""

    def __init__(self, because: str, destination: str, slot: str = "") -> None:
        """`slot`: of the mount, where it was made by us; its path may lead to another one by now."""
        super().__init__(because)
        self.destination = destination
        self.slot = slot

    def describe(self) -> str:
        return f"make {self.destination} read-only"

    def run(self, walker: "Walker") -> None:
        fd = walker.fds.pop(self.slot, -1)
        if fd < 0:
            fd = paths.open_in_root(walker.fds["root"], self.destination)
        mounts.set_attributes(fd, mounts.RDONLY)
        os.close(fd)


class MaskPaths(Step):
    """Cover files with /dev/null and directories with one empty read-only tmpfs; what is missing needs no cover."""

    def __init__(self, because: str, hidden: "list[str]", label: str = "") -> None:
        """`label`: SELinux's, of the covering directory."""
        super().__init__(because)
        self.hidden = hidden
        self.label = label

    def describe(self) -> str:
        return f"mask {' '.join(self.hidden)}"

    def run(self, walker: "Walker") -> None:
        over_files, over_directories = _Cover(self._null), _Cover(self._empty)
        for index, path in enumerate(self.hidden):
            target = self._open(walker.fds["root"], index, path)
            if target is not None:
                (over_directories if is_directory(target) else over_files).put(target)
                os.close(target)
        over_files.close()
        over_directories.close()

    def _null(self) -> int:
        """The host's /dev/null as a mount, after a look at what it really is: a forged one would unmask."""
        null = mounts.open_tree("/dev/null", recursive=False)
        found = os.fstat(null)
        if found.st_mode & _S_IFMT != _S_IFCHR or found.st_rdev != os.makedev(1, 3):
            raise Error(f"{self.because}: /dev/null of the host is not the character device 1:3; repair it")
        # Or the container's root could chmod the host's node, and mount over it.
        mounts.set_attributes(null, mounts.RDONLY, propagation=mounts.PROPAGATION["private"])
        return null

    def _empty(self) -> int:
        """An empty, read-only directory."""
        options: "list[tuple[str, str | None]]" = [("nr_blocks", "1"), ("nr_inodes", "1"), ("ro", None)]
        if self.label:
            options.append(("context", self.label))
        return mounts.new_filesystem("tmpfs", "tmpfs", options, mounts.RDONLY)

    def _open(self, root: int, index: int, path: str) -> "int | None":
        try:
            return paths.open_in_root(root, path)
        except OSError as error:
            if error.errno in (_ENOENT, _ENOTDIR):
                return None
            raise Error(f"{self.because}[{index}] {path}: {reason(error)}") from None


class _Cover:
    """One mount put on many places. The first place gets the mount itself, the others copies of it: before Linux 6.15
    only an attached mount can be copied (open_tree(2), EINVAL).
    """

    def __init__(self, make: "Callable[[], int]") -> None:
        self.make = make
        self.mount_fd = -1

    def put(self, target: int) -> None:
        if self.mount_fd < 0:
            self.mount_fd = self.make()
            mounts.attach(self.mount_fd, target)
            return
        copy = mounts.open_tree("", recursive=False, dir_fd=self.mount_fd)
        mounts.attach(copy, target)
        os.close(copy)

    def close(self) -> None:
        if self.mount_fd >= 0:
            os.close(self.mount_fd)


class ReadonlyPaths(Step):
    """Make parts of the tree read-only: each is bound on itself, then its copy is made read-only and attached."""

    def __init__(self, because: str, readonly: "list[str]") -> None:
        super().__init__(because)
        self.readonly = readonly

    def describe(self) -> str:
        return f"make read-only {' '.join(self.readonly)}"

    def run(self, walker: "Walker") -> None:
        for index, path in enumerate(self.readonly):
            try:
                target = paths.open_in_root(walker.fds["root"], path)
            except OSError as error:
                if error.errno in (_ENOENT, _ENOTDIR):
                    continue
                raise Error(f"{self.because}[{index}] {path}: {reason(error)}") from None
            tree = mounts.open_tree("", recursive=True, dir_fd=target)
            mounts.set_attributes(tree, mounts.RDONLY, recursive=True)
            mounts.attach(tree, target)
            os.close(tree)
            os.close(target)
