"""Why the kernel refused to make or join something for an ordinary user. Loaded on failure only, on the host."""

import posix as os

from pyruntime.cgroup.hints import delegation, enter_hint
from pyruntime.errors import Error, reason
from pyruntime.kernel.procfs import read

_EPERM, _EACCES, _EBUSY, _ENOSPC, _EUSERS, _EOPNOTSUPP = 1, 13, 16, 28, 87, 95
_SWITCHES = ("kernel/unprivileged_userns_clone", "user/max_user_namespaces")


def of_clone(error: OSError, what: str, new: "list[str]", cgroup: "int | None") -> Error:
    """The error of a clone3 that was refused; `cgroup` is the descriptor of the one it was to be born in."""
    return Error(f"{what}: {reason(error)}{_why(error.errno or 0, new, cgroup)}")


def _why(errno: int, new: "list[str]", cgroup: "int | None") -> str:
    if errno == _EACCES and cgroup is not None:
        return _not_ours(os.readlink(f"/proc/self/fd/{cgroup}"))
    if errno in (_EBUSY, _EOPNOTSUPP):
        return enter_hint(errno)
    if errno == _EPERM and "user" in new:
        return (
            f": this host does not let us make a user namespace{_switched_off()}; a chroot without a mounted root, "
            "or a filter of an outer container, refuses so too"
        )
    if errno == _EPERM and new:
        return ': no right to make these; add {"type": "user"} and id mappings, or be root'
    if errno in (_ENOSPC, _EUSERS):
        return ": a limit in /proc/sys/user/max_*_namespaces is reached, or they nest deeper than 32"
    return ""


def _switched_off() -> str:
    for name in _SWITCHES:
        try:
            if read(f"/proc/sys/{name}").strip() == "0":
                return f" (sysctl {name.replace('/', '.')} is 0)"
        except OSError:
            continue
    return ""


def _not_ours(directory: str) -> str:
    """Who moves a process needs to write the cgroup.procs of the nearest common ancestor (cgroup-v2.rst)."""
    try:
        own = read("/proc/self/cgroup").rpartition("0::")[2].strip()
    except OSError:
        own = "?"
    return (
        f": from the cgroup {own} we may not move a process to {directory}, "
        f"as the cgroup above both is not ours; {delegation()}"
    )
