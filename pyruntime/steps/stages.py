"""Steps of an init that one clone3 can't make: by a stage process, and as root of a user namespace."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import ns, process
from pyruntime.kernel.procmount import open_private, write_in
from pyruntime.steps.base import HOST, Step
from pyruntime.steps.namespaces import end

_ERANGE = 34

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker


class SetTimeOffsets(Step):
    """Shift the clocks of the time namespace that the next child will enter."""

    def __init__(self, because: str, offsets: "list[tuple[str, int, int]]") -> None:
        super().__init__(because)
        self.offsets = offsets

    def describe(self) -> str:
        shifts = ", ".join(f"{clock} {secs} s {nanosecs} ns" for clock, secs, nanosecs in self.offsets)
        return f"shift the clocks of the time namespace: {shifts}"

    def run(self, walker: "Walker") -> None:
        proc = open_private(processes_only=True)  # /proc may be that of a mount namespace we have joined
        try:
            for clock, secs, nanosecs in self.offsets:
                self._shift(proc, clock, secs, nanosecs)
        finally:
            os.close(proc)

    def _shift(self, proc: int, clock: str, secs: int, nanosecs: int) -> None:
        try:
            write_in(proc, "self/timens_offsets", f"{clock} {secs} {nanosecs}\n")
        except OSError as error:
            hint = "; no clock may show less than nothing, nor 146 years" if error.errno == _ERANGE else ""
            raise Error(f"{self.because}.{clock}: {secs} s: {reason(error)}{hint}") from None


class ForkInit(Step):
    """The stage process forks init as its own sibling (CLONE_PARENT), tells its pid and ends."""

    def __init__(self, because: str, new: "list[str]") -> None:
        super().__init__(because)
        self.new = new

    def describe(self) -> str:
        what = f", new namespaces {' '.join(self.new)}" if self.new else ""
        return f"clone3 init beside the stage process (CLONE_PARENT){what}"

    def run(self, walker: "Walker") -> None:
        pid = process.clone3(ns.mask(self.new), sibling=True)
        if pid:
            walker.values["init_pid"] = pid
            walker.give("init_pid")
            walker.pass_baton(kind=b"N")
            os._exit(0)


class AdoptInit(Step):
    """Learn init's pid from the stage process and reap that."""

    lane = HOST
    made = 0

    def describe(self) -> str:
        return "learn init's pid, reap the stage process"

    def run(self, walker: "Walker") -> None:
        os.waitpid(walker.values["stage_pid"], 0)
        del walker.values["stage_pid"]
        while not process.is_child(walker.values.get("init_pid", 0)):  # who may trace init can speak in its place
            walker.values.pop("init_pid", None)
            walker.take(at_once=True)  # killed before it told us, it left an init that waits for us as we would for it
        self.made = walker.values["init_pid"]

    def undo(self, walker: "Walker") -> None:
        end(self.made)


class BecomeRoot(Step):
    """Take uid and gid 0 of the new user namespace, so that what is made from here on belongs to its root."""

    def describe(self) -> str:
        return "become uid 0, gid 0 of the user namespace"

    def run(self, walker: "Walker") -> None:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        process.set_dumpable(False)  # a change of ids makes it what fs.suid_dumpable says
