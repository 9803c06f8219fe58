"""Steps about what a process may use."""

import posix as os

from pyruntime.errors import Error, explain_oserror
from pyruntime.kernel import process
from pyruntime.kernel.procfs import write
from pyruntime.kernel.procmount import write_in
from pyruntime.steps.base import HOST, INIT, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.process import Rlimit
    from pyruntime.walk.walker import Walker

_EACCES, _EPERM = 13, 1
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
