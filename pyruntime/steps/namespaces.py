"""Steps about processes and namespaces: clone, join, id maps, becoming init."""

import _signal
import gc
import posix as os

from pyruntime.errors import Error, explain_oserror, reason
from pyruntime.kernel import keys, net, ns, process, sched
from pyruntime.kernel.imports import lock_imports
from pyruntime.kernel.procmount import open_private, write_in
from pyruntime.kernel.syscall import syscall
from pyruntime.steps.base import HOST, Step

_REFUSED = (1, 13, 30)  # EPERM, EACCES, EROFS
_ERANGE = 34
_NAME = b"pyruntime init"  # everybody may read a command line, and ours tells of the host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_ENDING = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM)


class OpenNamespace(Step):
    """Open a namespace file on the host, check its kind, keep the descriptor for a later join."""

    lane = HOST

    def __init__(self, because: str, kind: str, path: str, changed: str = "") -> None:
        """`changed`: the sysctl that is set in it, which may then not be the host's."""
        super().__init__(because)
        self.kind = kind
        self.path = path
        self.changed = changed

    def describe(self) -> str:
        return f"open the {self.kind} namespace {self.path}"

    def run(self, walker: "Walker") -> None:
        try:
            walker.fds[f"ns:{self.kind}"] = ns.open_namespace(self.path, self.kind)
        except (ValueError, OSError) as error:
            found = reason(error) if isinstance(error, OSError) else str(error)
            raise Error(
                f"{self.because}.path {self.path}: {found}; "
                f"expected a {self.kind} namespace, such as /proc/PID/ns/{ns.FILES[self.kind]}"
            ) from None
        ours = os.stat(f"/proc/self/ns/{ns.FILES[self.kind]}")
        if os.fstat(walker.fds[f"ns:{self.kind}"]).st_ino == ours.st_ino:
            self._check_ours()

    def _check_ours(self) -> None:
        """Nothing is to be changed in a namespace of the caller's, and pivot_root changes the root of all in one."""
        if self.kind == "mount":
            raise Error(
                f"{self.because}.path {self.path}: is the mount namespace of this command, which would lose its root "
                "with all that live in it; leave the path out for a new one, or the entry to share it"
            )
        if self.changed:
            raise Error(
                f'sysctl "{self.changed}" is not in a separate kernel namespace: {self.because}.path {self.path} '
                f"is the host's own {self.kind} namespace; remove it from linux.sysctl"
            )


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
            walker.values["stage_pid" if self.stage else "init_pid"] = pid
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
        for name in ("stage_pid", "init_pid"):
            pid = walker.values.pop(name, None)
            if pid:
                _end(pid)


def _end(pid: int) -> None:
    try:
        os.kill(pid, _signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


class Join(Step):
    """setns into a namespace that was opened on the host."""

    def __init__(self, because: str, kind: str, path: str) -> None:
        super().__init__(because)
        self.kind = kind
        self.path = path

    def describe(self) -> str:
        return f"setns: join the {self.kind} namespace {self.path}"

    def run(self, walker: "Walker") -> None:
        fd = walker.fds.get(f"ns:{self.kind}")
        if fd is None:  # OpenTarget found that we are in this namespace already
            return
        if self.kind == "user":  # its root may trace who is in it, from the first moment
            process.set_dumpable(False)
        if self.kind == "mount":  # our root becomes the container's: its files must not be taken for Python's
            lock_imports()
        ns.setns(fd, self.kind)
        walker.close_fd(f"ns:{self.kind}")


class Unshare(Step):
    """New namespaces for the calling process; of kinds pid and time for its children."""

    def __init__(self, because: str, kinds: "list[str]") -> None:
        super().__init__(because)
        self.kinds = kinds

    def describe(self) -> str:
        return f"unshare: new namespaces {' '.join(self.kinds)}"

    def run(self, walker: "Walker") -> None:
        ns.unshare(self.kinds)


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

    def describe(self) -> str:
        return "learn init's pid, reap the stage process"

    def run(self, walker: "Walker") -> None:
        os.waitpid(walker.values["stage_pid"], 0)
        del walker.values["stage_pid"]
        while "init_pid" not in walker.values:
            walker.take(at_once=True)  # killed before it told us, it left an init that waits for us as we would for it


class BecomeRoot(Step):
    """Take uid and gid 0 of the new user namespace, so that what is made from here on belongs to its root."""

    def describe(self) -> str:
        return "become uid 0, gid 0 of the user namespace"

    def run(self, walker: "Walker") -> None:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        process.set_dumpable(False)  # a change of ids makes it what fs.suid_dumpable says


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
