"""Rules for `linux.resources`, shared by a container's own and those of `update`."""

from pyruntime.config.checks import quoted
from pyruntime.config.resources import Resources
from pyruntime.config.rules.files import LARGEST_MAJOR, LARGEST_MINOR
from pyruntime.errors import ConfigError

_KINDS_OF_THROTTLE = (
    "throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice", "throttleWriteIOPSDevice",
)  # fmt: skip


def _range(number: "int | None", low: int, high: int, path: str) -> None:
    if number is not None and not low <= number <= high:
        raise ConfigError(path, f"expected an integer from {low} to {high}, got {number}")


def memory(resources: Resources, path: str) -> None:
    """Bytes, or -1 for no limit."""
    wanted = resources.memory
    for name in ("limit", "reservation", "swap") if wanted else ():
        value = getattr(wanted, name)
        if value is not None and value < -1:
            raise ConfigError(f"{path}.memory.{name}", f"expected bytes, or -1 for no limit, got {value}")


def swap(resources: Resources, path: str) -> None:
    """`swap` counts memory too, so it needs the limit and is no smaller."""
    wanted, where = resources.memory, f"{path}.memory.swap"
    if wanted is None or not wanted.swap or wanted.swap < 0:
        return
    if wanted.limit is None or wanted.limit <= 0:
        raise ConfigError(where, f"unable to set swap limit without memory limit; set {path}.memory.limit too")
    swap_below_limit(resources, path)


def swap_below_limit(resources: Resources, path: str) -> None:
    """The part of `swap` that also holds for an update, where an absent limit keeps its old value."""
    wanted = resources.memory
    if wanted is not None and wanted.limit and wanted.swap and 0 < wanted.swap < wanted.limit:
        found = f"got {wanted.swap} for swap and {wanted.limit} for the limit"
        raise ConfigError(f"{path}.memory.swap", f"memory+swap limit should be >= memory limit, {found}")


def cpu(resources: Resources, path: str) -> None:
    """What cpu.max, cpu.max.burst and cpu.idle take (cgroup-v2.rst); 0 is "unset"."""
    wanted, where = resources.cpu, f"{path}.cpu"
    if wanted is None:
        return
    _range(wanted.idle, 0, 1, f"{where}.idle")
    _range(wanted.period or None, 1000, 1_000_000, f"{where}.period")
    quota = wanted.quota or 0
    if 0 < quota < 1000:
        raise ConfigError(
            f"{where}.quota",
            f"expected at least 1000 microseconds, the kernel's minimum, or -1 for no limit, got {quota}",
        )
    if wanted.burst and 0 < quota < wanted.burst:
        raise ConfigError(f"{where}.burst", f"expected at most the quota of {quota}, got {wanted.burst}")


def block_io(resources: Resources, path: str) -> None:
    """Weights from 10 to 1000 (0 is "unset"), devices with numbers that exist."""
    wanted, where = resources.blockIO, f"{path}.blockIO"
    if wanted is None:
        return
    _range(wanted.weight or None, 10, 1000, f"{where}.weight")
    for index, device in enumerate(wanted.weightDevice):
        _range(device.weight or None, 10, 1000, f"{where}.weightDevice[{index}].weight")
    for kind in ("weightDevice", *_KINDS_OF_THROTTLE):
        for index, device in enumerate(getattr(wanted, kind)):
            _range(device.major, 0, LARGEST_MAJOR, f"{where}.{kind}[{index}].major")
            _range(device.minor, 0, LARGEST_MINOR, f"{where}.{kind}[{index}].minor")


def unified(resources: Resources, path: str) -> None:
    """Keys are names of files in a cgroup: controller.parameter."""
    for key in resources.unified:
        controller, _, parameter = key.partition(".")
        if "/" in key or not controller or not parameter:
            where = f"{path}.unified[{quoted(key)}]"
            raise ConfigError(where, 'expected a file name such as "memory.high", without "/"')


def device_rules(resources: Resources, path: str) -> None:
    """Numbers that the kernel can hold; -1 is "any", as an absent one."""
    for index, rule in enumerate(resources.devices):
        where = f"{path}.devices[{index}]"
        _range(rule.major, -1, LARGEST_MAJOR, f"{where}.major")
        _range(rule.minor, -1, LARGEST_MINOR, f"{where}.minor")


RULES = (memory, swap, cpu, block_io, unified, device_rules)
RULES_OF_UPDATE = (memory, swap_below_limit, cpu, block_io, unified, device_rules)
