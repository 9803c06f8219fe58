"""Steps that mount: binds and new filesystems, each built detached and attached when it is what was asked for."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import mounts, paths
from pyruntime.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_S_IFMT, _S_IFDIR = 0o170000, 0o040000
_EPERM, _EBUSY, _ENOENT, _ENOTDIR, _EINVAL = 1, 16, 2, 20, 22
_ATIMES = mounts.ATIME_FIELD | mounts.NODIRATIME
_MS_NOATIME, _MS_NODIRATIME, _MS_STRICTATIME = 0x400, 0x800, 1 << 24


class Attributes:
    """What a mount's options ask of the mount itself, in the words of mount_setattr(2).

    `set` and `clear` are what a new mount gets; `atimes` are the kinds of access times that the options name, as MS_*.
    """

    def __init__(self) -> None:
        self.set = 0
        self.clear = 0
        self.atimes = 0
        self.recursive_set = 0
        self.recursive_clear = 0
        self.propagation: "list[tuple[int, bool]]" = []


def is_directory(fd: int) -> bool:
    """Whether the descriptor is of a directory."""
    return os.fstat(fd).st_mode & _S_IFMT == _S_IFDIR


def open_source(because: str, source: str, recursive: bool, root: int = -1, place: str = "") -> int:
    """A detached copy of a bind source. Raises Error that names it.

    One that lies in the container's root is `place` there: links in the rootfs lead nowhere else then.
    """
    try:
        if not place:
            return mounts.open_tree(source, recursive)
        fd = paths.open_in_root(root, place)
        try:
            return mounts.open_tree("", recursive, dir_fd=fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise _unopened(because, source, recursive, error) from None


def copied(because: str, source: str, recursive: bool, fd: int) -> int:
    """A detached copy of a bind source that is open. Raises Error that names it."""
    try:
        return mounts.open_tree("", recursive, dir_fd=fd)
    except OSError as error:
        raise _unopened(because, source, recursive, error) from None


def _unopened(because: str, source: str, recursive: bool, error: OSError) -> Error:
    hint = " (on the host)" if error.errno in (_ENOENT, _ENOTDIR) else ""
    if error.errno == _EINVAL:
        hint = "; it is unbindable, or of another mount namespace" + (
            "" if recursive else ", or mounts below it cover what a user namespace may not uncover: use rbind"
        )
    return Error(f"{because}.source {source}: {reason(error)}{hint}")


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
        _below(self.because, self.destination, mount_fd, self.attributes)


IN_PROC = (
    "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
    "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
)  # fmt: skip


def _refuse_proc(because: str, destination: str, target: int) -> None:
    """Nothing is mounted inside procfs but the few files lxcfs serves: a cover there would swallow our own writes."""
    if destination not in (*IN_PROC, "/proc") and paths.filesystem_type(target) == paths.PROC_SUPER_MAGIC:
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
        mapped: bool = False,
        place: str = "",
    ) -> None:
        """`slot`: it is open there, or, `mapped`, a copy of it is. `place`: where in the container's root it lies."""
        super().__init__(because, destination, attributes)
        self.place = place
        self.mapped = mapped
        self.source = source
        self.recursive = recursive
        self.flagged = flagged
        self.words = words
        self.slot = slot

    def describe(self) -> str:
        return f"bind {self.source} on {self.destination}" + (f" ({self.words})" if self.words else "")

    def run(self, walker: "Walker") -> None:
        tree = self._open(walker)
        folder = is_directory(tree)
        try:
            target = (paths.make_directory if folder else paths.make_file)(walker.fds["root"], self.destination)
        except NotADirectoryError as error:
            raise Error(f"{self.because}: {reason(error)}: {self._in_the_way(folder)}") from None
        if self.flagged:
            self._remount(tree)
        self._attach(tree, target)
        os.close(tree)

    def _open(self, walker: "Walker") -> int:
        if not self.slot:
            return open_source(self.because, self.source, self.recursive, walker.fds["root"], self.place)
        fd = walker.fds.pop(self.slot)
        if self.mapped:
            return fd
        try:
            return copied(self.because, self.source, self.recursive, fd)
        finally:
            os.close(fd)

    def _in_the_way(self, folder: bool) -> str:
        """What keeps a destination from being made: it is a file already, or lies below one."""
        source = "folder" if folder else "file"
        return f"source is a {source}, destination {self.destination} is a file, or lies below one"

    def _remount(self, tree: int) -> None:
        """Attributes as a bind remount gives them: those not asked for are cleared, unless locked (EPERM).

        Access times are kept as they are unless an option names a kind; `atime` and what else takes one back is none.
        """
        asked = self.attributes
        on, off = asked.set & ~_ATIMES, asked.clear & ~_ATIMES
        others = mounts.RDONLY | mounts.NOSUID | mounts.NODEV | mounts.NOEXEC | mounts.NOSYMFOLLOW
        if asked.atimes:
            on, off = on | _access_times(asked.atimes), off | _ATIMES
        try:
            mounts.set_attributes(tree, on, (others & ~on) | off)
        except OSError as error:
            if error.errno != _EPERM:
                raise
            try:
                mounts.set_attributes(tree, on, off | (mounts.NOSYMFOLLOW & ~on))
            except OSError:
                raise self._locked(tree, on, off) from None

    def _locked(self, tree: int, on: int, off: int) -> Error:
        """Which of the flags it was: the kernel says so for each, as the copy is of no use any more."""
        tried = [(flag, name, 0) for flag, name in _LOCKABLE if off & flag & ~on]
        if off & mounts.ATIME_FIELD:
            tried.append((_ATIMES, "the kind of access times", on & _ATIMES))
        names = [name for flag, name, kind in tried if _is_locked(tree, kind, flag)]
        return locked(self.because, self.source, names)


