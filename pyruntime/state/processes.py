"""Processes found in /proc when nobody wrote down who they are (proc(5)). Those that end meanwhile are left out."""

import posix as os

from pyruntime.kernel.procfs import read


def pids() -> "list[int]":
    """Every process our /proc shows."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def parent(pid: int) -> int:
    """The pid of the parent (field 4 of /proc/PID/stat), 0 if the process is gone."""
    try:
        text = read(f"/proc/{pid}/stat")
    except OSError:
        return 0
    return int(text[text.rindex(")") + 2 :].split(None, 2)[1])


def descendants(pid: int) -> "list[int]":
    """`pid` and all that descend from it, sorted; [] if it is gone. Orphans that left the family are not found."""
    children: "dict[int, list[int]]" = {}
    for each in pids():
        children.setdefault(parent(each), []).append(each)
    found, fresh = set(), [pid] if parent(pid) else []
    while fresh:
        each = fresh.pop()
        if each not in found:
            found.add(each)
            fresh += children.get(each, [])
    return sorted(found)


def holders(info: os.stat_result) -> "list[int]":
    """Who has this very file open; of the processes whose descriptors we may see, without ourselves."""
    return [pid for pid in pids() if pid != os.getpid() and _holds(pid, info)]


def _holds(pid: int, info: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(_is(f"{folder}/{name}", info) for name in names)


def _is(path: str, info: os.stat_result) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (info.st_dev, info.st_ino)
