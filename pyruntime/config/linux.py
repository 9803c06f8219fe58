"""`linux`: what only Linux has (config-linux.md)."""

from pyruntime.config.checks import absolute, boolean, identifier, int64, one_of, string, uint32, wrong
from pyruntime.config.mounts import IDMapping
from pyruntime.config.record import Record, many, maybe, need, otherwise, table
from pyruntime.config.resources import Resources
from pyruntime.config.seccomp import Seccomp
from pyruntime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.checks import Check

NAMESPACES = ("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time")
_PROPAGATIONS = ("shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable")
MEMORY_MODES = tuple(
    f"MPOL_{name}"
    for name in ("DEFAULT", "BIND", "INTERLEAVE", "WEIGHTED_INTERLEAVE", "PREFERRED", "PREFERRED_MANY", "LOCAL")
)
MEMORY_FLAGS = tuple(f"MPOL_F_{name}" for name in ("NUMA_BALANCING", "RELATIVE_NODES", "STATIC_NODES"))


def _mb_schema(value: object, path: str) -> str:
    text = string(value, path)
    if not text.startswith("MB:") or "\n" in text:
        raise wrong('one line that begins with "MB:"', value, path)
    return text


class Namespace(Record):
    """One namespace: joined when `path` says which, made when it is ""."""

    type: str = need(one_of(*NAMESPACES))
    path: str = otherwise(string, "")


class Device(Record):
    """One device node. The type bits that some engines leave in `fileMode` are to be ignored; 0666 when absent."""

    type: str = need(one_of("c", "b", "u", "p"))
    path: str = need(absolute)
    major: "int | None" = maybe(int64)
    minor: "int | None" = maybe(int64)
    fileMode: "int | None" = maybe(uint32)
    uid: "int | None" = maybe(identifier)
    gid: "int | None" = maybe(identifier)


class NetDevice(Record):
    """A network device to move in; `name` is what it is called inside, "" for its old name."""

    name: str = otherwise(string, "")


class TimeOffset(Record):
    """What a clock of the time namespace is ahead of the host's (time_namespaces(7))."""

    secs: int = otherwise(int64, 0)
    nanosecs: int = otherwise(uint32, 0)


class TimeOffsets(Record):
    """The two clocks a time namespace has."""

    monotonic: "TimeOffset | None" = maybe(TimeOffset.read)
    boottime: "TimeOffset | None" = maybe(TimeOffset.read)


class Personality(Record):
    """personality(2)."""

    domain: str = need(one_of("LINUX", "LINUX32"))
    flags: "list[str]" = many(string)


class IntelRdt(Record):
    """A group of the resctrl filesystem."""

    closID: str = otherwise(string, "")
    schemata: "list[str]" = many(string)
    l3CacheSchema: str = otherwise(string, "")
    memBwSchema: str = otherwise(_mb_schema, "")
    enableMonitoring: bool = otherwise(boolean, False)


def _memory_word(what: str, words: "tuple[str, ...]") -> "Check[str]":
    """One of these words; scripts know the first ones of the error."""
    check = one_of(*words)

    def named(value: object, path: str) -> str:
        try:
            return check(value, path)
        except ConfigError as error:
            raise ConfigError(path, f"{error.text.removeprefix(path + ': ')}: invalid memory policy {what}") from None

    return named


class MemoryPolicy(Record):
    """set_mempolicy(2); `nodes` is a list such as "0-1"."""

    mode: str = need(_memory_word("mode", MEMORY_MODES))
    nodes: str = otherwise(string, "")
    flags: "list[str]" = many(_memory_word("flag", MEMORY_FLAGS))


class Linux(Record):
    """Everything below `linux`."""

    namespaces: "list[Namespace]" = many(Namespace.read)
    uidMappings: "list[IDMapping]" = many(IDMapping.read)
    gidMappings: "list[IDMapping]" = many(IDMapping.read)
    timeOffsets: "TimeOffsets | None" = maybe(TimeOffsets.read)
    devices: "list[Device]" = many(Device.read)
    netDevices: "dict[str, NetDevice]" = table(NetDevice.read)
    cgroupsPath: str = otherwise(string, "")
    resources: "Resources | None" = maybe(Resources.read)
    rootfsPropagation: str = otherwise(one_of("", *_PROPAGATIONS), "")
    maskedPaths: "list[str]" = many(string)
    readonlyPaths: "list[str]" = many(string)
    mountLabel: str = otherwise(string, "")
    sysctl: "dict[str, str]" = table(string)
    seccomp: "Seccomp | None" = maybe(Seccomp.read)
    personality: "Personality | None" = maybe(Personality.read)
    intelRdt: "IntelRdt | None" = maybe(IntelRdt.read)
    memoryPolicy: "MemoryPolicy | None" = maybe(MemoryPolicy.read)

    def namespace(self, kind: str) -> "Namespace | None":
        """The entry of `namespaces` of this type, None when that namespace is shared with the caller."""
        return next((entry for entry in self.namespaces if entry.type == kind), None)
