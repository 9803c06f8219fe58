"""Rules for namespaces and what needs one of its own: id mappings, host names, time offsets, masks."""

from pyruntime.config.checks import quoted
from pyruntime.config.mounts import IDMapping
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError

_ID_END = 2**32 - 1  # the last 32-bit id is "no id" (user_namespaces(7))
_MOST_LINES = 340


def needs(config: Config, kind: str, path: str, reason: str) -> None:
    """Raise ConfigError unless the container has a namespace of this kind that is not the caller's."""
    if config.linux.namespace(kind) is None:
        raise ConfigError(path, f'{reason}: add {{"type": "{kind}"}} to linux.namespaces')


def list_of_namespaces(config: Config) -> None:
    """Every type at most once, and paths absolute."""
    seen: "set[str]" = set()
    for index, entry in enumerate(config.linux.namespaces):
        where = f"linux.namespaces[{index}]"
        if entry.type in seen:
            raise ConfigError(f"{where}.type", f"{quoted(entry.type)} stands twice in the list; keep one")
        if entry.path and not entry.path.startswith("/"):
            raise ConfigError(f"{where}.path", f"expected an absolute path, got {quoted(entry.path)}")
        seen.add(entry.type)


def mappings_and_user_namespace(config: Config) -> None:
    """A new user namespace needs mappings, and mappings need a user namespace (joined ones may repeat them)."""
    user = config.linux.namespace("user")
    for name, lines in (("uidMappings", config.linux.uidMappings), ("gidMappings", config.linux.gidMappings)):
        where = f"linux.{name}"
        if user is not None and not user.path and not lines:
            raise ConfigError(where, f'linux.namespaces has "user" but {where} is empty; map at least one id')
        if user is None and lines:
            needs(config, "user", where, "id mappings need a user namespace")


def mapping_lines(config: Config) -> None:
    """What uid_map and gid_map take (user_namespaces(7)), also on mounts."""
    lists = [("linux.uidMappings", config.linux.uidMappings), ("linux.gidMappings", config.linux.gidMappings)]
    for index, mount in enumerate(config.mounts):
        if mount.uidMappings or mount.gidMappings:
            lists.append((f"mounts[{index}].uidMappings", mount.uidMappings))
            lists.append((f"mounts[{index}].gidMappings", mount.gidMappings))
    for path, lines in lists:
        _check_lines(lines, path)


def _check_lines(lines: "list[IDMapping]", path: str) -> None:
    if len(lines) > _MOST_LINES:
        raise ConfigError(path, f"expected at most {_MOST_LINES} lines, got {len(lines)}")
    for index, line in enumerate(lines):
        if not line.size:
            raise ConfigError(f"{path}[{index}].size", "expected at least 1, got 0")
        for side in ("containerID", "hostID"):
            if getattr(line, side) + line.size > _ID_END:
                raise ConfigError(f"{path}[{index}].size", f"{side} + size is above the last id {_ID_END - 1}")
    for side in ("containerID", "hostID"):
        _refuse_overlap(lines, side, path)


def _refuse_overlap(lines: "list[IDMapping]", side: str, path: str) -> None:
    end, before = 0, 0
    for start, size, index in sorted((getattr(line, side), line.size, n) for n, line in enumerate(lines)):
        if start < end:
            raise ConfigError(f"{path}[{index}].{side}", f"{start} overlaps the range of {path}[{before}]")
        end, before = start + size, index


def host_names(config: Config) -> None:
    """Names are set in a UTS namespace of the container's own, or of its pod's."""
    for name in ("hostname", "domainname"):
        if getattr(config, name):
            needs(config, "uts", name, f"unable to set {name} without a private UTS namespace")
            if len(getattr(config, name).encode()) > 64:
                raise ConfigError(name, "expected at most 64 bytes, the kernel's __NEW_UTS_LEN")


def time_offsets(config: Config) -> None:
    """Offsets can be set only before the first process enters, so only in a new time namespace."""
    offsets, time = config.linux.timeOffsets, config.linux.namespace("time")
    if offsets is None or not (offsets.monotonic or offsets.boottime):
        return
    needs(config, "time", "linux.timeOffsets", "offsets need a time namespace")
    if time is not None and time.path:
        raise ConfigError("linux.timeOffsets", "the time namespace is joined, its clocks are set; remove the offsets")
    for name, offset in (("monotonic", offsets.monotonic), ("boottime", offsets.boottime)):
        if offset is not None and offset.nanosecs > 999_999_999:
            where = f"linux.timeOffsets.{name}.nanosecs"
            raise ConfigError(where, f"expected an integer from 0 to 999999999, got {offset.nanosecs}")


def masks(config: Config) -> None:
    """Masking mounts over paths, so it needs a mount namespace; relative paths have no meaning here."""
    for name, paths in (("maskedPaths", config.linux.maskedPaths), ("readonlyPaths", config.linux.readonlyPaths)):
        if paths:
            needs(config, "mount", f"linux.{name}", "unable to restrict sys entries without a private MNT namespace")
        for index, path in enumerate(paths):
            if not path.startswith("/"):
                raise ConfigError(f"linux.{name}[{index}]", f"expected an absolute path, got {quoted(path)}")


def net_devices(config: Config) -> None:
    """Moved devices need somewhere to go, and names that netdevice(7) takes."""
    taken: "set[str]" = set()
    for name, device in config.linux.netDevices.items():
        where = f"linux.netDevices[{quoted(name)}]"
        needs(config, "network", where, "network devices are moved into a network namespace")
        for text in (name, device.name or name):
            if not text or len(text.encode()) > 15 or text in (".", "..") or any(c in "/: \t\n" for c in text):
                expected = 'expected an interface name: 1 to 15 bytes, no "/", ":" or space'
                raise ConfigError(where, f"{expected}, got {quoted(text)}")
        if device.name.replace("%d", "", 1).count("%"):
            raise ConfigError(where, f'expected at most one "%", as "%d" for a number, got {quoted(device.name)}')
        if (device.name or name) in taken and "%" not in device.name:
            raise ConfigError(where, f"another device is {quoted(device.name or name)} inside; choose another name")
        taken.add(device.name or name)


RULES = (
    list_of_namespaces, mappings_and_user_namespace, mapping_lines, host_names, time_offsets, masks, net_devices,
)  # fmt: skip
