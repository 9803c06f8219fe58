"""`linux.resources` in the words of cgroup v2: which file gets which value, and which setting asked for it.

Pure. The spec's names are those of v1; cgroup-v2.rst of the kernel describes the files. The order of writes is
pids, memory, io, cpu, cpuset, hugetlb, rdma and at last `unified`, so that the raw values win.
"""

from pyruntime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

_WHERE = "linux.resources."
_THROTTLES = (
    ("throttleReadBpsDevice", "rbps"),
    ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"),
    ("throttleWriteIOPSDevice", "wiops"),
)
_NOT_LIMITS = frozenset(("cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.freeze", "cgroup.type"))


class Write:
    """One value for one file of the cgroup.

    `because`   the path in config.json that asked for it
    `optional`  a missing file is fine, for the kernel does by itself what the value says
    `again`     EINVAL means too early: try once more after the next write
    `instead`   what to write if the file is missing
    """

    __slots__ = ("again", "because", "file", "instead", "optional", "value")

    def __init__(
        self,
        because: str,
        file: str,
        value: str,
        optional: bool = False,
        again: bool = False,
        instead: "Write | None" = None,
    ) -> None:
        self.because = because
        self.file = file
        self.value = value
        self.optional = optional
        self.again = again
        self.instead = instead

    @property
    def controller(self) -> str:
        """The controller the file belongs to, `cgroup` for the core's own."""
        return self.file.partition(".")[0]

    def __repr__(self) -> str:
        return f"Write({self.file} = {self.value!r}, {self.because})"


def writes(resources: "Any", controllers: "Collection[str]") -> "list[Write]":
    """The writes that set `resources` in a cgroup which can have `controllers`, in order.

    Raises ConfigError for a value without meaning, and for a limit whose controller is not to be had. A setting that
    lifts a limit needs no controller: without one there is no limit.
    """
    wanted: list[Write] = []
    for part in (_pids, _memory, _io, _cpu, _cpuset, _hugetlb, _rdma, _unified):
        wanted.extend(part(resources))
    return [write for write in wanted if _possible(write, controllers)]


def _possible(write: Write, controllers: "Collection[str]") -> bool:
    if write.controller in controllers or write.controller == "cgroup":
        return True
    if write.optional or write.value.startswith("max"):
        return False
    has = " ".join(controllers) or "none"
    raise ConfigError(
        write.because,
        f"the {write.controller} controller is not available in this cgroup tree (has: {has}); delegate it"
        f" from the parent cgroup (to users: Delegate={write.controller} in user@.service), boot with"
        " systemd.unified_cgroup_hierarchy=1 where cgroup v1 holds it, or remove it",
    )


def _limit(because: str, value: int) -> str:
    """A v1 limit as v2 has it: -1 is no limit."""
    if value < -1:
        raise ConfigError(f"{_WHERE}{because}", f"{value} is negative; expected -1 for no limit, or a number")
    return "max" if value == -1 else str(value)


def _pids(resources: "Any") -> "Iterator[Write]":
    """0 becomes 1, since 0 would not even let init in; negative is no limit."""
    limit = resources.pids.limit if resources.pids else None
    if limit is not None:
        yield Write(_WHERE + "pids.limit", "pids.max", "max" if limit < 0 else str(limit or 1))


def _memory(resources: "Any") -> "Iterator[Write]":
    """Swap first: it is the one that may be refused for what it says about the other."""
    memory = resources.memory
    if not memory:
        return
    swap = swap_max(memory.limit, memory.swap)
    if swap is not None:
        yield Write(_WHERE + "memory.swap", "memory.swap.max", swap, optional=swap in ("0", "max"))
    if memory.limit:
        yield Write(_WHERE + "memory.limit", "memory.max", _limit("memory.limit", memory.limit))
    if memory.reservation:
        yield Write(_WHERE + "memory.reservation", "memory.low", _limit("memory.reservation", memory.reservation))


def swap_max(limit: "int | None", swap: "int | None") -> "str | None":
    """memory.swap.max for the spec's memory+swap sum, None to leave it alone; bytes.

    Raises ConfigError if the sum makes no sense beside the limit.
    """
    because = _WHERE + "memory.swap"
    if not swap:
        return "max" if limit == -1 else None
    if swap == -1:
        return "max"
    if not limit or limit == -1:
        raise ConfigError(because, "unable to set swap limit without memory limit; set memory.limit too")
    if swap < limit:
        raise ConfigError(because, f"memory+swap limit should be >= memory limit, found {swap} < {limit}")
    return str(swap - limit)


def _io(resources: "Any") -> "Iterator[Write]":
    """BFQ keeps the v1 scale, io.weight has its own; the kernel has the file of the one that is at work."""
    block = resources.blockIO
    if not block:
        return
    if block.weight:
        because = _WHERE + "blockIO.weight"
        plain = Write(because, "io.weight", str(io_weight(block.weight)))
        yield Write(because, "io.bfq.weight", str(block.weight), instead=plain)
    for index, device in enumerate(block.weightDevice or ()):
        if device.weight:
            because, number = f"{_WHERE}blockIO.weightDevice[{index}]", f"{device.major}:{device.minor}"
            plain = Write(because, "io.weight", f"{number} {io_weight(device.weight)}")
            yield Write(because, "io.bfq.weight", f"{number} {device.weight}", instead=plain)
    for name, key in _THROTTLES:
        for index, device in enumerate(getattr(block, name) or ()):
            value = f"{device.major}:{device.minor} {key}={device.rate or 'max'}"
            yield Write(f"{_WHERE}blockIO.{name}[{index}]", "io.max", value)


