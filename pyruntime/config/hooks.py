"""`hooks`: programs run at six points of a container's life (config.md, "POSIX-platform Hooks")."""

from pyruntime.config.checks import integer, string
from pyruntime.config.record import Record, many, maybe, need


class Hook(Record):
    """`args` is the whole argv, `env` the whole environment, `timeout` seconds."""

    path: str = need(string)
    args: "list[str]" = many(string)
    env: "list[str]" = many(string)
    timeout: "int | None" = maybe(integer(1, 2**63 - 1))


class Hooks(Record):
    """The six kinds, in the order of a container's life."""

    prestart: "list[Hook]" = many(Hook.read)
    createRuntime: "list[Hook]" = many(Hook.read)
    createContainer: "list[Hook]" = many(Hook.read)
    startContainer: "list[Hook]" = many(Hook.read)
    poststart: "list[Hook]" = many(Hook.read)
    poststop: "list[Hook]" = many(Hook.read)


KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
