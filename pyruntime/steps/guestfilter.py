"""The filter of system calls that a Wasm guest gets where config.json has none."""

from pyruntime.errors import Error, explain_oserror
from pyruntime.kernel import seccomp
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.walk.walker import Walker

_MODULE, _FILTER = "module", "guest filter"


class MakeGuestFilter(Step):
    """Compile the filter once it is known which engine has loaded the module."""

    lane = HOST

    def __init__(self, because: str, make: "Callable[[str], bytes]", network: bool) -> None:
        """`make`: from an engine's name to the program for seccomp(2)."""
        super().__init__(because)
        self.make = make
        self.network = network

    def describe(self) -> str:
        network = "and the network" if self.network else "and no network"
        return f"make a seccomp filter of the calls that the module's engine needs, {network}"

    def run(self, walker: "Walker") -> None:
        walker.objects[_FILTER] = self.make(walker.objects[_MODULE].engine.name)  # type: ignore[attr-defined]


class FilterGuest(Step):
    """Load that filter: from here on only the engine calls the kernel, and little of it."""

    def describe(self) -> str:
        return (
            "load the module's seccomp filter: what its engine needs, no execve, no new process, no executable memory"
        )

    def run(self, walker: "Walker") -> None:
        program = walker.objects[_FILTER]
        if not isinstance(program, bytes):
            raise SystemError("no filter was made")
        try:
            seccomp.load(program, 0)
        except OSError as error:
            raise Error(f"{self.because}: cannot load the filter: {explain_oserror(error)}") from None
