"""Ids and user namespaces: which ids a container has, who may map them, and what can't work with these.

Asked for only where a user namespace is made, or surrounds us: elsewhere every id exists.
"""

from pyruntime.config.mounts import IDMapping, Mount
from pyruntime.config.process import Process
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError
from pyruntime.host.facts import Facts
from pyruntime.plan import mountoptions
from pyruntime.steps import idmaps as steps
from pyruntime.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    Ranges = tuple[tuple[int, int], ...]


def write(config: Config, facts: Facts) -> "list[Step]":
    """The maps of a new user namespace. Raises ConfigError for ids that are not there.

    An unprivileged command may map its own id alone, and its group only once setgroups is forbidden
    (user_namespaces(7)); more is for newuidmap(1) and newgidmap(1).
    """
    linux = config.linux
    own_gid = _is_own(linux.gidMappings, facts.egid)
    by_us = {"gid": not facts.euid or own_gid, "uid": not facts.euid or _is_own(linux.uidMappings, facts.euid)}
    found: "list[Step]" = []
    for kind, lines in (("gid", linux.gidMappings), ("uid", linux.uidMappings)):
        _check_lines(kind, lines, facts)
        deny = kind == "gid" and bool(facts.euid) and own_gid
        found.append(steps.WriteIdMap(f"linux.{kind}Mappings", kind, lines, not by_us[kind], deny))
    return found


def _is_own(lines: "list[IDMapping]", own: int) -> bool:
    return len(lines) == 1 and lines[0].size == 1 and lines[0].hostID == own


def setgroups_denied(config: Config, facts: Facts) -> bool:
    """Whether setgroups may be forbidden: to who maps only its own group, and by user namespaces of another's making,
    whose children inherit it.
    """
    user = config.linux.namespace("user")
    if facts.in_user_namespace or (user is not None and bool(user.path)):
        return True
    return facts.euid != 0 and (user is None or _is_own(config.linux.gidMappings, facts.egid))


def _check_lines(kind: str, lines: "list[IDMapping]", facts: Facts) -> None:
    outside = facts.uids if kind == "uid" else facts.gids
    for index, line in enumerate(lines):
        if not covers(outside, line.hostID, line.size):
            raise ConfigError(
                f"linux.{kind}Mappings[{index}].hostID",
                f"{_span(line.hostID, line.size)} does not exist in the user namespace around pyruntime, "
                f"which has the {kind}s {_listed(outside)}; map some of these",
            )
    if not covers(_ranges(lines), 0, 1):
        raise ConfigError(
            f"linux.{kind}Mappings",
            f"{kind} 0 of the container is not mapped, and it is as root inside that pyruntime sets it up; "
            "add a line with containerID 0",
        )


def check(config: Config, facts: Facts) -> None:
    """Raise ConfigError for a user, a group or a mount option whose id the container does not have."""
    user = config.linux.namespace("user")
    if user is not None and user.path:  # what it maps is known once it is joined
        return
    linux = config.linux
    uids = _ranges(linux.uidMappings) if user is not None else facts.uids
    gids = _ranges(linux.gidMappings) if user is not None else facts.gids
    mapping = "add it to linux.{}Mappings" if user is not None else "use one that exists around pyruntime"
    if config.process is not None:
        _check_user(config.process, uids, gids, mapping)
        if config.process.user.additionalGids and facts.euid and setgroups_denied(config, facts):
            raise ConfigError(
                "process.user.additionalGids",
                "cannot set any additional groups in a rootless container that maps only the user's own group; "
                "remove them, or map a range of /etc/subgid in linux.gidMappings",
            )
    for index, mount in enumerate(config.mounts):
        _check_mount(f"mounts[{index}].options", mount, uids, gids, mapping)


def _check_user(process: Process, uids: "Ranges", gids: "Ranges", mapping: str) -> None:
    user = process.user
    for kind, number, ranges in (("uid", user.uid, uids), ("gid", user.gid, gids)):
        if not covers(ranges, number, 1):
            raise ConfigError(
                f"process.user.{kind}",
                f"cannot set{kind} to unmapped {kind} {number} in user namespace; {mapping.format(kind)}",
            )
    for index, number in enumerate(user.additionalGids):
        if not covers(gids, number, 1):
            raise ConfigError(
                f"process.user.additionalGids[{index}]",
                f"group {number} is not mapped in the user namespace; {mapping.format('gid')}",
            )


def _check_mount(path: str, mount: Mount, uids: "Ranges", gids: "Ranges", mapping: str) -> None:
    for name, value in mountoptions.parse(mount.options, path, mount.type).data:
        if name not in ("uid", "gid") or value is None or not (value.isascii() and value.isdigit()):
            continue
        if not covers(uids if name == "uid" else gids, int(value), 1):
            raise ConfigError(
                path,
                f'"{name}={value}": cannot specify {name}= mount options for unmapped {name} {value}; '
                f"remove the option, or {mapping.format(name)}",
            )


def _ranges(lines: "list[IDMapping]") -> "Ranges":
    return tuple((line.containerID, line.size) for line in lines)


def covers(ranges: "Ranges", first: int, size: int) -> bool:
    """Whether every id from `first` is in one of the ranges, which may lie side by side."""
    while size > 0:
        end = next((start + length for start, length in ranges if start <= first < start + length), 0)
        if not end:
            return False
        size -= end - first
        first = end
    return True


def _span(first: int, size: int) -> str:
    return str(first) if size == 1 else f"{first}-{first + size - 1}"


def _listed(ranges: "Ranges") -> str:
    return ", ".join(_span(first, size) for first, size in ranges) or "none"
