"""Filters of system calls and security modules."""

import os
from collections.abc import Iterator

from pyruntime.kernel import lsm
from pyruntime.kernel.seccomp import supported_flags
from pyruntime.look.doctor.verdict import Verdict, fail, ok, unknown

_ACTIONS = "/proc/sys/kernel/seccomp/actions_avail"
_SYSFS = "/sys/module"
_LOADED = "/sys/kernel/security/lsm"


def seccomp() -> "Iterator[Verdict]":
    """Whether filters can be loaded, and which actions they may have."""
    try:
        with open(_ACTIONS, encoding="ascii") as file:
            actions = file.read().split()
    except OSError:
        yield fail("no seccomp filters", "a kernel with CONFIG_SECCOMP_FILTER; engines give every container one")
        return
    flags = [name.removeprefix("SECCOMP_FILTER_FLAG_").lower() for name in supported_flags()]
    yield ok(f"seccomp: {' '.join(actions)}; flags {' '.join(flags)}")


def modules() -> "Iterator[Verdict]":
    """AppArmor and SELinux: on, or off, or not to be seen."""
    if not os.path.isdir(_SYSFS):
        yield unknown("security modules can't be looked at: no sysfs here", "mount -t sysfs sysfs /sys")
        return
    try:
        with open(_LOADED, encoding="ascii") as file:
            loaded = file.read().strip()
    except OSError:  # securityfs is not mounted
        loaded = "not listed"
    on = [name for name, asked in (("AppArmor", lsm.apparmor_on), ("SELinux", lsm.selinux_on)) if asked()]
    yield ok(f"security modules: {loaded}; in force: {' '.join(on) or 'neither AppArmor nor SELinux'}")
