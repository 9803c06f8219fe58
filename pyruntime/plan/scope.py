"""The cgroup as a unit of systemd: what `--systemd-cgroup` asks for. Loaded only for it."""

from pyruntime.cgroup import tree
from pyruntime.cgroup.systemd import names, properties, variants
from pyruntime.cgroup.systemd.manager import About
from pyruntime.cgroup.values import Write
from pyruntime.config.spec import Config
from pyruntime.host.facts import Facts
from pyruntime.plan.request import Request
from pyruntime.state.store import Container
from pyruntime.steps import scope as steps
from pyruntime.steps.base import Step


def about(facts: Facts) -> About:
    """The manager that was found while the facts were gathered."""
    if facts.systemd is None:
        raise SystemError("a scope is planned without a manager")
    return facts.systemd


def path(config: Config, request: Request, facts: Facts) -> str:
    """The container's cgroup below the tree's mount. Raises ConfigError for a cgroupsPath of another form."""
    manager = about(facts)
    unit, slice_ = names.unit_and_slice(config.linux.cgroupsPath, request.container_id, manager.user)
    above = tree.own_path(f"0::{manager.control_group or '/'}", facts.cgroup_tree.root)
    return names.scope_path(above, slice_, unit)


def start(config: Config, request: Request, facts: Facts, limits: "list[Write]") -> Step:
    """The step that starts the scope; limits that systemd knows are properties of it. Raises ConfigError."""
    manager = about(facts)
    unit, slice_ = names.unit_and_slice(config.linux.cgroupsPath, request.container_id, manager.user)
    asked = [
        *properties.of_writes(limits, manager.version),
        *properties.oom_policy(limits, manager.version),
        *variants.properties(config.annotations),
    ]
    because = "linux.cgroupsPath" if config.linux.cgroupsPath else "linux.cgroupsPath (unset: the id)"
    where = path(config, request, facts)
    return steps.StartScope(because, unit, slice_, where, asked, manager, facts.cgroup_tree, list(facts.controllers))


def noted(config: Config, request: Request, facts: Facts) -> "dict[str, object]":
    """What the state keeps: which unit, and which manager has it."""
    manager = about(facts)
    unit, _ = names.unit_and_slice(config.linux.cgroupsPath, request.container_id, manager.user)
    return {"unit": unit, "user": manager.user, "address": manager.address}


def attach(container: Container) -> "list[Step]":
    """For `exec` by who may have no right to put a process into the container's cgroup."""
    unit = container.own["systemd"]
    return [steps.AttachToUnit("the container's cgroup", container, unit["unit"], unit["address"], unit["user"])]
