"""Limits as properties of a unit: systemd.resource-control(5), org.freedesktop.systemd1(5). Pure.

systemd writes the files of a unit's cgroup again whenever it is told to reload, from the properties it knows of. So
every limit that is one of its properties is made one; all of them are written to the files as well, exactly.
Devices are not among them: systemd's program for devices would stand beside ours and can express less.
"""

from pyruntime.cgroup.values import Write
from pyruntime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Property = tuple[str, tuple[str, Any]]

INFINITY = 2**64 - 1  # also "not set", for weights
_SECOND = 1_000_000  # microseconds
_PERCENT = 10_000  # microseconds of a second: what systemd keeps of a quota
_PERIOD = 100_000  # microseconds, the kernel's and systemd's default
_BITS = 1 << 16  # more than the kernel has CPUs or memory nodes
_AMOUNTS = {
    "memory.max": "MemoryMax",
    "memory.high": "MemoryHigh",
    "memory.low": "MemoryLow",
    "memory.min": "MemoryMin",
    "memory.swap.max": "MemorySwapMax",
    "pids.max": "TasksMax",
}
_SETS = {"cpuset.cpus": "AllowedCPUs", "cpuset.mems": "AllowedMemoryNodes"}
_WEIGHTS = {"cpu.weight": "CPUWeight", "io.weight": "IOWeight"}
_SINCE = {  # the version of systemd that first had the property, or the value
    "CPUQuotaPeriodUSec": 242,
    "AllowedCPUs": 244,
    "AllowedMemoryNodes": 244,
    "idle": 252,
    "OOMPolicy": 253,
}
_UNSET: "dict[str, tuple[str, Any]]" = {
    **{name: ("t", 0 if name in ("MemoryLow", "MemoryMin") else INFINITY) for name in _AMOUNTS.values()},
    **{name: ("t", INFINITY) for name in (*_WEIGHTS.values(), "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec")},
    **{name: ("ay", b"") for name in _SETS.values()},
}


def of_unit(unit: str, slice_: str, pid: int) -> "list[Property]":
    """What every scope of ours is started with: its first process, and all its controllers for the container to use."""
    accounted = [(f"{what}Accounting", ("b", True)) for what in ("Memory", "CPU", "IO", "Tasks")]
    return [
        ("Description", ("s", f"container {unit.removesuffix('.scope')}")),
        ("Slice", ("s", slice_)),
        ("Delegate", ("b", True)),
        ("PIDs", ("au", [pid])),
        *accounted,
        ("DefaultDependencies", ("b", False)),
    ]


def of_writes(writes: "Iterable[Write]", version: int) -> "list[Property]":
    """The properties that say what these writes of limits do, as far as this version of systemd has them.

    Where two writes are for one property the later one wins, as it does in the file. Raises ConfigError for a value
    that is none.
    """
    found: "dict[str, tuple[str, Any]]" = {}
    idle = False
    for write in writes:
        if write.file == "cpu.idle":
            idle = write.value.strip() == "1"
            if not idle or version >= _SINCE["idle"]:
                found["CPUWeight"] = ("t", 0 if idle else INFINITY)
            continue
        for name, value in _of_write(write):
            if version >= _SINCE.get(name, 0) and not (idle and name == "CPUWeight"):
                found[name] = value
    return list(found.items())


def _of_write(write: Write) -> "list[Property]":
    if write.file in _AMOUNTS:
        name = _AMOUNTS[write.file]
        amount = INFINITY if write.value.strip() == "max" else _number(write, write.value)
        return [(name, ("t", max(amount, 1) if name == "TasksMax" else amount))]
    if write.file in _SETS:
        return [(_SETS[write.file], ("ay", mask(write.value, write.because)))]
    if write.file == "cpu.max":
        return _quota(write)
    plain = write.instead or write
    if plain.file in _WEIGHTS:
        value = plain.value.removeprefix("default ").strip()
        return [] if ":" in value else [(_WEIGHTS[plain.file], ("t", _number(write, value)))]
    return []


def _number(write: Write, text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and int(text) <= INFINITY):
        raise ConfigError(write.because, f'expected a number for {write.file}, got "{text[:64]}"')
    return int(text)


def _quota_of(write: Write) -> "tuple[int | None, int]":
    """(quota or None, period) of a write to cpu.max, microseconds."""
    quota, _, period = write.value.strip().partition(" ")
    period_usec = _number(write, period) if period.strip() else _PERIOD
    if not period_usec:
        raise ConfigError(write.because, "a period of 0 µs; the kernel takes 1000 to 1000000 µs")
    return None if quota == "max" else _number(write, quota), period_usec


def _quota(write: Write) -> "list[Property]":
    quota, period = _quota_of(write)
    a_second = INFINITY if quota is None else _per_second(quota, period)
    return [("CPUQuotaPeriodUSec", ("t", period)), ("CPUQuotaPerSecUSec", ("t", a_second))]


def _per_second(quota: int, period: int) -> int:
    """Microseconds of CPU time a second, rounded up to what systemd keeps."""
    return -(-(quota * _SECOND // period) // _PERCENT) * _PERCENT


def rounded(writes: "Iterable[Write]") -> "list[Write]":
    """The writes with every quota as systemd will write it too: rounded up to whole hundredths of a CPU."""
    return [_rounded(write) if write.file == "cpu.max" else write for write in writes]


def _rounded(write: Write) -> Write:
    quota, period = _quota_of(write)
    if quota is None or quota * _SECOND // period % _PERCENT == 0:
        return write
    more = _per_second(quota, period) * period // _SECOND
    return Write(write.because, write.file, f"{more} {period}", write.optional, write.again, write.instead)


def mask(text: str, because: str) -> bytes:
    """A list such as `0-3,7` as systemd takes it: a bit for each number, the first byte has 0 to 7.

    Raises ConfigError.
    """
    bits = 0
    for part in text.replace("\n", "").split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdigit() and len(end) < 6 for end in ends) or int(ends[0]) > int(ends[1]):
            raise ConfigError(because, f'expected a list such as "0-2,7", got "{text[:64]}"')
        if int(ends[1]) >= _BITS:
            raise ConfigError(because, f"{ends[1]} is above {_BITS - 1}, more than the kernel has")
        bits |= (1 << int(ends[1]) + 1) - (1 << int(ends[0]))
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def oom_policy(writes: "Iterable[Write]", version: int) -> "list[Property]":
    """OOMPolicy, which only a new unit takes: what `memory.oom.group` in `unified` says."""
    words = {"0": "continue", "1": "kill"}
    found = [words[w.value.strip()] for w in writes if w.file == "memory.oom.group" and w.value.strip() in words]
    return [("OOMPolicy", ("s", found[-1]))] if found and version >= _SINCE["OOMPolicy"] else []


def back(former: "Iterable[Property]", changed: "Iterable[Property]") -> "list[Property]":
    """The properties that take `changed` back: their former values, or what a unit without them has."""
    before = dict(former)
    return [(name, before.get(name) or _UNSET[name]) for name, _ in changed]


def shown(found: "Iterable[Property]") -> str:
    """`Name=value` of each, for people."""
    return ", ".join(f"{name}={_shown(*value)}" for name, value in found)


def _shown(kind: str, value: "Any") -> str:
    if kind == "ay":
        bits = int.from_bytes(value, "little")
        return ",".join(str(number) for number in range(bits.bit_length()) if bits >> number & 1)
    if kind == "b":
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(str(each) for each in value)
    return "infinity" if kind == "t" and value == INFINITY else str(value)
