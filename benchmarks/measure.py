"""Run one command and say what it cost.

CPU is user and system time of the command and of every child it waited for (wait4(2)); a container's init, which the
command leaves behind, is charged to nobody. Times are milliseconds, memory is kB (1024 bytes, as /proc says).
"""

import ctypes
import os
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


class Failed(Exception):
    """A command of a candidate failed; the text holds its command line and what it wrote."""


class Cost:
    """What one or several commands took."""

    def __init__(self, cpu: float, wall: float) -> None:
        self.cpu = cpu
        self.wall = wall

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.cpu + other.cpu, self.wall + other.wall)


def adopt_orphans() -> None:
    """Become the parent of inits whose command has left, so that their end can be waited for (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(*command: str) -> Cost:
    """Run a command without input and return its cost; raises Failed unless it exits with 0."""
    with tempfile.TemporaryFile() as output:
        sink = output.fileno()
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, sink, 1),
            (os.POSIX_SPAWN_DUP2, sink, 2),
        ]
        began = time.perf_counter()
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - began
        if status:
            output.seek(0)
            text = output.read().decode("utf-8", "replace").strip()
            raise Failed(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}: {text}")
    return Cost((usage.ru_utime + usage.ru_stime) * 1000, wall * 1000)


def await_end(pid: int) -> None:
    """Wait for an adopted init to end; nothing to do when its runtime has reaped it."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.001)


def memory(pid: int) -> "dict[str, int]":
    """Resident and proportional memory of a process in kB, from smaps_rollup (proc(5))."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        fields = dict(line.split(":", 1) for line in file.readlines()[1:])
    return {name: int(fields[name].split()[0]) for name in ("Rss", "Pss")}
