"""Steps about the file tree: propagation, mounts, masks, pivot_root."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import mounts, paths
from pyruntime.kernel.imports import lock_imports
from pyruntime.kernel.procmount import PROC_SUPER_MAGIC, filesystem_type, open_private
from pyruntime.steps.base import HOST, Step
from pyruntime.steps.copyup import copy_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_S_IFMT, _S_IFDIR, _S_IFCHR = 0o170000, 0o040000, 0o020000
_EPERM, _EBUSY, _ENOENT, _ENOTDIR, _EINVAL = 1, 16, 2, 20, 22


class Attributes:
    """What a mount's options ask of the mount itself, in the words of mount_setattr(2)."""

    def __init__(self) -> None:
        self.set = 0
        self.clear = 0
        self.recursive_set = 0
        self.recursive_clear = 0
        self.propagation: "list[tuple[int, bool]]" = []


def is_directory(fd: int) -> bool:
    """Whether the descriptor is of a directory."""
    return os.fstat(fd).st_mode & _S_IFMT == _S_IFDIR


class OpenProcfs(Step):
    """A procfs of our own, for writes that nothing mounted in the container can redirect."""

    def describe(self) -> str:
        return "open a private procfs"

    def run(self, walker: "Walker") -> None:
        walker.fds["proc"] = open_private()


class SetRootPropagation(Step):
    """Decide, before the first mount, whether mounts travel between the host's tree and ours."""

    def __init__(self, because: str, kind: str, recursive: bool) -> None:
        super().__init__(because)
        self.kind = kind
        self.recursive = recursive

    def describe(self) -> str:
        return f"make every mount {self.kind} ({'MS_REC|' if self.recursive else ''}MS_{self.kind.upper()})"

    def run(self, walker: "Walker") -> None:
        mounts.set_attributes(
            mounts.AT_FDCWD, 0, propagation=mounts.PROPAGATION[self.kind], recursive=self.recursive, path="/"
        )


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
        if self.parent:
            self._change_parent()  # before the copy, which is shared if what it copies is
        root = mounts.open_tree(self.rootfs, recursive=True)
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


class PrepareMount(Step):
    """Open a bind source with the host's rights, for an init that could not reach it from its user namespace."""

    lane = HOST

    def __init__(self, because: str, source: str, recursive: bool, slot: str, kind: str) -> None:
        """`kind`: the propagation that every mount of init gets."""
        super().__init__(because)
        self.source = source
        self.recursive = recursive
        self.slot = slot
        self.kind = kind

    def describe(self) -> str:
        return f"open the mount source {self.source} on the host"

    def run(self, walker: "Walker") -> None:
        tree = open_source(self.because, self.source, self.recursive)
        for kind in dict.fromkeys(("slave", self.kind)):  # what init mounts below it is never seen on the host
            mounts.set_attributes(tree, 0, propagation=mounts.PROPAGATION[kind], recursive=True)
        walker.fds[self.slot] = tree


def open_source(because: str, source: str, recursive: bool) -> int:
    """A detached copy of a bind source. Raises Error that names it."""
    try:
        return mounts.open_tree(source, recursive)
    except OSError as error:
        where = " (on the host)" if error.errno in (_ENOENT, _ENOTDIR) else ""
        raise Error(f"{because}.source {source}: {reason(error)}{where}") from None


class MountStep(Step):
    """What bind mounts and new filesystems share: the target in the root, attributes, propagation."""

    def __init__(self, because: str, destination: str, attributes: Attributes) -> None:
        super().__init__(because)
        self.destination = destination
        self.attributes = attributes

    def _attach(self, mount_fd: int, target: int) -> None:
        try:
            mounts.attach(mount_fd, target)
            _refuse_proc(self.because, self.destination, target)
        except OSError as error:
            kinds = ["folder" if is_directory(fd) else "file" for fd in (mount_fd, target)]
            if error.errno in (_ENOTDIR, _EINVAL) and kinds[0] != kinds[1]:
                raise Error(
                    f"{self.because}: not a directory: source is a {kinds[0]}, "
                    f"destination {self.destination} is a {kinds[1]}"
                ) from None
            raise
        finally:
            os.close(target)
        for kind, recursive in self.attributes.propagation:
            mounts.set_attributes(mount_fd, 0, propagation=kind, recursive=recursive)
        if self.attributes.recursive_set or self.attributes.recursive_clear:
            mounts.set_attributes(
                mount_fd, self.attributes.recursive_set, self.attributes.recursive_clear, recursive=True
            )


