"""The freezer of a cgroup, and waiting for what cgroup.events tells (cgroup-v2.rst, "Core Interface Files").

A cgroup that is gone is neither frozen nor populated. Directories are paths.
"""

import posix as os
import select
from time import monotonic

from pyruntime.cgroup.files import GONE, CgroupError, pairs, read, read_all, write

_START = 0  # SEEK_SET, which only `os` has


def frozen(directory: str) -> bool:
    """Whether someone paused this cgroup itself; a frozen ancestor does not count, for `thaw` could not end that."""
    try:
        return read(directory, "cgroup.freeze").strip() == "1"
    except OSError as error:
        if error.errno in GONE:
            return False
        raise CgroupError.of(f"cannot read cgroup.freeze of the cgroup {directory}", error) from None


def populated(directory: str) -> bool:
    """Whether a process lives in the cgroup or below."""
    return events(directory).get("populated", 0) == 1


def events(directory: str) -> "dict[str, int]":
    """cgroup.events: `populated` and `frozen` (since Linux 5.2), each 0 or 1; {} for a cgroup that is gone."""
    try:
        return pairs(read(directory, "cgroup.events"))
    except OSError as error:
        if error.errno in GONE:
            return {}
        raise CgroupError.of(f"cannot read cgroup.events of the cgroup {directory}", error) from None


def oom_kills(directory: str) -> int:
    """How many processes the out-of-memory killer has killed here and below; 0 without the memory controller."""
    try:
        return pairs(read(directory, "memory.events")).get("oom_kill", 0)
    except OSError:
        return 0


def freeze(directory: str, seconds: float = 10.0) -> None:
    """Stop every process of the cgroup and wait until they stand still.

    Raises CgroupError, after thawing, if they do not within `seconds`.
    """
    try:
        write(directory, "cgroup.freeze", "1")
    except OSError as error:
        raise CgroupError.of(f"cannot freeze the cgroup {directory}", error) from None
    try:
        stopped = wait_for(directory, "frozen", 1, seconds)
    except BaseException:
        thaw(directory)
        raise
    if not stopped:
        thaw(directory)
        raise CgroupError(
            f"cannot freeze the cgroup {directory}: a process in it did not stop within {seconds:g} s"
            " (uninterruptible sleep?); it was thawed again"
        )


def thaw(directory: str) -> None:
    """Let the processes run again. Does not wait: under a frozen ancestor it would wait for that one."""
    try:
        write(directory, "cgroup.freeze", "0")
    except OSError as error:
        if error.errno not in GONE:
            raise CgroupError.of(f"cannot thaw the cgroup {directory}", error) from None


def wait_for(directory: str, event: str, value: int, seconds: float) -> bool:
    """Wait until cgroup.events says `event value`; False if `seconds` pass first. A cgroup that is gone counts as yes.

    kernfs reports a change by POLLPRI, once per open file and relative to what was read last.
    """
    try:
        fd = os.open(f"{directory}/cgroup.events", os.O_RDONLY)
    except OSError as error:
        if error.errno in GONE:
            return True
        raise CgroupError.of(f"cannot watch the cgroup {directory}", error) from None
    try:
        return _wait(fd, event, value, monotonic() + seconds)
    finally:
        os.close(fd)


def _wait(fd: int, event: str, value: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLPRI | select.POLLERR)
    while True:
        try:
            os.lseek(fd, 0, _START)
            if pairs(read_all(fd)).get(event) == value:
                return True
        except OSError as error:
            if error.errno in GONE:
                return True
            raise
        left = deadline - monotonic()
        if left <= 0:
            return False
        poll.poll(left * 1000)
