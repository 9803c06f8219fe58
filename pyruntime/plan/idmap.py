"""Id-mapped mounts: which mount gets which map (config.md, "Mounts": uidMappings, gidMappings, idmap, ridmap)."""

from pyruntime.config.mounts import IDMapping, Mount
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError
from pyruntime.host.facts import Facts
from pyruntime.plan.mountoptions import Options
from pyruntime.steps.base import Step
from pyruntime.steps.idmap import MapMounts, Prepared

TYPE_CHECKING = False
if TYPE_CHECKING:
    Line = tuple[int, int, int]
    Maps = tuple[tuple[Line, ...], tuple[Line, ...]]

_KINDS = ("uid", "gid")


def check(options: Options, because: str, facts: Facts) -> None:
    """Raise ConfigError where no id-mapped mount can be had."""
    where = f"{because}.options" if options.idmap else f"{because}.uidMappings"
    if facts.euid != 0:
        raise ConfigError(where, "id-mapped mounts are root's to make; remove it, or start the container as root")
    if facts.refused_mount_call:
        raise ConfigError(
            where,
            f"id-mapped mounts need Linux 5.12 and mount_setattr(2), but {facts.refused_mount_call} is refused here "
            "(an older kernel, or a seccomp filter)",
        )


def steps(config: Config, asked: "list[tuple[Mount, Options, Prepared]]", late: bool = False) -> "list[Step]":
    """One step for each map that differs, in the order of the config; `late`: of sources that init has opened."""
    groups: "dict[Maps, list[Prepared]]" = {}
    for mount, options, prepared in asked:
        groups.setdefault(_maps(config, mount, options, prepared.because), []).append(prepared)
    return [
        MapMounts(members[0].because, list(uids), list(gids), members, late) for (uids, gids), members in groups.items()
    ]


def _maps(config: Config, mount: Mount, options: Options, because: str) -> "Maps":
    """(uids, gids); both empty for those of a user namespace that is joined."""
    if mount.uidMappings:
        return _lines(mount.uidMappings), _lines(mount.gidMappings)
    own = _lines(config.linux.uidMappings), _lines(config.linux.gidMappings)
    if options.idmap_text:
        return _written(options.idmap_text, own, f"{because}.options")
    user = config.linux.namespace("user")
    if user is None:
        raise ConfigError(
            f"{because}.options",
            f'"{options.idmap}" takes the id maps of the container\'s user namespace, and there is none; '
            "give the mount uidMappings and gidMappings",
        )
    return ((), ()) if user.path else own


def _lines(mappings: "list[IDMapping]") -> "tuple[Line, ...]":
    return tuple((line.containerID, line.hostID, line.size) for line in mappings)


def _written(text: str, own: "Maps", path: str) -> "Maps":
    """The maps of `idmap=uids=0-1000-1#1-2000-5;gids=@0-0-1`: filesystem's id, host's id, count.

    With @ the second is an id of the container. A kind that is not named has the map of the container.
    """
    found = dict(zip(_KINDS, own, strict=True))
    for part in text.split(";"):
        name, _, lines = part.partition("=")
        if name not in ("uids", "gids"):
            raise ConfigError(path, f'expected idmap=uids=...;gids=..., got "idmap={text}"')
        kind = name.removesuffix("s")
        found[kind] = tuple(_line(line, own[_KINDS.index(kind)], path) for line in lines.split("#"))
    for kind in _KINDS:
        if not found[kind]:
            raise ConfigError(path, f'"idmap={text}" names no {kind}s, and the container has no {kind}Mappings')
    return found["uid"], found["gid"]


def _line(text: str, own: "tuple[Line, ...]", path: str) -> "Line":
    numbers = text.removeprefix("@").split("-")
    if len(numbers) != 3 or not all(each.isascii() and each.isdigit() and len(each) < 11 for each in numbers):
        raise ConfigError(path, f'expected three numbers such as "0-1000-1" in idmap=, got "{text}"')
    inside, outside, size = map(int, numbers)
    return inside, _of_host(outside, size, own, path) if text.startswith("@") else outside, size


def _of_host(inside: int, size: int, own: "tuple[Line, ...]", path: str) -> int:
    for first, outside, count in own:
        if first <= inside and inside + size <= first + count:
            return outside + inside - first
    raise ConfigError(path, f"idmap=: the container's user namespace does not map {inside}-{inside + size - 1}")
