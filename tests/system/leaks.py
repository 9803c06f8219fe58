"""What a container could leave behind on the host: counted before a test, and again after it."""

import ctypes
import os
import time
from pathlib import Path
from typing import Any

from tests.system.harness import PATIENCE, PREFIX

_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Let orphans come to this process, so that none of them can get out of the count."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def cgroup2_mount() -> str:
    """Where this host mounts its cgroup2 tree, the last one if there are several; "" where it does not."""
    with open("/proc/self/mountinfo") as lines:
        fields = [line.split() for line in lines]
    return next((each[4] for each in reversed(fields) if each[each.index("-") + 1] == "cgroup2"), "")


def descendants(pid: int) -> "dict[int, str]":
    """Every process below `pid` that is no zombie, with its command line."""
    found: "dict[int, str]" = {}
    for child in children(pid):
        state, text = _look(child)
        if state not in ("Z", "X", ""):
            found[child] = text
        found.update(descendants(child))
    return found


def children(pid: int) -> "list[int]":
    """The processes whose parent is `pid`."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _look(pid: int) -> "tuple[str, str]":
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state, Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return "", ""


def reap() -> None:
    """Collect the orphans that came to us and have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


def cgroups() -> "set[str]":
    """Our containers' cgroups: every directory of the tree with our prefix in its path."""
    mount = cgroup2_mount()
    return {path for path, _, _ in os.walk(mount) if PREFIX in path} if mount else set()


def namespaces() -> "set[str]":
    """The namespaces that processes below us are in, and those that mounts of nsfs keep."""
    found = {line.split()[3] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " nsfs " in line}
    for pid in (os.getpid(), *descendants(os.getpid())):
        try:
            found.update(os.readlink(f"/proc/{pid}/ns/{name}") for name in os.listdir(f"/proc/{pid}/ns"))
        except OSError:
            continue
    return found


def keyrings() -> "set[str]":
    """Session keyrings named after containers of ours."""
    return {line.split()[0] for line in Path("/proc/keys").read_text().splitlines() if f"_ses.{PREFIX}" in line}


def mounts() -> "list[str]":
    """The mount table of this process's mount namespace, without the numbers that change by themselves."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sorted(" ".join(line.split()[2:6]) for line in lines)


def snapshot() -> "dict[str, Any]":
    """Everything that a container could leave on the host."""
    return {
        "processes": descendants(os.getpid()),
        "mounts": mounts(),
        "cgroups": cgroups(),
        "namespaces": namespaces(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "keyrings": keyrings(),
    }


def assert_nothing_left(before: "dict[str, Any]", seconds: float = 5) -> None:
    """Compare with an earlier snapshot; what the kernel takes away late is given a moment."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        reap()
        now = snapshot()
        if now == before:
            return
        if time.monotonic() > end:
            for kind in before:
                assert now[kind] == before[kind], f"{kind} are left behind"
        time.sleep(0.02)


def kill_leftovers(before: "dict[int, str]") -> None:
    """After a failed test: end the processes below us that were not there before, by pid, and remove our cgroups."""
    for pid in descendants(os.getpid()):
        if pid not in before:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
    time.sleep(0.1)
    reap()
    for path in sorted(cgroups(), reverse=True):
        try:
            os.rmdir(path)
        except OSError:
            continue
