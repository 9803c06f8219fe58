"""Steps about processes and namespaces: clone, new namespaces, becoming init."""

import _signal
import gc
import posix as os

from pyruntime.errors import Error, explain_oserror
from pyruntime.kernel import keys, net, ns, process, sched
from pyruntime.kernel.syscall import syscall
from pyruntime.steps.base import HOST, Step

_REFUSED = (1, 13, 30)  # EPERM, EACCES, EROFS
_NAME = b"pyruntime init"  # everybody may read a command line, and ours tells of the host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_ENDING = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM)


class Clone(Step):
    """Fork the process that becomes the container, with its new namespaces, inside its cgroup."""

    lane = HOST

    def __init__(
        self,
        because: str,
        new: "list[str]",
        in_cgroup: bool,
        hide: bool,
        stage: bool = False,
        lenient: bool = False,
        moved: bool = False,
    ) -> None:
        """`lenient`: stay in the caller's cgroup, if the kernel lets us into no other; `moved`: until a later step."""
        super().__init__(because)
        self.new = new
        self.in_cgroup = in_cgroup
        self.hide = hide
        self.stage = stage
        self.lenient = lenient
        self.moved = moved
        self.made = 0  # who was forked; the walker's slot is filled by what init says too, or who speaks in its place

    def describe(self) -> str:
        what = f"new namespaces {' '.join(self.new)}" if self.new else "no new namespace"
        where = ", inside its cgroup" if self.in_cgroup else ""
        if self.lenient or self.moved:
            where += f" (or the caller's, if refused: {'systemd moves it' if self.moved else 'rootless and no limits'})"
        hidden = ", not dumpable" if self.hide else ""
        return f"clone3 {'a stage process' if self.stage else 'init'}: {what}{where}{hidden}"

    def run(self, walker: "Walker") -> None:
        walker.open_channel()
        gc.disable()
        if self.hide:  # before the child exists: it could be traced from its first moment
            process.set_dumpable(False)
        shown = process.command_line()
        pid = self._clone(walker, walker.fds.get("cgroup") if self.in_cgroup else None)
        if pid:
            self.made = walker.values["stage_pid" if self.stage else "init_pid"] = pid
        walker.split(child=pid == 0)
        if not pid:
            process.rename(shown, _NAME)
            walker.objects["command line"] = shown

    def _clone(self, walker: "Walker", cgroup: "int | None") -> int:
        try:
            return process.clone3(ns.mask(self.new), cgroup)
        except OSError as error:
            if (self.lenient or self.moved) and cgroup is not None and error.errno in _REFUSED:
                walker.values["outside"] = 1
                return process.clone3(ns.mask(self.new))
            from pyruntime.steps.refusals import of_clone

            raise of_clone(error, self.describe(), self.new, cgroup) from None

    def undo(self, walker: "Walker") -> None:
        end(self.made)


def end(pid: int) -> None:
    """Kill and reap a child, if it is one still and nobody has reaped it."""
    if not pid or not process.is_child(pid):
        return
    try:
        os.kill(pid, _signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


class Unshare(Step):
    """New namespaces for the calling process; of kinds pid and time for its children."""

    def __init__(self, because: str, kinds: "list[str]") -> None:
        super().__init__(because)
        self.kinds = kinds

    def describe(self) -> str:
        return f"unshare: new namespaces {' '.join(self.kinds)}"

    def run(self, walker: "Walker") -> None:
        ns.unshare(self.kinds)


def _leave(number: int, frame: object) -> None:
    os._exit(128 + number)


class Isolate(Step):
    """Own session, not dumpable, default signals: nothing of the caller's clings to init."""

    def __init__(self, because: str, affinity: bool = True, waits: bool = False) -> None:
        """`waits`: for `start`. The kernel keeps from PID 1 what it has no handler for; execve takes ours away."""
        super().__init__(because)
        self.affinity = affinity
        self.waits = waits

    def describe(self) -> str:
        return (
            "own session, not dumpable, default signals"
            + (", every CPU of its cgroup" if self.affinity else "")
            + (", ended by SIGHUP, SIGINT, SIGQUIT and SIGTERM also as PID 1" if self.waits else "")
        )

    def run(self, walker: "Walker") -> None:
        process.reset_signals()
        for number in _ENDING if self.waits else ():
            _signal.signal(number, _leave)
        os.setsid()
        os.umask(0o022)
        process.set_dumpable(False)
        if self.affinity:
            sched.reset_affinity()


class JoinKeyring(Step):
    """A session keyring of the container's own, so that it can't read the caller's keys."""

    def __init__(self, because: str, name: str, other_search: bool) -> None:
        super().__init__(because)
        self.name = name
        self.other_search = other_search

    def describe(self) -> str:
        return f"join the session keyring {self.name}"

    def run(self, walker: "Walker") -> None:
        try:
            keys.join_session(self.name, self.other_search)
        except OSError as error:
            raise Error(
                f"cannot join a session keyring: {explain_oserror(error)}; do without: --no-new-keyring"
            ) from None


class LoopbackUp(Step):
    """Bring lo up in the new network namespace."""

    def describe(self) -> str:
        return "bring lo up"

    def run(self, walker: "Walker") -> None:
        net.loopback_up()


class SetHostname(Step):
    """sethostname in the container's uts namespace."""

    call = "sethostname"

    def __init__(self, because: str, name: str) -> None:
        super().__init__(because)
        self.name = name

    def describe(self) -> str:
        return f"{self.call} {self.name}"

    def run(self, walker: "Walker") -> None:
        name = self.name.encode("utf-8", "surrogateescape")
        syscall(self.call, name, len(name))


class SetDomainname(SetHostname):
    """setdomainname in the container's uts namespace."""

    call = "setdomainname"
