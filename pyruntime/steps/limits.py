"""Steps about what a process may use and how it is scheduled."""

import posix as os

from pyruntime.errors import Error, explain_oserror, reason
from pyruntime.kernel import process, sched
from pyruntime.kernel.procfs import write
from pyruntime.kernel.procmount import read_in, write_in
from pyruntime.steps.base import HOST, INIT, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.process import IOPriority, Rlimit, Scheduler
    from pyruntime.walk.walker import Walker

_ENOENT, _EACCES, _EPERM, _EINVAL = 2, 13, 1, 22
_INFINITY = 2**64 - 1


class SetRlimits(Step):
    """Resource limits; set from the host where init's user namespace has no right to raise them."""

    def __init__(self, because: str, rlimits: "list[Rlimit]", by_host: bool) -> None:
        super().__init__(because)
        self.rlimits = rlimits
        self.lane = HOST if by_host else INIT

    def describe(self) -> str:
        return "limits: " + ", ".join(f"{r.type} {_amount(r.soft)}/{_amount(r.hard)}" for r in self.rlimits)

    def run(self, walker: "Walker") -> None:
        pid = walker.values["init_pid"] if self.lane == HOST else 0
        for index, rlimit in enumerate(self.rlimits):
            try:
                process.prlimit(pid, rlimit.type, rlimit.soft, rlimit.hard)
            except OSError as error:
                asked = f"{_amount(rlimit.soft)}/{_amount(rlimit.hard)}"
                raise Error(
                    f"{self.because}[{index}]: {explain_oserror(error)}: "
                    f"{asked} is above the runtime's own hard limit, or the kernel's"
                ) from None


def _amount(value: int) -> str:
    return "unlimited" if value == _INFINITY else str(value)


class SetOomScore(Step):
    """How readily the kernel kills the process when memory runs out."""

    def __init__(self, because: str, score: int, lenient: bool, by_host: bool, early: bool = False) -> None:
        """`early`: by init itself, while it still sees the caller's /proc and may be traced by its user."""
        super().__init__(because)
        self.score = score
        self.lenient = lenient
        self.early = early
        self.lane = HOST if by_host else INIT

    def describe(self) -> str:
        return f"oom_score_adj = {self.score}" + (" (as far as allowed: rootless)" if self.lenient else "")

    def run(self, walker: "Walker") -> None:
        try:
            if self.lane == HOST:
                write(f"/proc/{walker.values['init_pid']}/oom_score_adj", str(self.score))
            elif self.early:
                write("/proc/self/oom_score_adj", str(self.score))
            else:
                write_in(walker.fds["proc"], "self/oom_score_adj", str(self.score))
        except OSError as error:
            if self.lenient and error.errno in (_EACCES, _EPERM):
                return
            raise


class SetUmask(Step):
    """The file mode creation mask."""

    def __init__(self, because: str, umask: int) -> None:
        super().__init__(because)
        self.umask = umask

    def describe(self) -> str:
        return f"umask {self.umask:04o}"

    def run(self, walker: "Walker") -> None:
        os.umask(self.umask)


class SetScheduler(Step):
    """sched_setattr."""

    def __init__(self, because: str, scheduler: "Scheduler") -> None:
        super().__init__(because)
        self.scheduler = scheduler

    def describe(self) -> str:
        s = self.scheduler
        return f"scheduler {s.policy}, nice {s.nice or 0}, priority {s.priority or 0}"

    def run(self, walker: "Walker") -> None:
        s = self.scheduler
        try:
            sched.set_attributes(
                s.policy, s.flags, s.nice or 0, s.priority or 0, s.runtime or 0, s.deadline or 0, s.period or 0
            )
        except OSError as error:
            hint = (
                "; a deadline or real-time policy can't be used together with cpuset limits"
                if error.errno == _EPERM
                else ""
            )
            raise Error(f"{self.because}: error setting scheduler: {explain_oserror(error)}{hint}") from None


class SetIoPriority(Step):
    """ioprio_set."""

    def __init__(self, because: str, priority: "IOPriority") -> None:
        super().__init__(because)
        self.priority = priority

    def describe(self) -> str:
        return f"I/O priority {self.priority.class_} {self.priority.priority}"

    def run(self, walker: "Walker") -> None:
        sched.set_io_priority(self.priority.class_, self.priority.priority)


class SetPersonality(Step):
    """personality."""

    def __init__(self, because: str, domain: str) -> None:
        super().__init__(because)
        self.domain = domain

    def describe(self) -> str:
        return f"personality {self.domain}"

    def run(self, walker: "Walker") -> None:
        sched.set_personality(self.domain)


class SetAffinity(Step):
    """The CPUs an exec'd process may run on: set by the host before the cgroup is entered, or by itself afterwards."""

    def __init__(self, because: str, cpus: "list[int]", by_host: bool) -> None:
        super().__init__(because)
        self.cpus = cpus
        self.lane = HOST if by_host else INIT

    def describe(self) -> str:
        return f"CPU affinity {','.join(map(str, self.cpus))}"

    def run(self, walker: "Walker") -> None:
        try:
            sched.set_affinity(self.cpus)
        except OSError as error:
            hint = ": none of these CPUs is in the container's cpuset" if error.errno == _EINVAL else ""
            raise Error(f"{self.because}: {explain_oserror(error)}{hint}") from None


class SetSysctls(Step):
    """Kernel settings of the container's own namespaces, through a procfs that nothing can cover."""

    def __init__(self, because: str, settings: "dict[str, str]") -> None:
        super().__init__(because)
        self.settings = settings

    def describe(self) -> str:
        return "sysctl " + ", ".join(f"{name}={value}" for name, value in self.settings.items())

    def run(self, walker: "Walker") -> None:
        for name, value in self.settings.items():
            try:
                write_in(walker.fds["proc"], f"sys/{sysctl_path(name)}", value)
                found = None if name.startswith("net") else read_in(walker.fds["proc"], f"sys/{sysctl_path(name)}")
            except OSError as error:
                # "No such file" would read as a missing program to those who sort errors.
                why = "this kernel has no such setting" if error.errno == _ENOENT else reason(error)
                raise Error(f'{self.because}["{name}"] = "{value}": {why}') from None
            if found is not None and not same_setting(value, found):
                made = " ".join(found.split())
                raise Error(f'{self.because}["{name}"] = "{value}": the kernel has made "{made}" of it')


def same_setting(asked: str, found: str) -> bool:
    """Whether a sysctl's text is what was written: the kernel parts numbers by tabs and shows them in decimal.

    Not for net.*: there the kernel rounds (times to its ticks) and rewrites (lists of ports) what it takes.
    """
    words, kernel = asked.split(), found.split()
    return len(words) == len(kernel) and all(_number(a) == _number(b) for a, b in zip(words, kernel, strict=True))


def _number(word: str) -> "int | str":
    try:
        return int(word, 0)
    except ValueError:
        return int(word, 8) if word.isascii() and word.isdigit() and not set(word) & {"8", "9"} else word


def sysctl_path(name: str) -> str:
    """The file of a sysctl: the first separator is the one that parts the name, the other one is a letter of it."""
    for letter in name:
        if letter == ".":
            return name.replace("/", "\0").replace(".", "/").replace("\0", ".")
        if letter == "/":
            return name
    return name
