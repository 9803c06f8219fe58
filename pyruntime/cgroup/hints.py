"""Why the kernel refused a write to a cgroup, as far as it can be looked up afterwards. Loaded on failure only."""

from __future__ import annotations

import posix as os

from pyruntime.cgroup.files import EBUSY, EINVAL, ENODEV, ENOENT, EOPNOTSUPP, CgroupError, read
from pyruntime.errors import explain_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.cgroup.values import Write

_EPERM, _EACCES, _EROFS, _ERANGE = 1, 13, 30, 34


def write_error(directory: str | int, each: Write, error: OSError) -> CgroupError:
    """The error of a failed limit: `path: reason (wrote "V" to FILE of CGROUP: errno's text)`."""
    where = _name(directory)
    reason = _reason(directory, each, error.errno or 0)
    if error.errno == ENOENT:  # "no such file" would read as a missing program to those who look for it
        return CgroupError(f'{each.because}: {reason} (for "{each.value}" in {each.file} of {where})', ENOENT)
    text = explain_oserror(OSError(error.errno, error.strerror))
    wrote = f'wrote "{each.value}" to {each.file} of {where}'
    return CgroupError(f"{each.because}: {reason} ({wrote}: {text})", error.errno or 0)


def _name(directory: str | int) -> str:
    if isinstance(directory, str):
        return directory
    try:
        return os.readlink(f"/proc/self/fd/{directory}")
    except OSError:
        return f"descriptor {directory}"


def _reason(directory: str | int, each: Write, errno: int) -> str:
    if errno == ENOENT:
        return _missing(directory, each)
    if errno in (_EPERM, _EACCES, _EROFS) and not each.file.startswith("cpuset."):
        return f"this cgroup is not ours to limit; {delegation()}, or remove the setting"
    if each.file in ("cpuset.cpus", "cpuset.mems"):
        return _cpuset(each.file)
    if each.file == "cpu.max" and errno == EINVAL:
        return _bandwidth(each.value)
    if each.file == "cpu.max.burst" and errno == EINVAL:
        return "the kernel takes a burst of at most the quota; lower it or raise cpu.quota"
    if each.file.startswith("io.") and errno in (ENODEV, EINVAL):
        return "expected the number of a whole block device that this host has, not of a partition; see lsblk"
    return "the kernel refuses this value; see the file's section of the kernel's cgroup-v2 documentation"


def _missing(directory: str | int, each: Write) -> str:
    if not os.access(_name(directory), os.F_OK):
        return "the cgroup was removed meanwhile"
    has = controllers(directory)
    if each.controller in (*has, "cgroup"):
        return f"this kernel lacks {each.file}; remove the setting"
    why = _withheld(directory, each.controller)
    return f"the {each.controller} controller is not enabled in this cgroup (has: {' '.join(has) or 'none'}); {why}"


def controllers(directory: str | int) -> list[str]:
    """The controllers of a cgroup; none if that cannot be read."""
    try:
        return read(directory, "cgroup.controllers").split()
    except OSError:
        return []


def _withheld(directory: str | int, controller: str) -> str:
    """Which ancestor has the controller and does not hand it down."""
    parent = _name(directory).rpartition("/")[0]
    while parent and os.access(f"{parent}/cgroup.controllers", os.F_OK):
        if controller in controllers(parent):
            return f"{parent} has it but does not hand it down{_inner(parent, controller)}"
        parent = parent.rpartition("/")[0]
    return "no cgroup above has it; remove the setting"


def _inner(parent: str, controller: str) -> str:
    try:
        if read(parent, "cgroup.procs").split():
            return ", since processes live in that cgroup itself; choose a linux.cgroupsPath outside of it"
    except OSError:
        pass
    return f'; write "+{controller}" to its cgroup.subtree_control, as its owner {os.stat(parent).st_uid}'


def _cpuset(file: str) -> str:
    kind, place = ("CPUs", "cpu") if file.endswith("cpus") else ("memory nodes", "node")
    try:
        return f"this host has {kind} {read(f'/sys/devices/system/{place}', 'online').strip()}; name some of these"
    except OSError:
        return f"name some of the host's {kind}, in the form 0-2,7"


def _bandwidth(value: str) -> str:
    quota, _, period = value.partition(" ")
    if period.isdigit() and not 1000 <= int(period) <= 1000000:
        return "the kernel takes a period of 1000 to 1000000 µs"
    if quota.isdigit() and int(quota) < 1000:
        return "the kernel's minimum is 1000 µs"
    return "the quota may be at most what the parent cgroups have for their period, and not below cpu.burst"


def delegation() -> str:
    """How an ordinary user comes to a cgroup of their own (cgroup-v2.rst, "Delegation")."""
    return "start it by systemd-run --user --scope -p Delegate=yes, or have a cgroup directory given to this user"


def refused(error: CgroupError, limits: bool) -> CgroupError:
    """What a rootless command is told that may not make its cgroup, in the words that scripts of runc look for."""
    sentinel = "rootless needs no limits + no cgrouppath when no permission is granted for cgroups"
    other = "remove the limits" if limits else "leave linux.cgroupsPath out"
    return CgroupError(f"{error.text}: {sentinel}; {other}, or {delegation()}", error.errno)


def enter_hint(errno: int | None) -> str:
    """What a refusal to take a process means; "" if the errno says it."""
    if errno == EBUSY:
        return " (it hands controllers to cgroups below it, so only those may have processes)"
    if errno == EOPNOTSUPP:
        return " (it is threaded or invalid, see its cgroup.type, and takes no process from outside)"
    return ""


def out_of_memory(directory: str | int) -> str:
    """What the limit is, and what set-up needs: at most our own private memory, of which init was a copy."""
    try:
        limit = read(directory, "memory.max").strip()
        lines = dict(line.split(":", 1) for line in read("/proc/self", "status").splitlines() if ":" in line)
        needs = sum(int(lines[name].split()[0]) for name in ("RssAnon", "VmPTE")) / 1024
    except (OSError, KeyError, ValueError):
        return "raise linux.resources.memory.limit"
    if not limit.isdecimal():
        return "the limit is that of a cgroup above; have it raised"
    size = int(limit)
    given = f"{size >> 10} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f}".removesuffix(".0") + " MiB"
    need = f"starting takes up to {needs:.1f} MiB here"
    return f"memory.max is {given}, {need}; raise linux.resources.memory.limit"
