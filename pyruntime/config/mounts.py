"""`root` and `mounts`: the file tree a container sees (config.md, "Root" and "Mounts")."""

from pyruntime.config.checks import boolean, nonempty, string, uint32
from pyruntime.config.record import Record, many, need, otherwise


class Root(Record):
    """The root filesystem; a relative `path` starts at the bundle."""

    path: str = need(string)
    readonly: bool = otherwise(boolean, False)


class IDMapping(Record):
    """One line of a uid_map or gid_map: `size` ids from `containerID` inside are those from `hostID` outside."""

    containerID: int = need(uint32)
    hostID: int = need(uint32)
    size: int = need(uint32)


class Mount(Record):
    """One mount(2). `type` and `source` are "" when absent; the options are words of mount(8) or filesystem data."""

    destination: str = need(nonempty)
    type: str = otherwise(string, "")
    source: str = otherwise(string, "")
    options: "list[str]" = many(string)
    uidMappings: "list[IDMapping]" = many(IDMapping.read)
    gidMappings: "list[IDMapping]" = many(IDMapping.read)