IN_PROC = (
    "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
    "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
)  # fmt: skip


def _refuse_proc(because: str, destination: str, target: int) -> None:
    """Nothing is mounted inside procfs but the few files lxcfs serves: a cover there would swallow our own writes."""
    if destination not in (*IN_PROC, "/proc") and filesystem_type(target) == PROC_SUPER_MAGIC:
        raise Error(f'{because}: "{destination}" cannot be mounted because it is inside /proc')


class BindMount(MountStep):
    """A bind mount: a copy of the source's mount, given its attributes, then attached inside the root."""

    def __init__(
        self,
        because: str,
        source: str,
        destination: str,
        recursive: bool,
        attributes: Attributes,
        flagged: bool,
        words: str,
        slot: str = "",
    ) -> None:
        super().__init__(because, destination, attributes)
        self.source = source
        self.recursive = recursive
        self.flagged = flagged
        self.words = words
        self.slot = slot

    def describe(self) -> str:
        return f"bind {self.source} on {self.destination}" + (f" ({self.words})" if self.words else "")

    def run(self, walker: "Walker") -> None:
        tree = walker.fds.pop(self.slot) if self.slot else open_source(self.because, self.source, self.recursive)
        if is_directory(tree):
            target = paths.make_directory(walker.fds["root"], self.destination)
        else:
            target = paths.make_file(walker.fds["root"], self.destination)
        if self.flagged:
            self._remount(tree)
        self._attach(tree, target)
        os.close(tree)

    def _remount(self, tree: int) -> None:
        """Attributes as a bind remount gives them: those not asked for are cleared, unless locked (EPERM)."""
        asked = self.attributes
        atime = mounts.ATIME_FIELD if asked.set & mounts.ATIME_FIELD or asked.clear & mounts.ATIME_FIELD else 0
        others = mounts.RDONLY | mounts.NOSUID | mounts.NODEV | mounts.NOEXEC | mounts.NOSYMFOLLOW
        try:
            mounts.set_attributes(tree, asked.set, (others & ~asked.set) | asked.clear | atime)
        except OSError as error:
            if error.errno != _EPERM:
                raise
            try:
                mounts.set_attributes(tree, asked.set, asked.clear | atime)
            except OSError:
                raise Error(
                    f"{self.because}: cannot clear locked flags of {self.source}: operation not permitted"
                ) from None


class MountFilesystem(MountStep):
    """A new filesystem instance mounted inside the root."""

    def __init__(
        self,
        because: str,
        fstype: str,
        source: str,
        destination: str,
        options: "list[tuple[str, str | None]]",
        attributes: Attributes,
        words: str,
    ) -> None:
        super().__init__(because, destination, attributes)
        self.fstype = fstype
        self.source = source
        self.options = options
        self.words = words

    def describe(self) -> str:
        return f"mount {self.fstype} on {self.destination}" + (f" ({self.words})" if self.words else "")

    def run(self, walker: "Walker") -> None:
        options = self._options(walker.fds["root"])
        target = self._target(walker.fds["root"])
        mount_fd = mounts.new_filesystem(self.fstype, self.source, options, self.attributes.set)
        self._attach(mount_fd, target)
        os.close(mount_fd)

    def _target(self, root: int) -> int:
        if self.fstype in ("proc", "sysfs"):
            return self._ordinary_directory(root)
        return paths.make_directory(root, self.destination)

    def _ordinary_directory(self, root: int) -> int:
        """/proc and /sys may not be links: every later write to them would land elsewhere."""
        parent, name = paths.make_parent(root, self.destination)
        try:
            try:
                os.mkdir(name, 0o755, dir_fd=parent)
            except FileExistsError:
                pass
            fd = os.open(name, paths.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        finally:
            os.close(parent)
        if not is_directory(fd):
            os.close(fd)
            raise Error(
                f'{self.because}: filesystem "{self.fstype}" must be mounted on ordinary directory, '
                f"but {self.destination} in the rootfs is none; make it one"
            )
        return fd

    def _options(self, root: int) -> "list[tuple[str, str | None]]":
        """A tmpfs without mode= looks like the directory it covers, or like any tmpfs (1777) where there is none."""
        if self.fstype != "tmpfs" or any(name == "mode" for name, _ in self.options):
            return self.options
        try:
            covered = paths.open_in_root(root, self.destination, paths.O_PATH | os.O_DIRECTORY)
        except OSError:
            return self.options
        mode = os.fstat(covered).st_mode & 0o7777
        os.close(covered)
        return [*self.options, ("mode", f"{mode:o}")]


class CopyUp(MountFilesystem):
    """A tmpfs that starts with a copy of the directory it covers (`tmpcopyup`)."""

    def describe(self) -> str:
        return super().describe() + ", with a copy of what it covers"

    def run(self, walker: "Walker") -> None:
        options = self._options(walker.fds["root"])
        target = self._target(walker.fds["root"])
        mount_fd = mounts.new_filesystem(self.fstype, self.source, options, self.attributes.set)
        covered = paths.open_in_root(walker.fds["root"], self.destination, os.O_RDONLY | os.O_DIRECTORY)
        top = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount_fd)  # fsmount's is an O_PATH one
        copy_tree(covered, top)
        os.close(top)
        os.close(covered)
        self._attach(mount_fd, target)
        os.close(mount_fd)


