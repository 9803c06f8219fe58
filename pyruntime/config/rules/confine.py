"""Rules for seccomp, memory policy and resctrl."""

from pyruntime.config.checks import quoted
from pyruntime.config.linux import MemoryPolicy
from pyruntime.config.ranges import numbers
from pyruntime.config.seccomp import Seccomp
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError

_NO_GROUPS = (".", "..", "info", "mon_data", "mon_groups")  # the last three are resctrl's own
_NO_NODES = ("MPOL_DEFAULT", "MPOL_LOCAL")
_LAST_NODE = 8 * 4096 - 1  # no longer mask than a page (set_mempolicy(2), EINVAL)
_SOME_NODES = ("MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE", "MPOL_PREFERRED_MANY")


def seccomp(config: Config) -> None:
    """A filter has a default action, and leaves the call by which init hands its listener over."""
    profile, where = config.linux.seccomp, "linux.seccomp"
    if profile is None or profile.empty():
        return
    if not profile.defaultAction:
        raise ConfigError(f"{where}.defaultAction", "missing, and there are system calls listed; name one")
    if profile.defaultAction == "SCMP_ACT_NOTIFY":
        raise ConfigError(f"{where}.defaultAction", "SCMP_ACT_NOTIFY would stop init; use it for some calls only")
    _notify(profile, where)
    for index, rule in enumerate(profile.syscalls):
        for number, argument in enumerate(rule.args):
            if argument.index > 5:
                path = f"{where}.syscalls[{index}].args[{number}].index"
                raise ConfigError(path, f"expected an integer from 0 to 5, got {argument.index}")


def _notify(profile: Seccomp, where: str) -> None:
    for index, rule in enumerate(profile.syscalls):
        if rule.action != "SCMP_ACT_NOTIFY":
            continue
        if not profile.listenerPath:
            raise ConfigError(f"{where}.listenerPath", f"needed by SCMP_ACT_NOTIFY in syscalls[{index}]: name a socket")
        if "write" in rule.names:
            raise ConfigError(
                f"{where}.syscalls[{index}].names",
                "SCMP_ACT_NOTIFY cannot be used for the write syscall: init itself would stop",
            )


def memory_policy(config: Config) -> None:
    """Modes with nodes and modes without (set_mempolicy(2))."""
    policy, where = config.linux.memoryPolicy, "linux.memoryPolicy.nodes"
    if policy is None:
        return
    nodes = memory_nodes(policy)
    if nodes and policy.mode in _NO_NODES:
        problem = f"{policy.mode} takes no nodes (mode requires 0 nodes but got {len(nodes)}): {quoted(policy.nodes)}"
        raise ConfigError(where, f"{problem}; remove them")
    if not nodes and policy.mode in _SOME_NODES:
        raise ConfigError(where, f'{policy.mode} needs some, such as "0-1"')


def memory_nodes(policy: MemoryPolicy) -> "list[int]":
    """The nodes of a memory policy. Raises ConfigError."""
    where = "linux.memoryPolicy.nodes"
    try:
        return numbers(policy.nodes, where, "memory nodes", _LAST_NODE)
    except ConfigError as error:
        raise ConfigError(where, f"{error.text.removeprefix(where + ': ')}: invalid memory policy node") from None


def resctrl(config: Config) -> None:
    """The group's name is one folder of the resctrl filesystem, or "/" for the default group; schemas are lines."""
    wanted, where = config.linux.intelRdt, "linux.intelRdt"
    if wanted is None:
        return
    if wanted.closID != "/" and ("/" in wanted.closID or wanted.closID in _NO_GROUPS):
        problem = f'expected one name without "/", or "/" itself, got {quoted(wanted.closID)}'
        raise ConfigError(f"{where}.closID", problem)
    lines = [(f"{where}.schemata[{index}]", line) for index, line in enumerate(wanted.schemata)]
    for path, line in [(f"{where}.l3CacheSchema", wanted.l3CacheSchema), *lines]:
        if "\n" in line:
            raise ConfigError(path, f"expected one line, got {quoted(line)}")


RULES = (seccomp, memory_policy, resctrl)
