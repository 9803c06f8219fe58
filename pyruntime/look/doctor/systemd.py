"""systemd: whether it runs here, and whether the manager that would make cgroups answers us."""

import os
from collections.abc import Iterator

from pyruntime.cgroup.systemd.manager import find
from pyruntime.errors import Error
from pyruntime.look.doctor.verdict import Verdict, fail, ok, warn

_BOOTED = "/run/systemd/system"  # sd_booted(3)


def booted() -> bool:
    """Whether the host was started by systemd."""
    return os.path.isdir(_BOOTED)


def presence() -> "Iterator[Verdict]":
    """For whoever uses containers by hand: only --systemd-cgroup needs it."""
    if not booted():
        yield warn(
            f"systemd does not run here (no {_BOOTED}): --systemd-cgroup will be refused",
            "leave --systemd-cgroup out, and let engines use their cgroupfs driver",
        )
        return
    for verdict in manager(user=os.geteuid() != 0):
        yield warn(verdict.text, verdict.fix) if verdict.fix else verdict


def manager(user: bool) -> "Iterator[Verdict]":
    """Whether it answers, for an engine that asks for it."""
    try:
        about = find(user)
    except Error as error:
        problem, _, fix = error.text.rpartition("; ")
        yield fail(problem, fix)
    else:
        whose = "the user's systemd" if about.user else "systemd"
        yield ok(f"cgroup driver: {whose} {about.version} answers at {about.address}")
