"""config.json as a whole (config.md). `vm`, `solaris`, `windows`, `zos` and `freebsd` are other systems': ignored."""

from pyruntime.config.checks import string
from pyruntime.config.hooks import Hooks
from pyruntime.config.linux import Linux
from pyruntime.config.mounts import Mount, Root
from pyruntime.config.process import Process
from pyruntime.config.record import Record, many, maybe, need, otherwise, table


class Config(Record):
    """One container. Absent `hooks` and `linux` are empty records."""

    ociVersion: str = need(string)
    root: "Root | None" = maybe(Root.read)
    process: "Process | None" = maybe(Process.read)
    hostname: str = otherwise(string, "")
    domainname: str = otherwise(string, "")
    mounts: "list[Mount]" = many(Mount.read)
    annotations: "dict[str, str]" = table(string)
    hooks: Hooks = otherwise(Hooks.read, Hooks())
    linux: Linux = otherwise(Linux.read, Linux())
