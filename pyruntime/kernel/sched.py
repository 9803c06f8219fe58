"""Scheduling and the like: sched_setattr(2), ioprio_set(2), personality(2), sched_setaffinity(2)."""

import _struct
import posix as os

from pyruntime.kernel.syscall import syscall

POLICIES = {
    "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4, "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}  # fmt: skip
FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10, "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}  # fmt: skip
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_EVERY_CPU = b"\xff" * 1024  # a bit for each of 8192, the most a kernel is built for (CONFIG_NR_CPUS)
PERSONALITIES = {"LINUX": 0x0, "LINUX32": 0x8}


def set_attributes(
    policy: str, flags: "list[str]", nice: int, priority: int, runtime: int, deadline: int, period: int
) -> None:
    """sched_setattr(2) on ourselves; the times are nanoseconds. Raises OSError."""
    bits = 0
    for name in flags:
        bits |= FLAGS[name]
    attr = _struct.pack("IIQiIQQQ", 48, POLICIES[policy], bits, nice, priority, runtime, deadline, period)
    syscall("sched_setattr", 0, attr, 0)


def set_io_priority(class_: str, priority: int) -> None:
    """ioprio_set(2) on our process group. Raises OSError."""
    syscall("ioprio_set", 2, 0, IO_CLASSES[class_] << 13 | priority)


def set_personality(domain: str) -> None:
    """personality(2): which machine the process is told it runs on. Raises OSError."""
    syscall("personality", PERSONALITIES[domain])


def reset_affinity() -> None:
    """Let this process run on every CPU its cgroup allows: the caller's own affinity must not leak into a container."""
    try:
        syscall("sched_setaffinity", 0, len(_EVERY_CPU), _EVERY_CPU)
    except OSError:  # a filter of a container around us: the affinity stays as inherited, which is never wider
        return


def set_affinity(cpus: "list[int]") -> None:
    """sched_setaffinity(2) on ourselves. Raises OSError (EINVAL: none of them exists)."""
    os.sched_setaffinity(0, cpus)
