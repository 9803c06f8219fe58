"""A cgroup's limits against its use (cgroup-v2.rst). Sizes are bytes, times seconds; None is no limit or no number."""

import os
import re
from typing import Any

from pyruntime.cgroup import tree
from pyruntime.cgroup.files import pairs
from pyruntime.cgroup.stats import pressure
from pyruntime.look.inspect.proc import text

# How engines name the cgroups of their containers, and the id within.
_ENGINES = (
    ("Docker", re.compile(r"docker[-/]([0-9a-f]{12,64})")),
    ("CRI (containerd)", re.compile(r"cri-containerd[-:]([0-9a-f]{12,64})")),
    ("CRI-O", re.compile(r"crio-([0-9a-f]{12,64})")),
    ("Podman", re.compile(r"libpod-([0-9a-f]{12,64})")),
    ("Kubernetes", re.compile(r"kubepods.*?pod([0-9a-f_-]{32,36})")),
)


def path(pid: "int | str") -> str:
    """The cgroup v2 path that /proc/PID/cgroup names, "" without one."""
    for line in (text(pid, "cgroup") or "").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return ""


def directory(cgroup: str) -> str:
    """Where a cgroup lies in the mounted tree, "" when it is not to be seen."""
    found = tree.read_tree()
    place = found.directory(cgroup) if found.mount and cgroup else ""
    return place if place and os.path.isdir(place) else ""


def engine(cgroup: str) -> "dict[str, str] | None":
    """Which engine's container a cgroup seems to be, by its name alone."""
    for name, pattern in _ENGINES:
        found = pattern.search(cgroup)
        if found:
            return {"engine": name, "id": found[1]}
    return None


def report(place: str) -> "dict[str, Any]":
    """The numbers of one cgroup directory; a controller that it does not have is left out."""
    found: "dict[str, Any]" = {"frozen": (_read(place, "cgroup.freeze") or "").strip() == "1"}
    parts = {"memory": _memory(place), "cpu": _cpu(place), "pids": _pids(place), "io": _io(place)}
    found.update({name: part for name, part in parts.items() if part is not None})
    return found


def _read(place: str, name: str) -> "str | None":
    try:
        with open(f"{place}/{name}", encoding="ascii") as file:
            return file.read()
    except OSError:
        return None


def _number(place: str, name: str) -> "int | None":
    word = (_read(place, name) or "").strip()
    return int(word) if word.isdigit() else None


def _stalled(place: str, name: str) -> "float | None":
    """Per cent of the last ten seconds in which some task waited (accounting/psi.rst)."""
    some = pressure(_read(place, name) or "").get("some")
    return some["avg10"] if some else None


def _memory(place: str) -> "dict[str, Any] | None":
    if _number(place, "memory.current") is None:
        return None
    events = pairs(_read(place, "memory.events") or "")
    return {
        "current": _number(place, "memory.current"),
        "max": _number(place, "memory.max"),
        "peak": _number(place, "memory.peak"),
        "swap": _number(place, "memory.swap.current"),
        "swapMax": _number(place, "memory.swap.max"),
        "oomKills": events.get("oom_kill", 0),
        "limitHits": events.get("max", 0),
        "pressure": _stalled(place, "memory.pressure"),
    }


def _cpu(place: str) -> "dict[str, Any] | None":
    stat = pairs(_read(place, "cpu.stat") or "")
    if not stat:
        return None
    quota, _, period = (_read(place, "cpu.max") or "max 1").strip().partition(" ")
    return {
        "used": stat.get("usage_usec", 0) / 1e6,
        "max": int(quota) / int(period) if quota.isdigit() else None,
        "weight": _number(place, "cpu.weight"),
        "throttled": stat.get("nr_throttled", 0),
        "throttledFor": stat.get("throttled_usec", 0) / 1e6,
        "pressure": _stalled(place, "cpu.pressure"),
    }


def _pids(place: str) -> "dict[str, Any] | None":
    current = _number(place, "pids.current")
    if current is None:
        return None
    hits = pairs(_read(place, "pids.events") or "").get("max", 0)
    return {"current": current, "max": _number(place, "pids.max"), "limitHits": hits}


def _io(place: str) -> "dict[str, Any] | None":
    lines = _read(place, "io.stat")
    if lines is None:
        return None
    sums = {"rbytes": 0, "wbytes": 0}
    for line in lines.splitlines():
        for word in line.split()[1:]:
            name, _, value = word.partition("=")
            if name in sums:
                sums[name] += int(value)
    return {"read": sums["rbytes"], "written": sums["wbytes"], "pressure": _stalled(place, "io.pressure")}