def io_weight(weight: int) -> int:
    """io.weight (1 to 10000) for a blkio weight (10 to 1000)."""
    return 1 + max(weight - 10, 0) * 9999 // 990


def _cpu(resources: "Any") -> "Iterator[Write]":
    cpu = resources.cpu
    if not cpu:
        return
    if cpu.idle is not None:
        yield Write(_WHERE + "cpu.idle", "cpu.idle", str(cpu.idle), optional=not cpu.idle)
    if cpu.shares and not _is_idle(resources):
        yield Write(_WHERE + "cpu.shares", "cpu.weight", str(cpu_weight(cpu.shares)))
    if cpu.burst is not None:
        # The kernel wants burst <= quota at any time: lowered it must come first, raised it must come second.
        yield Write(_WHERE + "cpu.burst", "cpu.max.burst", str(cpu.burst), optional=not cpu.burst, again=True)
    if cpu.quota or cpu.period:
        quota = str(cpu.quota) if cpu.quota and cpu.quota > 0 else "max"
        because = _WHERE + ("cpu.quota" if cpu.quota else "cpu.period")
        yield Write(because, "cpu.max", f"{quota} {cpu.period or 100000}")


def cpu_weight(shares: int) -> int:
    """cpu.weight (1 to 10000) for cpu.shares (2 to 262144), so that 2, 1024 and 262144 become 1, 100 and 10000.

    The exponent is the parabola through these three points over log2(shares): defaults meet defaults, and the
    fractions of a CPU that Kubernetes asks for keep their distance.
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    log = _log2(shares)
    weight = float(10 ** ((log * log + 125 * log) / 612 - 7 / 34))
    return int(weight) + (weight % 1 > 0)


def _log2(number: int) -> float:
    """math.log2 without `math`, which is a library to load on some builds; 48 bits after the point."""
    whole = number.bit_length() - 1
    rest, fraction, bit = number / (1 << whole), 0.0, 0.5
    for _ in range(48):
        rest *= rest
        if rest >= 2:
            rest /= 2
            fraction += bit
        bit /= 2
    return whole + fraction


def _cpuset(resources: "Any") -> "Iterator[Write]":
    for name in ("cpus", "mems"):
        value = getattr(resources.cpu, name) if resources.cpu else None
        if value:
            yield Write(f"{_WHERE}cpu.{name}", f"cpuset.{name}", value)


def _hugetlb(resources: "Any") -> "Iterator[Write]":
    """Both what is mapped and what is reserved (since Linux 5.7): a reservation alone can starve the neighbours."""
    for index, page in enumerate(resources.hugepageLimits or ()):
        because, size = f"{_WHERE}hugepageLimits[{index}]", page.pageSize
        if "/" in size:
            raise ConfigError(because + ".pageSize", f'"{size}" is not a page size; expected one like "2MB"')
        yield Write(because, f"hugetlb.{size}.max", str(page.limit))
        yield Write(because, f"hugetlb.{size}.rsvd.max", str(page.limit), optional=True)


def _rdma(resources: "Any") -> "Iterator[Write]":
    for device, limits in (resources.rdma or {}).items():
        keys = (("hca_handle", limits.hcaHandles), ("hca_object", limits.hcaObjects))
        given = "".join(f" {key}={value}" for key, value in keys if value is not None)
        if given:
            yield Write(f"{_WHERE}rdma.{device}", "rdma.max", device + given)


def _unified(resources: "Any") -> "Iterator[Write]":
    for file, value in (resources.unified or {}).items():
        because = f"{_WHERE}unified.{file}"
        controller, point, parameter = file.partition(".")
        if "/" in file or not (controller and point and parameter):
            raise ConfigError(because, f'"{file}" is not a file of a cgroup; expected CONTROLLER.PARAMETER, no slashes')
        if file in _NOT_LIMITS:
            raise ConfigError(because, "this file moves or stops processes and is not a setting; remove it")
        if file == "cpu.weight" and _is_idle(resources):
            continue
        for line in value.splitlines():
            yield Write(because, file, line)


def _is_idle(resources: "Any") -> bool:
    """Whether the group is to be idle: it has no weight then, and systemd takes one to mean that it no longer is."""
    return (
        bool(resources.cpu and resources.cpu.idle == 1) or (resources.unified or {}).get("cpu.idle", "").strip() == "1"
    )


def ignored(resources: "Any") -> "list[tuple[str, str]]":
    """(config path, why) of each setting given that cgroup v2 has no place for; a limit of 0 or -1 asks for nothing."""
    return [(_WHERE + path, why) for path, why in _ignored(resources)]


def _ignored(resources: "Any") -> "Iterator[tuple[str, str]]":
    reasons = {
        "memory": (("kernel", "kernelTCP", "swappiness", "disableOOMKiller"), "cgroup v2 has no such setting"),
        "cpu": (("realtimeRuntime", "realtimePeriod"), "cgroup v2 does not control real-time processes"),
        "blockIO": (("leafWeight",), "cgroup v2 has no processes beside child cgroups, so no weight for them"),
        "network": (("classID", "priorities"), "cgroup v2 has no network controller; use an eBPF program or nftables"),
    }
    for part, (names, why) in reasons.items():
        values = getattr(resources, part)
        for name in names:
            given = getattr(values, name, None) if values else None
            if given and given != -1:
                yield f"{part}.{name}", why
    if _is_idle(resources):
        why = "unable to apply both this and cpu.idle, as a group that is idle has no weight"
        if resources.cpu and resources.cpu.shares:
            yield "cpu.shares", why
        if "cpu.weight" in (resources.unified or {}):
            yield "unified.cpu.weight", why
