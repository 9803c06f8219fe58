"""Steps about how a process is scheduled; few configurations say."""

from pyruntime.errors import Error, explain_oserror
from pyruntime.kernel import sched
from pyruntime.steps.base import HOST, INIT, Step

_EPERM, _EINVAL = 1, 22
# Why, for a deadline policy and for others: sched_setattr(2).
_PERMISSION = {
    True: "; this process scheduler can't be used together with AllowedCPUs: remove linux.resources.cpu.cpus, "
    "or take a policy that is not SCHED_DEADLINE",
    False: "; it takes CAP_SYS_NICE on the host, which root in a user namespace does not have",
}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.process import IOPriority, Scheduler
    from pyruntime.walk.walker import Walker


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
            hint = _PERMISSION[s.policy == "SCHED_DEADLINE"] if error.errno == _EPERM else ""
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
