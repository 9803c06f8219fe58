"""Plans with one act of confinement left out, to see what it was good for.

Such a walk happens in a mount namespace that is thrown away afterwards: what leaks, leaks no further.
"""

import os
from collections.abc import Callable

from pyruntime.errors import UsageError
from pyruntime.kernel import mounts, ns
from pyruntime.steps.base import Step
from pyruntime.steps.idmaps import WriteIdMap
from pyruntime.steps.mounts import MountFilesystem
from pyruntime.steps.record import ApplyLimits
from pyruntime.steps.rootfs import ChangeRoot, SetRootPropagation

# mount_namespaces(7): where the new mount namespace belongs to a new user namespace, shared mounts become slaves.
_SLAVES = "nothing happens: in a user namespace of its own the kernel makes its mounts slaves by itself"


class Change:
    """One change of a plan: what it does to the list, and what is to be learnt from it."""

    def __init__(self, name: str, lesson: str, alter: "Callable[[list[Step]], int]") -> None:
        self.name = name
        self.lesson = lesson
        self.alter = alter

    def apply(self, steps: "list[Step]") -> str:
        """Change the list in place; what is to be learnt. Raises UsageError when there is nothing in it to change."""
        if not self.alter(steps):
            raise UsageError(f"--what-if {self.name}: the plan of this bundle has no such step")
        if self.alter is _skip_private and any(isinstance(step, WriteIdMap) for step in steps):
            return _SLAVES
        return self.lesson

    def enter(self) -> None:
        """Leave the host's mount namespace for a copy, whose mounts the host does not share. Raises OSError."""
        if os.geteuid() != 0:
            return  # an ordinary user's container is in a user namespace: its mounts reach nobody
        ns.unshare(["mount"])
        for kind in ("private", "shared"):
            mounts.set_attributes(mounts.AT_FDCWD, 0, propagation=mounts.PROPAGATION[kind], recursive=True, path="/")


def _without(steps: "list[Step]", gone: "Callable[[Step], bool]") -> int:
    before = len(steps)
    steps[:] = [step for step in steps if not gone(step)]
    return before - len(steps)


def _skip_private(steps: "list[Step]") -> int:
    return _without(steps, lambda step: isinstance(step, SetRootPropagation))


def _no_proc(steps: "list[Step]") -> int:
    return _without(steps, lambda step: isinstance(step, MountFilesystem) and step.fstype == "proc")


def _chroot(steps: "list[Step]") -> int:
    found = [step for step in steps if isinstance(step, ChangeRoot) and step.how != "chroot"]
    for step in found:
        step.how = "chroot"
    return len(found)


def _no_pids_limit(steps: "list[Step]") -> int:
    count = 0
    for step in steps:
        if isinstance(step, ApplyLimits):
            kept = [write for write in step.writes if write.file != "pids.max"]
            count += len(step.writes) - len(kept)
            step.writes = kept
    return count


CHANGES = {
    change.name: change
    for change in (
        Change(
            "skip-private", "mounts made inside are seen outside, and pivot_root refuses a shared root", _skip_private
        ),
        Change("chroot", "the host's tree is still mounted below: a root process finds its way out", _chroot),
        Change("no-proc", "/proc is what the rootfs has there: ps shows nothing", _no_proc),
        Change("no-pids-limit", "a fork bomb takes the whole host's process table", _no_pids_limit),
    )
}


def change_of(name: "str | None") -> "Change | None":
    """The change of this name, None for none. Raises UsageError."""
    if name is None:
        return None
    if name not in CHANGES:
        raise UsageError(f"step --what-if {name}: expected one of {', '.join(CHANGES)}")
    return CHANGES[name]