_LOCKABLE = ((mounts.RDONLY, "ro"), (mounts.NOSUID, "nosuid"), (mounts.NODEV, "nodev"), (mounts.NOEXEC, "noexec"))


def _is_locked(tree: int, on: int, off: int) -> bool:
    try:
        mounts.set_attributes(tree, on, off)
    except OSError:
        return True
    return False


def _access_times(kinds: int) -> int:
    """What mount(2) makes of kinds of access times (MS_*): strictatime before noatime, and relatime without either."""
    kind = mounts.STRICTATIME if kinds & _MS_STRICTATIME else mounts.NOATIME if kinds & _MS_NOATIME else mounts.RELATIME
    return kind | (mounts.NODIRATIME if kinds & _MS_NODIRATIME else 0)


class Remount(Step):
    """Other flags for what is mounted at a place already (`remount`, mount(8)); flags that are not named stay."""

    def __init__(self, because: str, destination: str, attributes: Attributes, words: str) -> None:
        super().__init__(because)
        self.destination = destination
        self.attributes = attributes
        self.words = words

    def describe(self) -> str:
        return f"change the mount at {self.destination} ({self.words})"

    def run(self, walker: "Walker") -> None:
        asked = self.attributes
        fd = paths.open_in_root(walker.fds["root"], self.destination)
        atime = mounts.ATIME_FIELD if (asked.set | asked.clear) & mounts.ATIME_FIELD else 0
        try:
            mounts.set_attributes(fd, asked.set, asked.clear | atime)
            _below(self.because, self.destination, fd, asked)
        except OSError as error:
            if error.errno == _EPERM:
                raise locked(self.because, f"the mount at {self.destination}", []) from None
            if error.errno != _EINVAL:
                raise
            raise Error(f"{self.because}: nothing is mounted at {self.destination}; mount it, then remount") from None
        finally:
            os.close(fd)


def _below(because: str, destination: str, mount_fd: int, asked: Attributes) -> None:
    """Propagation and recursive attributes, which go for an attached mount and what is below it."""
    for kind, recursive in asked.propagation:
        mounts.set_attributes(mount_fd, 0, propagation=kind, recursive=recursive)
    if asked.recursive_set or asked.recursive_clear:
        try:
            mounts.set_attributes(mount_fd, asked.recursive_set, asked.recursive_clear, recursive=True)
        except PermissionError:
            raise locked(because, f"the mounts at and below {destination}", []) from None


