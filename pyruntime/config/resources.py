"""`linux.resources`: limits, in the words of cgroup v1 as the spec has them (config-linux.md, "Control groups").

Bytes, microseconds and counts are as the kernel takes them; -1 is "no limit" where the check allows it.
"""

from pyruntime.config.checks import boolean, got, int64, nonempty, one_of, size, string, uint16, uint32, uint64
from pyruntime.config.record import Record, many, maybe, need, otherwise, table
from pyruntime.errors import ConfigError


def _page_size(value: object, path: str) -> str:
    size = value if isinstance(value, str) else ""
    number, unit = size[:-2], size[-2:]
    if unit in ("KB", "MB", "GB") and number.isascii() and number.isdigit() and number[0] != "0":
        return size
    raise ConfigError(path, f'expected a page size such as "64KB" or "2MB", got {got(value)}')


def _rule_type(value: object, path: str) -> str:
    # Engines written in Go write the absent type as an empty one.
    return "a" if value == "" else _abc(value, path)


_abc = one_of("a", "b", "c")


def _access(value: object, path: str) -> str:
    # One letter that means something is enough: what the others come to is for the rule to say (cgroup/devices.py).
    if isinstance(value, str) and not {"r", "w", "m"}.isdisjoint(value):
        return string(value, path)
    raise ConfigError(path, f'expected one to three of the letters "r", "w" and "m", got {got(value)}')


class Memory(Record):
    """Bytes. `swap` counts memory and swap together."""

    limit: "int | None" = maybe(size)
    reservation: "int | None" = maybe(size)
    swap: "int | None" = maybe(size)
    kernel: "int | None" = maybe(size)
    kernelTCP: "int | None" = maybe(size)
    swappiness: "int | None" = maybe(uint64)
    disableOOMKiller: "bool | None" = maybe(boolean)
    useHierarchy: "bool | None" = maybe(boolean)
    checkBeforeUpdate: bool = otherwise(boolean, False)


class CPU(Record):
    """Microseconds for quota, period and burst; `cpus` and `mems` are lists such as "0-3,7", "" when absent."""

    shares: "int | None" = maybe(uint64)
    quota: "int | None" = maybe(int64)
    burst: "int | None" = maybe(uint64)
    period: "int | None" = maybe(uint64)
    realtimeRuntime: "int | None" = maybe(int64)
    realtimePeriod: "int | None" = maybe(uint64)
    cpus: str = otherwise(string, "")
    mems: str = otherwise(string, "")
    idle: "int | None" = maybe(int64)


class Pids(Record):
    """The number of tasks; absent is "leave it as it is"."""

    limit: "int | None" = maybe(int64)


class WeightDevice(Record):
    """A share of one block device."""

    major: int = need(int64)
    minor: int = need(int64)
    weight: "int | None" = maybe(uint16)
    leafWeight: "int | None" = maybe(uint16)


class ThrottleDevice(Record):
    """Bytes or operations a second of one block device."""

    major: int = need(int64)
    minor: int = need(int64)
    rate: int = otherwise(uint64, 0)


class BlockIO(Record):
    """Weights from 10 to 1000 and throttles."""

    weight: "int | None" = maybe(uint16)
    leafWeight: "int | None" = maybe(uint16)
    weightDevice: "list[WeightDevice]" = many(WeightDevice.read)
    throttleReadBpsDevice: "list[ThrottleDevice]" = many(ThrottleDevice.read)
    throttleWriteBpsDevice: "list[ThrottleDevice]" = many(ThrottleDevice.read)
    throttleReadIOPSDevice: "list[ThrottleDevice]" = many(ThrottleDevice.read)
    throttleWriteIOPSDevice: "list[ThrottleDevice]" = many(ThrottleDevice.read)


class HugepageLimit(Record):
    """Bytes in huge pages of one size."""

    pageSize: str = need(_page_size)
    limit: int = need(uint64)


class InterfacePriority(Record):
    """cgroup v1 net_prio of one interface."""

    name: str = need(nonempty)
    priority: int = need(uint32)


class Network(Record):
    """cgroup v1 only."""

    classID: "int | None" = maybe(uint32)
    priorities: "list[InterfacePriority]" = many(InterfacePriority.read)


class Rdma(Record):
    """Limits of one RDMA device."""

    hcaHandles: "int | None" = maybe(uint32)
    hcaObjects: "int | None" = maybe(uint32)


class DeviceRule(Record):
    """One rule of the device allow-list; absent `major` or `minor` (or -1) is any, `type` "a" is both kinds."""

    allow: bool = need(boolean)
    type: str = otherwise(_rule_type, "a")
    major: "int | None" = maybe(int64)
    minor: "int | None" = maybe(int64)
    access: str = need(_access)


class Resources(Record):
    """All limits of one container."""

    memory: "Memory | None" = maybe(Memory.read)
    cpu: "CPU | None" = maybe(CPU.read)
    pids: "Pids | None" = maybe(Pids.read)
    blockIO: "BlockIO | None" = maybe(BlockIO.read)
    hugepageLimits: "list[HugepageLimit]" = many(HugepageLimit.read)
    network: "Network | None" = maybe(Network.read)
    rdma: "dict[str, Rdma]" = table(Rdma.read)
    unified: "dict[str, str]" = table(string)
    devices: "list[DeviceRule]" = many(DeviceRule.read)
