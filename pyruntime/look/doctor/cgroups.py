"""Control groups: the tree, its controllers, and what of it a user was given."""

import os
from collections.abc import Iterator

from pyruntime.cgroup import tree
from pyruntime.look.doctor import systemd
from pyruntime.look.doctor.verdict import Verdict, fail, ok, unknown, warn

_WANTED = ("cpu", "cpuset", "io", "memory", "pids")
_ONLY_V2 = "boot with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all"
_ONLY_V2_WSL = (
    "kernelCommandLine = cgroup_no_v1=all below [wsl2] in .wslconfig of the Windows user, then wsl --shutdown"
)
_DROP_IN = "/etc/systemd/system/user@.service.d"
_DELEGATE = (
    f"as root: mkdir -p {_DROP_IN} && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' "
    f">{_DROP_IN}/delegate.conf && systemctl daemon-reload, then log in again"
)
_SESSION = "log in by a session of systemd (ssh, machinectl shell), or: systemd-run --user --scope -p Delegate=yes sh"


def _only_v2() -> str:
    return _ONLY_V2_WSL if on_wsl() else _ONLY_V2


def on_wsl() -> bool:
    """Whether the kernel is the one that Windows brings along."""
    return "microsoft" in os.uname().release.lower()


def mode() -> "Iterator[Verdict]":
    """Where the cgroup v2 tree is."""
    found = tree.read_tree()
    if _read_only(found.mount):
        say = warn if os.geteuid() else fail
        fix = f"mount -o remount,rw {found.mount}; in a container the runtime outside has to mount it so"
        yield say(f"cgroup v2 at {found.mount} is mounted read-only: no container gets a cgroup", fix)
    elif found.mode == "unified":
        yield ok(f"cgroup v2 at {found.mount}")
    elif found.mode == "hybrid":
        yield warn(f"cgroup v2 at {found.mount}, beside v1 hierarchies that keep most controllers", _only_v2())
    elif found.mode == "v1":
        yield fail("cgroup v1 only", _only_v2())
    else:
        yield fail("no cgroup file system is mounted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup")


def _read_only(mount: str) -> bool:
    try:
        return bool(mount) and bool(os.statvfs(mount).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def controllers() -> "Iterator[Verdict]":
    """Which limits can be set at all."""
    found = tree.read_tree()
    if not found.mount:
        return
    there = _controllers(found.mount)
    if there is None:
        yield unknown(f"{found.mount}/cgroup.controllers can't be read")
        return
    lacking = [name for name in _WANTED if name not in there]
    if lacking:
        fix = _only_v2() if found.mode == "hybrid" else "a kernel with them, and without cgroup_disable= for them"
        yield warn(f"controllers: {' '.join(there) or 'none'}; limits of {' '.join(lacking)} will be refused", fix)
    else:
        yield ok(f"controllers: {' '.join(there)}")


def _controllers(place: str) -> "list[str] | None":
    try:
        with open(f"{place}/cgroup.controllers", encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return None


def delegated() -> "Iterator[Verdict]":
    """What this user may limit: the cgroup we are in, if it is ours, and its controllers."""
    found = tree.read_tree()
    if os.geteuid() == 0 or not found.mount:
        return
    own = found.directory(tree.read_own(found))
    place = _owned(own, found.mount)
    if not place:
        yield fail(f"{own} is not yours: no limits", _SESSION if systemd.booted() else _given(found.mount))
        return
    there = _controllers(place)
    if there is None:
        yield unknown(f"{place}/cgroup.controllers can't be read")
        return
    lacking = [name for name in _WANTED if name not in there]
    text = f"delegated to you at {place}: {' '.join(there) or 'none'}"
    if not lacking:
        yield ok(text)
    elif any(name in (_controllers(found.mount) or ()) for name in lacking):
        yield fail(f"{text} (no {' '.join(lacking)})", _DELEGATE)
    else:  # nobody can delegate what the tree itself has not
        yield fail(f"{text} (no {' '.join(lacking)}, nor has the host's tree)", _only_v2())


def _given(mount: str) -> str:
    """How root gives a cgroup to this user, and moves their shell there, where no systemd does."""
    place, uid = f"{mount}/user-{os.geteuid()}", os.geteuid()
    files = f"{place} {place}/cgroup.procs {place}/cgroup.subtree_control"
    return f"as root: mkdir {place} && chown {uid} {files} && echo {os.getppid()} >{place}/cgroup.procs"


def _owned(place: str, mount: str) -> str:
    """The cgroup nearest to ours, upwards, whose members we may change."""
    while place.startswith(mount) and len(place) > len(mount):
        if os.access(place, os.W_OK) and os.access(f"{place}/cgroup.procs", os.W_OK):
            return place
        place = place.rpartition("/")[0]
    return ""
