"""The kernel: its calls, tried; namespaces; and the file system that is the root."""

import os
from collections.abc import Iterator

from pyruntime.kernel.syscall import syscall
from pyruntime.look.doctor.verdict import Verdict, fail, ok, warn
from pyruntime.look.inspect import proc

_ENOSYS, _EPERM = 38, 1
_BAD = -1  # a descriptor that is none, and a size that is none: a call that exists refuses it, and does nothing
_CALLS = {  # call → arguments that no kernel takes, and the Linux version that has it
    "clone3": ((0, 0), "5.3"),
    "pidfd_open": ((_BAD, 0), "5.3"),
    "openat2": ((_BAD, 0, 0, 0), "5.6"),
    "close_range": ((1, 0, _BAD), "5.9"),
    "move_mount": ((_BAD, 0, _BAD, 0, _BAD), "5.2"),
    "mount_setattr": ((_BAD, 0, 0, 0, 0), "5.12"),
}
_NEEDED = ("clone3", "pidfd_open")  # without the others there are other ways
_NAMESPACES = ("mnt", "uts", "ipc", "net", "pid", "user", "cgroup")
_PROC_SYS = "/proc/sys"


def calls() -> "Iterator[Verdict]":
    """System calls, each made with arguments that it must refuse."""
    release = os.uname().release
    answers = {name: _answer(name, arguments) for name, (arguments, _) in _CALLS.items()}
    lacking = [name for name, answer in answers.items() if answer == _ENOSYS]
    for name in lacking:
        text = f"kernel {release}: no {name}, which Linux {_CALLS[name][1]} has"
        fix = "a newer kernel; or, in a container, a runtime outside whose seccomp profile lets it through"
        yield fail(text, fix) if name in _NEEDED else warn(f"{text}; an older way is taken", fix)
    if not lacking:
        yield ok(f"kernel {release}: {', '.join(_CALLS)}")
    refused = [name for name, answer in answers.items() if answer == _EPERM and name != "clone3"]
    if refused:
        yield warn(f"a filter around us forbids {', '.join(refused)}", "let the runtime outside allow them")


def _answer(name: str, arguments: "tuple[int, ...]") -> int:
    try:
        syscall(name, *arguments)
    except OSError as error:
        return error.errno or 0
    return 0


def namespaces() -> "Iterator[Verdict]":
    """The kinds this kernel has."""
    lacking = [kind for kind in _NAMESPACES if not os.path.exists(f"/proc/self/ns/{kind}")]
    if lacking:
        yield fail(f"no namespaces of kind {' '.join(lacking)}", "a kernel with CONFIG_NAMESPACES and its kinds")
    else:
        extra = ", time too" if os.path.exists("/proc/self/ns/time") else ""
        yield ok(f"namespaces: {' '.join(_NAMESPACES)}{extra}")


def user_namespaces() -> "Iterator[Verdict]":
    """Whether an ordinary user may make one: three switches say no, each in its own way."""
    found = list(_switches())
    yield from found or [ok("ordinary users may make user namespaces")]


def _switches() -> "Iterator[Verdict]":
    most = _sysctl("user/max_user_namespaces")
    if most == "0":
        yield fail("user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=15000")
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        yield fail("kernel.unprivileged_userns_clone is 0", "sysctl -w kernel.unprivileged_userns_clone=1")
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        yield warn(
            "kernel.apparmor_restrict_unprivileged_userns is 1: AppArmor lets no unconfined user make one",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile that grants userns",
        )


def _sysctl(name: str) -> str:
    try:
        with open(f"{_PROC_SYS}/{name}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def root() -> "Iterator[Verdict]":
    """pivot_root(2) can't replace the first root file system, an initramfs."""
    mount = next((entry for entry in proc.mounts("self") or () if entry["destination"] == "/"), None)
    if mount is None:
        fix = "run it where / is a mount: unshare -m, then mount --rbind / /mnt and chroot"
        yield fail("the root directory is no mount point (a chroot?), so pivot_root fails", fix)
    elif mount["type"] == "rootfs":
        yield fail("the root is the initramfs, which pivot_root can't replace", "create and run with --no-pivot")
    else:
        yield ok(f"root file system: {mount['type']}")


def surroundings() -> "Iterator[Verdict]":
    """Where we are: in a container, in a virtual Linux of Windows."""
    if "microsoft" in os.uname().release.lower():
        yield warn("this is WSL: cgroup v2 alone needs kernelCommandLine=cgroup_no_v1=all in .wslconfig")
    maps = proc.id_map("self", "uid")
    if maps:
        yield warn(f"inside a user namespace with {sum(entry['size'] for entry in maps)} uids: some mounts are refused")
    elif os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        yield warn("inside a container: its limits, its filter and its masked files hold for every one in it")


def bundles(folder: str) -> "Iterator[Verdict]":
    """Flags of the file system a bundle lies on: the root file system inherits them."""
    try:
        flags = os.statvfs(folder).f_flag
    except OSError as error:
        yield fail(f"{folder}: {error.strerror}", "name a folder that is there")
        return
    for flag, name, harm in (
        (os.ST_NOEXEC, "noexec", "no program in it can be executed"),
        (os.ST_NOSUID, "nosuid", ""),
    ):
        if flags & flag:
            text = f"{folder} is on a file system mounted {name}" + (f": {harm}" if harm else ", like sudo inside")
            fix = "keep bundles elsewhere, or mount it without"
            yield fail(text, fix) if harm else warn(text, fix)
    if not flags & os.ST_NOEXEC:
        yield ok(f"{folder}: programs can be executed from there")