def locked(because: str, what: str, names: "list[str]") -> Error:
    """The kernel's refusal to take back what the host, or the user namespace around, has made of a mount."""
    which = f" ({', '.join(names)})" if names else ""
    return Error(
        f"{because}.options: cannot clear locked flags of {what}{which}: operation not permitted in a user namespace; "
        "leave out the option, or mount the source otherwise on the host"
    )


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
        slot: str = "",
    ) -> None:
        """`slot`: where the mount stays open for a later step, which then need not find it by its path."""
        super().__init__(because, destination, attributes)
        self.slot = slot
        self.fstype = fstype
        self.source = source
        self.options = options
        self.words = words

    def describe(self) -> str:
        return f"mount {self.fstype} on {self.destination}" + (f" ({self.words})" if self.words else "")

    def run(self, walker: "Walker") -> None:
        options = self._options(walker.fds["root"])
        target = self._target(walker.fds["root"])
        mount_fd = self._new(options)
        self._attach(mount_fd, target)
        self._keep(walker, mount_fd)

    def _keep(self, walker: "Walker", mount_fd: int) -> None:
        if self.slot:
            walker.fds[self.slot] = mount_fd
        else:
            os.close(mount_fd)

    def _new(self, options: "list[tuple[str, str | None]]") -> int:
        return mounts.new_filesystem(self.fstype, self.source, options, self.attributes.set)

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
        except OSError as error:
            if error.errno not in (_ENOENT, _ENOTDIR):  # or a closed directory would come out open to everybody
                raise
            return self.options
        mode = os.fstat(covered).st_mode & 0o7777
        os.close(covered)
        return [*self.options, ("mode", f"{mode:o}")]


class MountSysfs(MountFilesystem):
    """sysfs; or a copy of the one around us, where that is refused for want of a network namespace of our own."""

    def describe(self) -> str:
        return super().describe() + "; if refused, bind /sys read-only"

    def _new(self, options: "list[tuple[str, str | None]]") -> int:
        try:
            return super()._new(options)
        except OSError as error:
            if error.errno != _EPERM:
                raise
        # Read-only with all below it, the cgroup tree above all: the caller may own parts of that.
        tree = mounts.open_tree("/sys", recursive=True)
        mounts.set_attributes(tree, self.attributes.set | mounts.RDONLY, recursive=True)
        return tree


class MountCgroup(MountStep):
    """The cgroup tree: cgroup2 as the cgroup namespace shows it, else a bind of the host's."""

    def __init__(
        self,
        because: str,
        destination: str,
        attributes: Attributes,
        words: str,
        host_tree: str,
        own: bool = False,
        foreign: bool = False,
    ) -> None:
        """`host_tree`: what to bind where cgroup2 is refused; `own`: it is the container's cgroup and nothing else.

        `foreign`: without a cgroup of its own, the container would be shown its caller's.
        """
        super().__init__(because, destination, attributes)
        self.words = words
        self.host_tree = host_tree
        self.own = own
        self.foreign = foreign

    def describe(self) -> str:
        how = "" if self.own else " read-only"
        leave = f"; if refused, bind {self.host_tree}{how}" if self.host_tree else ""
        caller = "; read-only where it would show the caller's cgroup" if self.foreign else ""
        return f"mount cgroup2 on {self.destination} ({self.words}){leave}{caller}"

    def run(self, walker: "Walker") -> None:
        target = paths.make_directory(walker.fds["root"], self.destination)
        kept = mounts.RDONLY if (self.foreign or self.own) and "cgroup" not in walker.texts else 0
        try:
            mount_fd = mounts.new_filesystem("cgroup2", "cgroup", [], self.attributes.set | kept)
        except OSError as error:
            if error.errno not in (_EPERM, _EBUSY) or not self.host_tree or (self.own and kept):
                raise
            mount_fd = mounts.open_tree(self.host_tree, recursive=False)
            # The whole host's tree: where cgroup2 can't be mounted, what of it is writable is not the container's.
            mounts.set_attributes(mount_fd, self.attributes.set | (kept if self.own else mounts.RDONLY))
        self._attach(mount_fd, target)
        os.close(mount_fd)
