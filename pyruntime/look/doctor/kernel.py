"""The kernel: its calls, tried, and its namespaces."""

import os
import re
from collections.abc import Iterator

from pyruntime.kernel import caps
from pyruntime.kernel.syscall import syscall
from pyruntime.look.doctor.verdict import Verdict, fail, ok, warn

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
_OF_MOUNTS = ("move_mount", "mount_setattr")  # the kernel itself refuses them to who has no CAP_SYS_ADMIN
_NAMESPACES = ("mnt", "uts", "ipc", "net", "pid", "user", "cgroup")
_PROC_SYS = "/proc/sys"
_OUTSIDE = "let the runtime outside allow it, by its seccomp profile"


def calls() -> "Iterator[Verdict]":
    """System calls, each made with arguments that it must refuse."""
    release = os.uname().release
    answers = {name: _answer(name, arguments) for name, (arguments, _) in _CALLS.items()}
    lacking = [name for name, answer in answers.items() if answer == _ENOSYS]
    for name in lacking:
        text, fix = _missing(name, release)
        yield fail(text, fix) if name in _NEEDED else warn(f"{text}; an older way is taken", fix)
    if not lacking:
        yield ok(f"kernel {release}: {', '.join(_CALLS)}")
    own = _OF_MOUNTS if not caps.mask(["CAP_SYS_ADMIN"]) & caps.capget()[0] else ()
    refused = [name for name, answer in answers.items() if answer == _EPERM and name not in ("clone3", *own)]
    if refused:
        yield warn(f"a filter around us forbids {', '.join(refused)}", _OUTSIDE)


def _missing(name: str, release: str) -> "tuple[str, str]":
    """What it means that a call is not there: an old kernel says so, and so do filters that want one to believe it."""
    since = _CALLS[name][1]
    if _number(release) < _number(since):
        return f"kernel {release}: no {name}, which Linux {since} has", f"a kernel from {since} on"
    return f"kernel {release} has {name}, and a filter around us says that it has not", _OUTSIDE


def _number(release: str) -> "tuple[int, ...]":
    """The first two numbers of a release."""
    return tuple(int(word) for word in re.findall(r"\d+", release)[:2])


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
