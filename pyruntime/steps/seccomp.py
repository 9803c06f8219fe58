"""Steps about the filter of system calls: load it, hand its listener over."""

import posix as os

from pyruntime.errors import Error, explain_oserror
from pyruntime.kernel import caps, fdpass, process, seccomp
from pyruntime.kernel.pidfd import pidfd_open
from pyruntime.report.jsonout import dumps
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_EACCES = 13


class LoadSeccomp(Step):
    """Filter the system calls of this process and of all that come from it."""

    def __init__(self, because: str, program: bytes, flags: int, summary: str, privileged: bool, handover: str) -> None:
        """`privileged`: without no_new_privs the kernel wants CAP_SYS_ADMIN. `handover`: how a listener leaves us."""
        super().__init__(because)
        self.program = program
        self.flags = flags
        self.summary = summary
        self.privileged = privileged
        self.handover = handover

    def describe(self) -> str:
        when = " while CAP_SYS_ADMIN is still there" if self.privileged else ""
        listener = ", with a listener" if self.flags & seccomp.NEW_LISTENER else ""
        return f"load the seccomp filter{when}: {self.summary}{listener}"

    def run(self, walker: "Walker") -> None:
        if self.privileged:
            _, permitted, inheritable = caps.capget()
            caps.capset(permitted, permitted, inheritable)  # a change of user has emptied the effective set
        try:
            fd = seccomp.load(self.program, self.flags)
        except OSError as error:
            remedy = "; it needs process.noNewPrivileges, or CAP_SYS_ADMIN" if error.errno == _EACCES else ""
            raise Error(f"{self.because}: cannot load the filter: {explain_oserror(error)}{remedy}") from None
        if self.handover == "pidfd_getfd":
            walker.values["seccomp_fd"] = fd
            walker.give("seccomp_fd")
        elif self.handover:
            walker.fds["seccomp"] = fd
            walker.give("seccomp")


class SendListener(Step):
    """Hand the filter's listener to who decides, with the container process state (config-linux.md, "Seccomp")."""

    lane = HOST

    def __init__(self, because: str, path: str, metadata: str, state: "dict[str, object]") -> None:
        super().__init__(because)
        self.path = path
        self.metadata = metadata
        self.state = state

    def describe(self) -> str:
        return f"send the seccomp listener to {self.path}"

    def run(self, walker: "Walker") -> None:
        pid = walker.values["init_pid"]
        if "seccomp_fd" in walker.values:
            pidfd = pidfd_open(pid)
            walker.fds["seccomp"] = process.pidfd_getfd(pidfd, walker.values.pop("seccomp_fd"))
            os.close(pidfd)
        state = {**self.state, "pid": self.state.get("pid") or pid}
        told = {"ociVersion": state["ociVersion"], "fds": ["seccompFd"], "pid": pid, "metadata": self.metadata}
        text = dumps({**told, "state": state}).encode("utf-8", "surrogateescape")
        try:
            fdpass.send_fd(walker.fds["seccomp_socket"], text, walker.fds["seccomp"])
        except OSError as error:
            raise Error(f"{self.because}: cannot send to {self.path}: {explain_oserror(error)}") from None
        walker.close_fd("seccomp_socket")
        walker.close_fd("seccomp")