class MountCgroup(MountStep):
    """The cgroup tree: cgroup2 as the cgroup namespace shows it, else a bind of the host's."""

    def __init__(self, because: str, destination: str, attributes: Attributes, words: str, host_tree: str) -> None:
        super().__init__(because, destination, attributes)
        self.words = words
        self.host_tree = host_tree

    def describe(self) -> str:
        return f"mount cgroup2 on {self.destination} ({self.words}); if refused, bind {self.host_tree}"

    def run(self, walker: "Walker") -> None:
        target = paths.make_directory(walker.fds["root"], self.destination)
        try:
            mount_fd = mounts.new_filesystem("cgroup2", "cgroup", [], self.attributes.set)
        except OSError as error:
            if error.errno not in (_EPERM, _EBUSY) or not self.host_tree:
                raise
            mount_fd = mounts.open_tree(self.host_tree, recursive=False)
            mounts.set_attributes(mount_fd, self.attributes.set)
        self._attach(mount_fd, target)
        os.close(mount_fd)


class RemountReadonly(Step):
    """Make mounts read-only that had to be written while the container was set up."""

    def __init__(self, because: str, destination: str) -> None:
        super().__init__(because)
        self.destination = destination

    def describe(self) -> str:
        return f"make {self.destination} read-only"

    def run(self, walker: "Walker") -> None:
        fd = paths.open_in_root(walker.fds["root"], self.destination)
        mounts.set_attributes(fd, mounts.RDONLY)
        os.close(fd)


class MaskPaths(Step):
    """Cover files with /dev/null and directories with one empty read-only tmpfs; what is missing needs no cover."""

    def __init__(self, because: str, hidden: "list[str]") -> None:
        super().__init__(because)
        self.hidden = hidden

    def describe(self) -> str:
        return f"mask {' '.join(self.hidden)}"

    def run(self, walker: "Walker") -> None:
        null = self._null()
        empty = -1
        for index, path in enumerate(self.hidden):
            target = self._open(walker.fds["root"], index, path)
            if target is None:
                continue
            if is_directory(target):
                if empty < 0:
                    options: "list[tuple[str, str | None]]" = [("nr_blocks", "1"), ("nr_inodes", "1"), ("ro", None)]
                    empty = mounts.new_filesystem("tmpfs", "tmpfs", options, mounts.RDONLY)
                _cover(target, empty)
            else:
                _cover(target, null)
            os.close(target)
        os.close(null)
        if empty >= 0:
            os.close(empty)

    def _null(self) -> int:
        """The host's /dev/null as a mount, after a look at what it really is: a forged one would unmask."""
        null = mounts.open_tree("/dev/null", recursive=False)
        found = os.fstat(null)
        if found.st_mode & _S_IFMT != _S_IFCHR or found.st_rdev != os.makedev(1, 3):
            raise Error(f"{self.because}: /dev/null of the host is not the character device 1:3; repair it")
        # Or the container's root could chmod the host's node, and mount over it.
        mounts.set_attributes(null, mounts.RDONLY, propagation=mounts.PROPAGATION["private"])
        return null

    def _open(self, root: int, index: int, path: str) -> "int | None":
        try:
            return paths.open_in_root(root, path)
        except OSError as error:
            if error.errno in (_ENOENT, _ENOTDIR):
                return None
            raise Error(f"{self.because}[{index}] {path}: {reason(error)}") from None


def _cover(target: int, mount_fd: int) -> None:
    copy = mounts.open_tree("", recursive=False, dir_fd=mount_fd)
    mounts.attach(copy, target)
    os.close(copy)


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
            mounts.move_root(walker.fds["root"])
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
