"""The step of `linux.memoryPolicy`."""

from pyruntime.errors import Error, reason
from pyruntime.kernel import mempolicy
from pyruntime.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_EINVAL, _EPERM, _ENOSYS = 22, 1, 38
_HINTS = {
    _EINVAL: "no such node here or in the cpuset, or the kernel is older than the mode or a flag",
    _EPERM: "a filter of an outer container hides the call",
    _ENOSYS: "the kernel was built without NUMA",
}


class SetMemoryPolicy(Step):
    """From which NUMA nodes the process's memory comes."""

    def __init__(self, because: str, mode: str, flags: "list[str]", nodes: "list[int]") -> None:
        super().__init__(because)
        self.mode = mode
        self.flags = flags
        self.nodes = nodes

    def describe(self) -> str:
        nodes = f", nodes {','.join(map(str, self.nodes))}" if self.nodes else ""
        return f"memory policy {'|'.join([self.mode, *self.flags])}{nodes}"

    def run(self, walker: "Walker") -> None:
        try:
            mempolicy.set_policy(self.mode, self.flags, self.nodes)
        except OSError as error:
            hint = f"; {_HINTS[error.errno]}" if error.errno in _HINTS else ""
            raise Error(f"{self.because}: set_mempolicy {self.mode}: {reason(error)}{hint}") from None
