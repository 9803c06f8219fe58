"""The cgroup and what it limits."""

from pyruntime.cgroup import devices as rules
from pyruntime.cgroup.values import Write, writes
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError
from pyruntime.host.facts import Facts
from pyruntime.plan.request import Request
from pyruntime.steps import record as steps
from pyruntime.steps.base import Step

_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc")


def make(config: Config, facts: Facts, path: str) -> "list[Step]":
    """The cgroup and its device program, before init exists; nothing where no cgroup is wanted."""
    if not path:
        refuse(config, "cannot set limits without cgroups (--cgroup-manager disabled); remove it, or the flag")
        return []
    lenient = facts.rootless and not config.linux.cgroupsPath and not _limits(config, facts)
    because = "linux.cgroupsPath" if config.linux.cgroupsPath else "linux.cgroupsPath (unset: the id)"
    needed = sorted({write.controller for write in _limits(config, facts)})
    tree = facts.cgroup_tree
    return [
        steps.MakeCgroup(because, tree.mount, path, list(facts.controllers), needed, lenient, facts.rootless),
        *_devices(config, facts),
    ]


def around(config: Config, request: Request, facts: Facts) -> "list[Step]":
    """The cgroup, as a scope of systemd's, and its device program, once the process is there that it is for."""
    from pyruntime.plan import scope

    return [scope.start(config, request, facts, _limits(config, facts)), *_devices(config, facts)]


def refuse(config: Config, problem: str) -> None:
    """Raise ConfigError for the first limit there is: without a cgroup of the container's own nothing could hold it."""
    resources = config.linux.resources
    for write in writes(resources, _CONTROLLERS) if resources else []:
        if not (write.optional or write.value.startswith("max")):
            raise ConfigError(write.because, problem)


def unfiltered(config: Config, facts: Facts, path: str) -> "list[str]":
    """For `explain`: rules for devices that nobody enforces; in a user namespace devices are shut without them."""
    resources = config.linux.resources
    if path or facts.rootless or config.linux.namespace("user") is not None or not resources or not resources.devices:
        return []
    if rules.allows_everything(rules.from_spec(resources.devices)):
        return []
    return ["linux.resources.devices: not enforced without a cgroup: every device node in the container may be opened"]


def _limits(config: Config, facts: Facts) -> "list[Write]":
    if config.linux.resources is None:
        return []
    return writes(config.linux.resources, facts.controllers)


def _devices(config: Config, facts: Facts) -> "list[Step]":
    """A device program; in a user namespace the kernel may refuse it, which is tolerated there."""
    resources = config.linux.resources
    found = rules.from_spec(resources.devices if resources else [])
    lenient = facts.rootless or facts.in_user_namespace or rules.allows_everything(found)
    return [steps.FilterDevices("linux.resources.devices", len(found), rules.program(found), lenient)]


def apply(config: Config, facts: Facts, path: str, systemd: bool = False) -> "list[Step]":
    """The limits, once init is in the cgroup and before the hooks look at it."""
    if not path:
        return []
    found: "list[Step]" = []
    limits = _limits(config, facts)
    if systemd:
        from pyruntime.cgroup.systemd.properties import rounded

        limits = rounded(limits)
    if limits:
        found.append(steps.ApplyLimits("linux.resources", limits))
    if _delegated(config):
        found.append(steps.DelegateCgroup("mounts: a writable cgroup mount", _host_uid(config)))
    return found


def _delegated(config: Config) -> bool:
    if config.linux.namespace("cgroup") is None or config.process is None:
        return False
    return any(
        mount.type == "cgroup" and mount.destination.rstrip("/") == "/sys/fs/cgroup" and "ro" not in mount.options
        for mount in config.mounts
    )


def _host_uid(config: Config) -> int:
    """The process's uid as the host sees it."""
    uid = config.process.user.uid if config.process else 0
    for mapping in config.linux.uidMappings:
        if mapping.containerID <= uid < mapping.containerID + mapping.size:
            return mapping.hostID + uid - mapping.containerID
    return uid
