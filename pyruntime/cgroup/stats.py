"""The numbers of `events --stats`, in the shape engines know from cgroup v1, out of the files of cgroup v2.

Times are nanoseconds, sizes bytes. A controller that the cgroup does not have counts nothing: its numbers are 0.
"""

from __future__ import annotations

import posix as os

from pyruntime.cgroup.files import pairs, read
from pyruntime.cgroup.members import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

_NO_LIMIT = (1 << 64) - 1
_IO = {  # io.stat's words -> (v1's table, v1's operation)
    "rbytes": ("ioServiceBytesRecursive", "Read"),
    "wbytes": ("ioServiceBytesRecursive", "Write"),
    "rios": ("ioServicedRecursive", "Read"),
    "wios": ("ioServicedRecursive", "Write"),
}
_BLKIO_TABLES = (
    "ioServiceBytesRecursive",
    "ioServicedRecursive",
    "ioQueueRecursive",
    "ioServiceTimeRecursive",
    "ioWaitTimeRecursive",
    "ioMergedRecursive",
    "ioTimeRecursive",
    "sectorsRecursive",
)
_CPUSET_FLAGS = (
    "cpu_exclusive",
    "mem_hardwall",
    "mem_exclusive",
    "memory_migrate",
    "memory_spread_page",
    "memory_spread_slab",
    "memory_pressure",
    "sched_load_balance",
    "sched_relax_domain_level",
)


def stats(directory: str) -> Json:
    """The `data` of one stats event. Raises CgroupError if the cgroup cannot be read at all."""
    return {
        "cpu": _cpu(directory),
        "cpuset": _cpuset(directory),
        "memory": _memory(directory),
        "pids": _pids(directory),
        "blkio": _blkio(directory),
        "hugetlb": _hugetlb(directory),
        "intel_rdt": {},
        "network_interfaces": None,
    }


def _text(directory: str, name: str) -> str:
    try:
        return read(directory, name)
    except OSError:
        return ""


def _number(directory: str, name: str, most: int = _NO_LIMIT) -> int:
    """A file of one number; `max` is `most`, a missing file 0."""
    text = _text(directory, name).strip()
    return int(text) if text.isdigit() else most if text == "max" else 0


def _with_pressure(values: Json, directory: str, name: str) -> Json:
    """Adds `psi` if the kernel counts pressure (CONFIG_PSI)."""
    psi = pressure(_text(directory, name))
    return {**values, "psi": psi} if psi else values


def pressure(text: str) -> Json:
    """A pressure file (accounting/psi.rst): averages are per cent, `total` is microseconds as the kernel has it."""
    found = {}
    for line in text.splitlines():
        kind, *words = line.split()
        values = dict(word.split("=", 1) for word in words)
        averages = {name: float(values[name]) for name in ("avg10", "avg60", "avg300")}
        found[kind] = {**averages, "total": int(values["total"])}
    return found


def _cpu(directory: str) -> Json:
    stat = pairs(_text(directory, "cpu.stat"))
    usage = {
        "total": stat.get("usage_usec", 0) * 1000,
        "percpu": [],
        "percpu_kernel": [],
        "percpu_user": [],
        "kernel": stat.get("system_usec", 0) * 1000,
        "user": stat.get("user_usec", 0) * 1000,
    }
    throttling = {
        "periods": stat.get("nr_periods", 0),
        "throttledPeriods": stat.get("nr_throttled", 0),
        "throttledTime": stat.get("throttled_usec", 0) * 1000,
    }
    return _with_pressure({"usage": usage, "throttling": throttling}, directory, "cpu.pressure")


def _cpuset(directory: str) -> Json:
    return {
        "cpus": numbers(_text(directory, "cpuset.cpus.effective")),
        "mems": numbers(_text(directory, "cpuset.mems.effective")),
        **dict.fromkeys(_CPUSET_FLAGS, 0),
    }


def numbers(text: str) -> list[int]:
    """The numbers of a list such as `0-2,7` (cpuset(7), "List format")."""
    found: list[int] = []
    for part in text.strip().split(",") if text.strip() else ():
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def _memory(directory: str) -> Json:
    raw = pairs(_text(directory, "memory.stat"))
    usage = _entry(directory, "memory", _events(directory, "memory.events").get("max", 0))
    memory = {
        "cache": raw.get("file", 0),
        "usage": usage,
        "swap": _swap(directory, usage),
        "kernel": _zero(),
        "kernelTCP": _zero(),
        "raw": raw,
    }
    return _with_pressure(memory, directory, "memory.pressure")


def _events(directory: str, name: str) -> dict[str, int]:
    return pairs(_text(directory, name))


def _entry(directory: str, name: str, failures: int) -> Json:
    return {
        "limit": _number(directory, f"{name}.max"),
        "usage": _number(directory, f"{name}.current"),
        "max": _number(directory, f"{name}.peak"),
        "failcnt": failures,
    }


def _swap(directory: str, memory: Json) -> Json:
    """v1 counts memory and swap together, and so do those who read this."""
    swap = _entry(directory, "memory.swap", _events(directory, "memory.swap.events").get("max", 0))
    unlimited = _NO_LIMIT in (swap["limit"], memory["limit"])
    limit = _NO_LIMIT if unlimited else swap["limit"] + memory["limit"]
    return {**swap, "usage": swap["usage"] + memory["usage"], "limit": limit}


def _zero() -> Json:
    return {"limit": 0, "usage": 0, "max": 0, "failcnt": 0}


def _pids(directory: str) -> Json:
    """No limit is 0 here. Without the controller the processes are counted instead of the tasks."""
    current = _number(directory, "pids.current") or len(processes(directory))
    return {"current": current, "limit": _number(directory, "pids.max", most=0)}


def _blkio(directory: str) -> Json:
    tables: Json = {name: [] for name in _BLKIO_TABLES}
    for line in _text(directory, "io.stat").splitlines():
        device, *words = line.split()
        major, _, minor = device.partition(":")
        for word in words:
            name, _, value = word.partition("=")
            if name in _IO and minor.isdigit():
                table, operation = _IO[name]
                entry = {"major": int(major), "minor": int(minor), "op": operation, "value": int(value)}
                tables[table].append(entry)
    return _with_pressure(tables, directory, "io.pressure")


def _hugetlb(directory: str) -> Json:
    """By page size. What is reserved (Linux 5.7) contains what is in use."""
    found = {}
    for size in page_sizes():
        for name in (f"hugetlb.{size}.rsvd", f"hugetlb.{size}"):
            usage = _text(directory, f"{name}.current").strip()
            if usage:
                failures = _events(directory, f"hugetlb.{size}.events").get("max", 0)
                found[size] = {"usage": int(usage), "max": 0, "failcnt": failures}
                break
    return found


def page_sizes() -> list[str]:
    """The kernel's huge page sizes as hugetlb's files name them: 2MB, 1GB."""
    try:
        names = os.listdir("/sys/kernel/mm/hugepages")
    except OSError:
        return []
    return sorted(page_size(int(name[len("hugepages-") : -len("kB")])) for name in names)


def page_size(kibibytes: int) -> str:
    """A page size in the form of hugetlb's file names (mem_fmt in mm/hugetlb_cgroup.c)."""
    for unit, factor in (("GB", 1 << 20), ("MB", 1 << 10)):
        if kibibytes >= factor:
            return f"{kibibytes // factor}{unit}"
    return f"{kibibytes}KB"
