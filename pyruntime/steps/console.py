"""Steps about the container's own terminal."""

import posix as os

from pyruntime.kernel import mounts, paths, tty
from pyruntime.kernel.fdpass import send_fd
from pyruntime.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker


class OpenConsole(Step):
    """A pty of the container's own devpts: its slave becomes stdio and the controlling terminal."""

    def __init__(self, because: str, rows: int, columns: int, bind: bool, to_host: bool, uid: int) -> None:
        super().__init__(because)
        self.rows = rows
        self.columns = columns
        self.bind = bind
        self.to_host = to_host
        self.uid = uid

    def describe(self) -> str:
        size = f", {self.columns}x{self.rows}" if self.rows and self.columns else ""
        return f"open a pty of the container's devpts{size}" + (", bind it on /dev/console" if self.bind else "")

    def run(self, walker: "Walker") -> None:
        master, slave = tty.open_pty(walker.fds["root"])
        if self.rows and self.columns:
            tty.set_size(slave, self.rows, self.columns)
        os.fchown(slave, self.uid, -1)
        if self.bind:
            self._bind(walker.fds["root"], slave)
        for fd in (0, 1, 2):
            os.dup2(slave, fd, True)
        os.close(slave)
        tty.make_controlling(0)
        walker.fds["master"] = master
        if self.to_host:
            walker.give("master")

    def _bind(self, root: int, slave: int) -> None:
        """Attach the slave's own mount entry: no name in /dev/pts is looked up, so none can be swapped."""
        target = paths.make_file(root, "/dev/console")
        mounts.bind_file(slave, target)
        os.close(target)


class SendConsole(Step):
    """Hand the pty's master to the caller over its console socket, and keep no copy."""

    def describe(self) -> str:
        return "send the pty's master to the console socket"

    def run(self, walker: "Walker") -> None:
        send_fd(walker.fds["console_socket"], b"/dev/ptmx", walker.fds["master"])
        walker.close_fd("master")
        walker.close_fd("console_socket")
