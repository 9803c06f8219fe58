"""`process`: whom the container runs, as whom, with which rights and limits (config.md, "Process")."""

from pyruntime.config.checks import boolean, identifier, int32, integer, made_of, nonempty, one_of, string, uint64
from pyruntime.config.record import Record, many, maybe, need, otherwise
from pyruntime.errors import ConfigError, one_line

RLIMITS = (
    "AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RSS", "RTPRIO",
    "RTTIME", "SIGPENDING", "STACK",
)  # fmt: skip
_RLIMIT_NAMES = [f"RLIMIT_{name}" for name in RLIMITS]
_POLICIES = ("OTHER", "FIFO", "RR", "BATCH", "ISO", "IDLE", "DEADLINE")
_SCHED_FLAGS = (
    "RESET_ON_FORK", "RECLAIM", "DL_OVERRUN", "KEEP_POLICY", "KEEP_PARAMS", "UTIL_CLAMP_MIN", "UTIL_CLAMP_MAX",
)  # fmt: skip
_cpu_list = made_of("0123456789, -", 'a list of CPUs such as "0-3,7"')


def _rlimit(value: object, path: str) -> str:
    if type(value) is str and value not in _RLIMIT_NAMES:
        # Scripts know the first words.
        raise ConfigError(path, f"wrong rlimit value: {one_line(value)}; expected one of {', '.join(_RLIMIT_NAMES)}")
    return string(value, path)


class User(Record):
    """Ids as they are inside the user namespace; `umask` of init is 0022 when absent.

    The specification wants both ids; runc takes one that is not there as 0, and callers have come to leave it out.
    """

    uid: int = otherwise(identifier, 0)
    gid: int = otherwise(identifier, 0)
    umask: "int | None" = maybe(integer(0, 0o777))
    additionalGids: "list[int]" = many(identifier)


class Capabilities(Record):
    """Five sets of names such as CAP_KILL. An ambient one that is not also permitted and inheritable is no error: the
    kernel cannot raise it (capabilities(7)), but `runc spec` of 1.1 writes such sets, and callers keep them.
    """

    bounding: "list[str]" = many(nonempty)
    effective: "list[str]" = many(nonempty)
    inheritable: "list[str]" = many(nonempty)
    permitted: "list[str]" = many(nonempty)
    ambient: "list[str]" = many(nonempty)


class Rlimit(Record):
    """One limit of getrlimit(2); 18446744073709551615 is RLIM_INFINITY."""

    type: str = need(_rlimit)
    soft: int = need(uint64)
    hard: int = need(uint64)


class Box(Record):
    """The size of the terminal, in characters."""

    height: int = need(uint64)
    width: int = need(uint64)


class Scheduler(Record):
    """The arguments of sched_setattr(2); `runtime`, `deadline` and `period` are nanoseconds."""

    policy: str = need(one_of(*(f"SCHED_{name}" for name in _POLICIES)))
    nice: "int | None" = maybe(int32)
    priority: "int | None" = maybe(int32)
    flags: "list[str]" = many(one_of(*(f"SCHED_FLAG_{name}" for name in _SCHED_FLAGS)))
    runtime: "int | None" = maybe(uint64)
    deadline: "int | None" = maybe(uint64)
    period: "int | None" = maybe(uint64)


class IOPriority(Record):
    """ioprio_set(2); 0 is the highest priority, and the one meant when absent."""

    class_: str = need(one_of("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"), key="class")
    priority: int = otherwise(int32, 0)


class ExecCPUAffinity(Record):
    """CPU lists for `exec`: `initial` before it enters the cgroup, `final` after. Empty is absent."""

    initial: str = otherwise(_cpu_list, "")
    final: str = otherwise(_cpu_list, "")


class Process(Record):
    """One program to execute. An empty profile or label is the same as an absent one."""

    cwd: str = need(string, missing="Cwd property must not be empty")
    user: User = otherwise(User.read, User(uid=0, gid=0))
    args: "list[str]" = many(string)
    env: "list[str]" = many(string)
    terminal: bool = otherwise(boolean, False)
    consoleSize: "Box | None" = maybe(Box.read)
    capabilities: "Capabilities | None" = maybe(Capabilities.read)
    rlimits: "list[Rlimit]" = many(Rlimit.read)
    noNewPrivileges: bool = otherwise(boolean, False)
    apparmorProfile: str = otherwise(string, "")
    selinuxLabel: str = otherwise(string, "")
    oomScoreAdj: "int | None" = maybe(integer(-1000, 1000))
    scheduler: "Scheduler | None" = maybe(Scheduler.read)
    ioPriority: "IOPriority | None" = maybe(IOPriority.read)
    execCPUAffinity: "ExecCPUAffinity | None" = maybe(ExecCPUAffinity.read)
