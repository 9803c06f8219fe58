"""Steps about the root: propagation, the bind on itself, pivot_root."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import mounts, paths
from pyruntime.kernel.imports import lock_imports
from pyruntime.kernel.procfs import read
from pyruntime.kernel.procmount import open_private
from pyruntime.steps.base import HOST, INIT, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_EINVAL = 22


class OpenProcfs(Step):
    """A procfs of our own, for writes that nothing mounted in the container can redirect."""

    def __init__(self, because: str, by_host: bool = False) -> None:
        """`by_host`: opened before a fork whose child enters a container. Its own entry is in the host's procfs too."""
        super().__init__(because)
        self.by_host = by_host
        self.lane = HOST if by_host else INIT

    def describe(self) -> str:
        return "open a private procfs" + (" of processes only (subset=pid)" if self.by_host else "")

    def run(self, walker: "Walker") -> None:
        walker.fds["proc"] = open_private(processes_only=self.by_host)


class UseMountCall(Step):
    """Mount by mount(2) where the new mount API is refused."""

    lane = HOST

    def __init__(self, because: str, refused: str) -> None:
        super().__init__(because)
        self.refused = refused

    def describe(self) -> str:
        return f"mount by mount(2), as {self.refused} is refused here"

    def run(self, walker: "Walker") -> None:
        mounts.use_mount_call()


class SetRootPropagation(Step):
    """Decide, before the first mount, whether mounts travel between the host's tree and ours."""

    def __init__(self, because: str, kind: str, recursive: bool) -> None:
        super().__init__(because)
        self.kind = kind
        self.recursive = recursive

    def describe(self) -> str:
        return f"make every mount {self.kind} ({'MS_REC|' if self.recursive else ''}MS_{self.kind.upper()})"

    def run(self, walker: "Walker") -> None:
        try:
            mounts.set_attributes(
                mounts.AT_FDCWD, 0, propagation=mounts.PROPAGATION[self.kind], recursive=self.recursive, path="/"
            )
        except OSError as error:
            if error.errno != _EINVAL:
                raise
            raise Error(
                f'{self.because}: "/" is not a mount point: {reason(error)}; this command runs in a chroot, and '
                "pivot_root needs a mounted root: before chroot DIR, mount --bind DIR DIR"
            ) from None


class BindRoot(Step):
    """Bind the rootfs on itself: pivot_root wants a mount, and its parent must not be shared."""

    def __init__(self, because: str, rootfs: str, parent: str) -> None:
        """`parent`: the propagation that the mount holding the rootfs gets first, "" where it has it already."""
        super().__init__(because)
        self.rootfs = rootfs
        self.parent = parent

    def describe(self) -> str:
        return f"bind {self.rootfs} on itself, as a mount to pivot to"

    def run(self, walker: "Walker") -> None:
        target = os.open(self.rootfs, paths.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        real = os.readlink(f"/proc/self/fd/{target}")
        if real != self.rootfs:  # checked before, but who owns the bundle may have put a link there since
            raise Error(f"{self.because}: invalid rootfs: {self.rootfs} leads to {real}")
        if self.parent:
            self._change_parent()  # before the copy, which is shared if what it copies is
        mounts.prepare(target)
        root = mounts.open_tree("", recursive=True, dir_fd=target)
        mounts.attach(root, target)
        os.close(target)
        walker.fds["root"] = root

    def _change_parent(self) -> None:
        """The mount that holds the rootfs: each parent directory is tried until one is a mount point (EINVAL: none)."""
        path = self.rootfs
        while True:
            try:
                mounts.set_attributes(mounts.AT_FDCWD, 0, propagation=mounts.PROPAGATION[self.parent], path=path)
                return
            except OSError as error:
                if error.errno != _EINVAL or path == "/":
                    raise
                path = path.rpartition("/")[0] or "/"


class ChangeRoot(Step):
    """The root of the mount namespace becomes the rootfs, the host's tree goes; nothing is imported after this."""

    def __init__(self, because: str, rootfs: str, how: str) -> None:
        super().__init__(because)
        self.rootfs = rootfs
        self.how = how

    def describe(self) -> str:
        if self.how == "pivot_root":
            return f"pivot_root into {self.rootfs}, detach the old root"
        return (
            f"move {self.rootfs} over / and chroot (no pivot_root)"
            if self.how == "move"
            else f"chroot into {self.rootfs}"
        )

    def run(self, walker: "Walker") -> None:
        lock_imports()
        if self.how == "pivot_root":
            mounts.pivot_root(walker.fds["root"])
        elif self.how == "move":
            mounts.move_root(walker.fds["root"], self.rootfs, read("/proc/self/mountinfo"))
        else:
            os.fchdir(walker.fds["root"])
            os.chroot(".")
            os.chdir("/")


class SetFinalPropagation(Step):
    """The propagation of the container's root as the config asks for it."""

    def __init__(self, because: str, kind: str, recursive: bool) -> None:
        super().__init__(because)
        self.kind = kind
        self.recursive = recursive

    def describe(self) -> str:
        return f"make the new root {self.kind}"

    def run(self, walker: "Walker") -> None:
        mounts.set_attributes(
            walker.fds["root"], 0, propagation=mounts.PROPAGATION[self.kind], recursive=self.recursive
        )


class OpenRoot(Step):
    """Open the root directory as later steps' starting point, for a start that changes no root itself."""

    def __init__(self, because: str, path: str) -> None:
        super().__init__(because)
        self.path = path

    def describe(self) -> str:
        return f"open {self.path} as the root of look-ups"

    def run(self, walker: "Walker") -> None:
        walker.fds["root"] = os.open(self.path, paths.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
