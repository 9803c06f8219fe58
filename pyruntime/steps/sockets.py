"""Steps of the command about the sockets it is called with; few callers give any."""

import posix as os

from pyruntime.kernel import fdpass
from pyruntime.kernel.pidfd import pidfd_open
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker


class ConnectSocket(Step):
    """Connect to a socket of the caller before the root changes; its path is never looked up again."""

    lane = HOST

    def __init__(self, because: str, what: str, path: str, slot: str) -> None:
        super().__init__(because)
        self.what = what
        self.path = path
        self.slot = slot

    def describe(self) -> str:
        return f"connect to the {self.what} {self.path}"

    def run(self, walker: "Walker") -> None:
        walker.fds[self.slot] = fdpass.connect(self.path, self.what)


class SendPidfd(Step):
    """Hand a pidfd of init to the caller."""

    lane = HOST

    def __init__(self, because: str, payload: str) -> None:
        super().__init__(because)
        self.payload = payload

    def describe(self) -> str:
        return "send a pidfd of init to the pidfd socket"

    def run(self, walker: "Walker") -> None:
        pidfd = pidfd_open(walker.values["init_pid"])
        fdpass.send_fd(walker.fds["pidfd_socket"], self.payload.encode(), pidfd)
        os.close(pidfd)
        walker.close_fd("pidfd_socket")
