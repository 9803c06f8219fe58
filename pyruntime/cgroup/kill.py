"""Killing a cgroup whole, and signalling everyone in it."""

import posix as os
from time import monotonic

from pyruntime.cgroup.files import EOPNOTSUPP, GONE, CgroupError, write
from pyruntime.cgroup.freezer import freeze, frozen, thaw, wait_for
from pyruntime.cgroup.members import processes
from pyruntime.kernel.pidfd import pidfd_open, pidfd_send_signal

SIGKILL = 9
_ESRCH, _EINVAL, _ENOENT = 3, 22, 2


def kill(directory: str, seconds: float = 10.0) -> None:
    """SIGKILL every process of the cgroup and below, frozen or not; returns before they are gone.

    Uses cgroup.kill (Linux 5.14). Without it, or in a threaded cgroup: freeze, signal, thaw, again until empty, and
    CgroupError if that takes more than `seconds`.
    """
    try:
        write(directory, "cgroup.kill", "1")
    except OSError as error:
        if error.errno not in (*GONE, EOPNOTSUPP):
            raise CgroupError.of(f"cannot kill the cgroup {directory}", error) from None
        _kill_one_by_one(directory, seconds)


def _kill_one_by_one(directory: str, seconds: float) -> None:
    deadline = monotonic() + seconds
    while processes(directory):
        signal_all(directory, SIGKILL)
        if not wait_for(directory, "populated", 0, 0.1) and monotonic() > deadline:
            raise CgroupError(f"cannot kill the cgroup {directory}: still has processes {processes(directory)}")


def signal_all(directory: str, number: int) -> None:
    """Send a signal to every process of the cgroup and below, while none of them can fork.

    A cgroup that was frozen stays so, except for SIGKILL.
    """
    before = frozen(directory)
    try:
        freeze(directory, 1.0)
    except CgroupError:
        pass  # one process that cannot be frozen must not save the others; the caller looks again
    try:
        for pid in processes(directory):
            _signal(pid, number)
    finally:
        if not before or number == SIGKILL:
            thaw(directory)


def _signal(pid: int, number: int) -> None:
    """Through a pidfd, so that no other process gets it; gone, or a thread of one already met, is fine."""
    try:
        fd = pidfd_open(pid)
    except OSError as error:
        if error.errno in (_ESRCH, _EINVAL, _ENOENT):
            return
        raise CgroupError.of(f"cannot signal process {pid}", error) from None
    try:
        pidfd_send_signal(fd, number)
    except OSError as error:
        if error.errno != _ESRCH:
            raise CgroupError.of(f"cannot signal process {pid}", error) from None
    finally:
        os.close(fd)
