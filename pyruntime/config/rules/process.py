"""Rules for `process`, shared by a container's own and that of `exec --process`."""

from pyruntime.config.checks import got, quoted
from pyruntime.config.process import Process
from pyruntime.config.ranges import numbers
from pyruntime.errors import ConfigError

LAST_CPU = 65535  # kernels are built for 8192 at most (CONFIG_NR_CPUS)
_REALTIME = ("SCHED_FIFO", "SCHED_RR")


def cwd(process: Process, path: str) -> None:
    """`cwd` is an absolute path."""
    if not process.cwd:
        raise ConfigError(f"{path}.cwd", "Cwd property must not be empty")
    if not process.cwd.startswith("/"):
        raise ConfigError(f"{path}.cwd", f"Cwd must be an absolute path, got {quoted(process.cwd)}")


def args(process: Process, path: str) -> None:
    """There is a program to execute."""
    if not process.args:
        raise ConfigError(f"{path}.args", "args must not be empty")


def environment(entries: "list[str]", path: str) -> None:
    """Every entry is NAME=VALUE; environ(7) knows nothing else."""
    for index, entry in enumerate(entries):
        if entry.find("=") < 1:
            raise ConfigError(f"{path}[{index}]", f"expected NAME=VALUE, got {quoted(entry)}")


def env(process: Process, path: str) -> None:
    """The environment's form."""
    environment(process.env, f"{path}.env")


def rlimits(process: Process, path: str) -> None:
    """No limit is set twice, none has its soft value above its hard one (getrlimit(2): EINVAL)."""
    seen: "set[str]" = set()
    for index, limit in enumerate(process.rlimits):
        where = f"{path}.rlimits[{index}]"
        if limit.type in seen:
            raise ConfigError(f"{where}.type", f"{quoted(limit.type)} stands twice in the list; keep one")
        if limit.soft > limit.hard:
            raise ConfigError(f"{where}.soft", f"expected at most the hard limit {limit.hard}, got {limit.soft}")
        seen.add(limit.type)


def scheduler(process: Process, path: str) -> None:
    """Numbers only with the policies that read them (sched_setattr(2))."""
    wanted, where = process.scheduler, f"{path}.scheduler"
    if wanted is None:
        return
    if not -20 <= (wanted.nice or 0) <= 19:
        raise ConfigError(f"{where}.nice", f"expected an integer from -20 to 19, got {wanted.nice}")
    if wanted.priority and wanted.policy not in _REALTIME:
        raise ConfigError(f"{where}.priority", f"only SCHED_FIFO and SCHED_RR have one, the policy is {wanted.policy}")
    if wanted.policy in _REALTIME and not 1 <= (wanted.priority or 0) <= 99:
        raise ConfigError(f"{where}.priority", f"{wanted.policy} needs one from 1 to 99, got {got(wanted.priority)}")
    for name in ("runtime", "deadline", "period"):
        if getattr(wanted, name) and wanted.policy != "SCHED_DEADLINE":
            raise ConfigError(f"{where}.{name}", f"only SCHED_DEADLINE has one, the policy is {wanted.policy}")


def io_priority(process: Process, path: str) -> None:
    """Eight levels (ioprio_set(2))."""
    wanted = process.ioPriority
    if wanted is not None and not 0 <= wanted.priority <= 7:
        raise ConfigError(f"{path}.ioPriority.priority", f"expected an integer from 0 to 7, got {wanted.priority}")


def affinity(process: Process, path: str) -> None:
    """CPU lists are numbers and rising ranges."""
    wanted = process.execCPUAffinity
    for name in ("initial", "final") if wanted else ():
        numbers(getattr(wanted, name), f"{path}.execCPUAffinity.{name}", "CPUs", LAST_CPU)


RULES = (cwd, args, env, rlimits, scheduler, io_priority, affinity)


def validate_process(process: Process, path: str) -> None:
    """Check one process; `path` begins the error's path. Raises ConfigError."""
    for rule in RULES:
        rule(process, path)
