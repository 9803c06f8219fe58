"""`linux.netDevices`. Loaded only when a configuration names devices."""

from pyruntime.config.linux import NetDevice
from pyruntime.engine.find import load_package
from pyruntime.steps import netdevices as steps
from pyruntime.steps.base import Step


def move(devices: "dict[str, NetDevice]") -> "list[Step]":
    """All of them, in the configuration's order, once init is in its network namespace."""
    named = [(name, device.name or name) for name, device in devices.items()]
    return [steps.MoveNetDevices("linux.netDevices", named, lambda: load_package("pyroute2"))]
