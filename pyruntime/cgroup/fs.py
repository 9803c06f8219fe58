"""Making a cgroup and setting its limits by the file system itself, as the driver `cgroupfs` means it."""

import posix as os

from pyruntime.cgroup.files import EBUSY, EINVAL, ENOENT, GONE, CgroupError, read, write
from pyruntime.cgroup.freezer import events
from pyruntime.cgroup.members import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pyruntime.cgroup.values import Write

_EEXIST, _EROFS = 17, 30
_READ_ONLY = (
    "have the cgroup tree mounted to be written to (in a container by the runtime outside), or go without cgroups by "
    "--cgroup-manager disabled"
)
_DOMAIN_ONLY = ("memory", "io", "hugetlb")  # what a threaded cgroup cannot have (cgroup-v2.rst, "Threads")
_DELEGATE = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n"


def create(mount: str, path: str, controllers: "Collection[str]" = (), needed: "Collection[str]" = ()) -> "list[str]":
    """Make the cgroup at `path` below `mount`; the directories that had to be made, outermost first.

    `controllers` are enabled on the way down wherever the kernel lets us: statistics want them even without a limit.
    `needed` are those that a limit asks for. Raises CgroupError and leaves nothing behind; also when the cgroup is in
    use (processes in it, or frozen), or lies in a threaded tree and needs a controller that cannot be there.
    """
    made: list[str] = []
    directory = mount
    try:
        for name in path.strip("/").split("/"):
            enable(directory, controllers)
            directory = f"{directory}/{name}"
            if _mkdir(directory):
                made.append(directory)
        if directory not in made:
            demand_unused(directory)
        if not _is_domain(directory):
            _enter_threaded_tree(mount, path, needed)
    except BaseException:
        uncreate(made)
        raise
    return made


def uncreate(made: "list[str]") -> None:
    """Take `create` back: remove what it made, as far as nobody uses it by now."""
    for directory in reversed(made):
        try:
            os.rmdir(directory)
        except OSError:
            return


def _mkdir(directory: str) -> bool:
    """True if it was made, False if it was there."""
    try:
        os.mkdir(directory, 0o755)
    except OSError as error:
        if error.errno == _EEXIST:
            return False
        refused = CgroupError.of(f"linux.cgroupsPath: cannot make the cgroup {directory}", error)
        if error.errno == _EROFS:
            refused.text += f"; {_READ_ONLY}"
        raise refused from None
    return True


def enable(directory: str, controllers: "Collection[str]") -> None:
    """Enable the controllers for the children of a cgroup, all at once or else those that go.

    Refusals are not errors here: whoever writes a limit of the controller learns it, and why (`hints`).
    """
    try:
        enabled = read(directory, "cgroup.subtree_control").split()
        missing = [f"+{name}" for name in controllers if name not in enabled]
        if missing:
            write(directory, "cgroup.subtree_control", " ".join(missing))
    except OSError:
        for name in controllers:
            try:
                write(directory, "cgroup.subtree_control", f"+{name}")
            except OSError:
                continue


def demand_unused(directory: str) -> None:
    """Raise CgroupError if the cgroup, or one below, has processes or is frozen: a container needs it for itself."""
    count = len(processes(directory))
    if count:
        advice = "choose another linux.cgroupsPath, or delete the container that has this one"
        raise CgroupError(f"container's cgroup is not empty: {count} process(es) found in {directory}; {advice}", EBUSY)
    if events(directory).get("frozen"):
        raise CgroupError(f"container's cgroup unexpectedly frozen: {directory}; thaw it or an ancestor first", EBUSY)


def enable_down(mount: str, path: str, controllers: "Collection[str]") -> None:
    """Enable the controllers in every cgroup above the one at `path`, as far as the kernel lets us."""
    directory = mount
    for name in path.strip("/").split("/"):
        enable(directory, controllers)
        directory = f"{directory}/{name}"


def _type(directory: str) -> str:
    """cgroup.type; the top has none and is a domain, and so is everything before Linux 4.14."""
    try:
        return read(directory, "cgroup.type").strip()
    except OSError:
        return "domain"


def _is_domain(directory: str) -> bool:
    return _type(directory) == "domain"


def _enter_threaded_tree(mount: str, path: str, needed: "Collection[str]") -> None:
    """Make each invalid domain on the way down threaded, which is all it can become."""
    impossible = [name for name in _DOMAIN_ONLY if name in needed]
    directory = mount
    for name in path.strip("/").split("/"):
        directory = f"{directory}/{name}"
        kind = _type(directory)
        if kind != "domain" and impossible:
            raise CgroupError(
                f"linux.cgroupsPath: the cgroup {directory} is of type {kind} and cannot limit "
                f"{' and '.join(impossible)}; expected a domain; "
                "choose a path outside of the threaded tree, or remove these limits"
            )
        if kind == "domain invalid":
            _write_type(directory)


def _write_type(directory: str) -> None:
    try:
        write(directory, "cgroup.type", "threaded")
    except OSError as error:
        raise CgroupError.of(f"linux.cgroupsPath: cannot make the cgroup {directory} threaded", error) from None


def enter(directory: "str | int", pid: int) -> None:
    """Move a process into the cgroup; 0 is the caller. Raises CgroupError."""
    try:
        write(directory, "cgroup.procs", str(pid))
    except OSError as error:
        from pyruntime.cgroup.hints import enter_hint

        raise CgroupError.of(f"cannot enter the cgroup {directory}{enter_hint(error.errno)}", error) from None


def apply(directory: "str | int", writes: "Iterable[Write]") -> None:
    """Make the writes, in order. Raises CgroupError for the first that fails: what asked for it, why, what to do."""
    late: Write | None = None
    for each in writes:
        if not put(directory, each):
            late = each
        elif late:
            put(directory, late, last=True)
            late = None
    if late:
        put(directory, late, last=True)


def put(directory: "str | int", each: "Write", last: bool = False) -> bool:
    """Make one write; False if it came too early and may come again. Raises CgroupError."""
    try:
        write(directory, each.file, each.value)
    except OSError as error:
        if error.errno == ENOENT and each.instead:
            return put(directory, each.instead, last)
        if error.errno == ENOENT and each.optional:
            return True
        if error.errno == EINVAL and each.again and not last:
            return False
        from pyruntime.cgroup.hints import write_error

        raise write_error(directory, each, error) from None
    return True


def chown_delegate(directory: str, uid: int) -> None:
    """Give the cgroup to `uid` as a delegate may have it: the directory and the files the kernel names, not the limits.

    The list is /sys/kernel/cgroup/delegate (Linux 4.15, cgroup-v2.rst "Delegation"). Raises CgroupError.
    """
    try:
        names = read("/sys/kernel/cgroup", "delegate")
    except OSError:
        names = _DELEGATE
    for path in (directory, *(f"{directory}/{name}" for name in names.split())):
        try:
            os.chown(path, uid, -1)
        except OSError as error:
            if error.errno not in GONE:
                raise CgroupError.of(f"cannot give {path} to user {uid}", error) from None
