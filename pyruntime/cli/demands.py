"""What some configurations need of a host and most do not: security modules, resctrl, a package.

Looked at before anything is made, and loaded only for a configuration that asks. Each answer goes into the facts.
"""

from _socket import if_nametoindex

from pyruntime.config.checks import quoted
from pyruntime.config.linux import NetDevice
from pyruntime.config.process import Process
from pyruntime.config.spec import Config
from pyruntime.engine.find import load_package
from pyruntime.errors import ConfigError, Error, Unsupported
from pyruntime.host.facts import Facts
from pyruntime.kernel import lsm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SELINUX = "selinux label is specified in config, but selinux is disabled or not supported"
_APPARMOR = "apparmor: config provided but apparmor not supported"


def demand(config: Config, facts: Facts) -> None:
    """Raise Unsupported for the first thing that this host lacks."""
    for ask in checks(config, facts):
        ask()


def checks(config: Config, facts: Facts) -> "list[Callable[[], None]]":
    """One check for each thing that is asked for; `explain` goes on after a failing one."""
    found: "list[Callable[[], None]]" = []
    process, linux = config.process, config.linux
    if process is not None:
        found.append(lambda: demand_process(process, facts))
    if linux.mountLabel:
        found.append(lambda: _selinux("linux.mountLabel"))
    if linux.intelRdt is not None:
        found.append(lambda: _resctrl(facts))
    if linux.netDevices:
        found.append(lambda: _net_devices(linux.netDevices, facts))
    return found


def demand_process(process: Process, facts: Facts) -> None:
    """The profile and the label of one process, the container's or that of `exec`. Raises Unsupported."""
    if process.apparmorProfile:
        facts.apparmor = lsm.apparmor_on()
        if not facts.apparmor and process.apparmorProfile != "unconfined":
            raise Unsupported("process.apparmorProfile", f"{_APPARMOR}: AppArmor is not on here; remove the profile")
    if process.selinuxLabel:
        _selinux("process.selinuxLabel")


def _selinux(path: str) -> None:
    if not lsm.selinux_on():
        raise Unsupported(path, f"{_SELINUX}: no policy is in force here; remove the label")


def _resctrl(facts: Facts) -> None:
    from pyruntime.kernel import resctrl

    facts.resctrl = resctrl.find_root()
    if not facts.resctrl:
        facts.resctrl = "/sys/fs/resctrl"  # what `explain` goes on with
        raise Unsupported(
            "linux.intelRdt",
            "Intel RDT not available: no resctrl filesystem is mounted; where the processor has it: "
            "mount -t resctrl resctrl /sys/fs/resctrl",
        )


def _net_devices(devices: "dict[str, NetDevice]", facts: Facts) -> None:
    """The right to move them, the devices, and the package that can: all of it before anything is made."""
    if facts.rootless:
        raise Unsupported("linux.netDevices", "network devices are not supported for rootless containers; remove them")
    for name in devices:
        try:
            if_nametoindex(name)
        except OSError:
            where = f"linux.netDevices[{quoted(name)}]"
            raise ConfigError(where, "no such device in this network namespace; see ip link") from None
    try:
        load_package("pyroute2")
    except Error as error:
        raise Unsupported("linux.netDevices", error.text) from None


def imagine(config: Config, facts: Facts) -> "list[str]":
    """Tell what is lacking, and go on as if it were there: for `explain`."""
    told = []
    for ask in checks(config, facts):
        try:
            ask()
        except Error as error:
            told.append(error.text)
    return told
