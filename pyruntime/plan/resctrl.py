"""`linux.intelRdt`. Loaded only when a configuration has it."""

from pyruntime.config.linux import IntelRdt
from pyruntime.state.store import Container
from pyruntime.steps import resctrl as steps
from pyruntime.steps.base import Step

_WHERE = "linux.intelRdt"


def group(wanted: IntelRdt, root: str, container_id: str) -> "tuple[str, str]":
    """The group's directory, and that of the container's monitoring group or "" (config-linux.md, "IntelRdt")."""
    path = root if wanted.closID == "/" else f"{root}/{wanted.closID or container_id}"
    return path, f"{path}/mon_groups/{container_id}" if wanted.enableMonitoring else ""


def make(wanted: IntelRdt, root: str, container_id: str) -> "list[Step]":
    """The group, before there is a process to put into it."""
    path, monitor = group(wanted, root, container_id)
    lines = [line for line in (wanted.l3CacheSchema, wanted.memBwSchema) if line]
    schemata = [line for line in wanted.schemata if line]
    return [steps.MakeResctrlGroup(_WHERE, root, path, lines, schemata, monitor, bool(wanted.closID))]


def enter(wanted: IntelRdt, root: str, container_id: str) -> "list[Step]":
    """Init is put into the group as soon as it is there."""
    path, monitor = group(wanted, root, container_id)
    return [steps.EnterResctrlGroup(_WHERE, root, [path, monitor] if monitor else [path])]


def join(container: Container) -> "list[Step]":
    """The same for a process of `exec`, from what the state remembers."""
    own, path = container.own["resctrl"], str(container.data["intel_rdt_path"])
    monitor = str(own.get("monitor", ""))
    because = "the container's resctrl group"
    return [steps.EnterResctrlGroup(because, str(own["root"]), [path, monitor] if monitor else [path])]
