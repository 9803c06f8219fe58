"""Where we are: the root's file system, a container around us, and the file system of a bundle."""

import os
from collections.abc import Iterator

from pyruntime.cgroup import tree
from pyruntime.look.doctor import cgroups
from pyruntime.look.doctor.verdict import Verdict, fail, ok, warn
from pyruntime.look.inspect import proc

_FIRST_PID, _FIRST_USER = 0xEFFFFFFC, 0xEFFFFFFD  # inodes of the kernel's first namespaces: include/linux/proc_ns.h
_MARKS = ("/.dockerenv", "/run/.containerenv")
_EMPTY = ("binfmt_misc",)  # what is mounted on a directory that is always empty hides nothing


def root() -> "Iterator[Verdict]":
    """pivot_root(2) can't replace the first root file system, an initramfs."""
    mount = next((entry for entry in proc.mounts("self") or () if entry["destination"] == "/"), None)
    if mount is None:
        fix = "run it where / is a mount: unshare -m, then mount --rbind / /mnt and chroot /mnt"
        yield fail("the root directory is no mount point (a chroot?), so pivot_root fails", fix)
    elif mount["type"] == "rootfs":
        yield fail("the root is the initramfs, which pivot_root can't replace", "create and run with --no-pivot")
    else:
        yield ok(f"root file system: {mount['type']}")


def wsl() -> "Iterator[Verdict]":
    """The virtual Linux of Windows, whose cgroups are set up from outside."""
    if cgroups.on_wsl():
        mode = tree.read_tree().mode
        yield ok(f"WSL 2, kernel {os.uname().release}; cgroups: {mode}")


def nesting() -> "Iterator[Verdict]":
    """A container around us, as the kernel's namespaces tell it."""
    spaces = proc.namespaces("self")
    if spaces["user"] not in (None, _FIRST_USER):
        size = sum(entry["size"] for entry in proc.id_map("self", "uid") or ())
        yield warn(f"inside a user namespace with {size or 'all'} uids: containers have them, and no others")
    if spaces["pid"] not in (None, _FIRST_PID):
        yield warn("inside a container: its limits, its filter and its masked files hold for every one in it")
    elif any(map(os.path.exists, _MARKS)) and proc.namespaces(1)["mount"] not in (None, spaces["mount"]):
        yield warn("inside a container with the host's processes: its filter and its mounts hold for every one in it")


def masked_proc() -> "Iterator[Verdict]":
    """The kernel gives a new user namespace no procfs of its own where parts of ours are covered."""
    hidden = [entry["destination"] for entry in proc.mounts("self") or () if _covers(entry["destination"])]
    if hidden:
        more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
        yield fail(
            f"{hidden[0]}{more} covered: in a user namespace mounting proc will be refused",
            "for the container outside: --security-opt systempaths=unconfined (Docker), unmask=ALL (Podman), "
            "procMount: Unmasked (Kubernetes)",
        )


def _covers(destination: str) -> bool:
    return destination.startswith("/proc/") and os.path.basename(destination) not in _EMPTY


def bundles(folder: str) -> "Iterator[Verdict]":
    """Flags of the file system a bundle lies on: the root file system inherits them."""
    try:
        flags = os.statvfs(folder).f_flag
    except OSError as error:
        yield fail(f"{folder}: {error.strerror}", "name a folder that is there")
        return
    fix = "keep bundles elsewhere, or mount it without"
    if flags & os.ST_NOSUID:
        yield warn(f"{folder} is on a file system mounted nosuid, like sudo inside", fix)
    if flags & os.ST_NOEXEC:
        yield fail(f"{folder} is on a file system mounted noexec: no program in it can be executed", fix)
    else:
        yield ok(f"{folder}: programs can be executed from there")
