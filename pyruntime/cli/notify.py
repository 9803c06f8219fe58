"""The proxy of sd_notify(3) at work: from the container's socket to the caller's, for as long as a command runs."""

import posix as os
import select

from pyruntime.cli.context import Context
from pyruntime.errors import Error, explain_oserror
from pyruntime.kernel import notify
from pyruntime.state.store import Container
from pyruntime.steps.notify import FOLDER, NAME

_PATIENCE = 30_000  # milliseconds for the manager to read what it was sent


def address() -> bytes:
    """Where the caller listens (NOTIFY_SOCKET); b"" if it does not."""
    return os.environ.get(b"NOTIFY_SOCKET", b"")


def listen(container: Container) -> "int | None":
    """Bind the container's socket; None if it was created for no proxy. Raises Error."""
    try:
        folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=container.dir_fd)
    except FileNotFoundError:
        return None
    try:
        return notify.listen(folder, NAME)
    except OSError as error:
        raise Error(f"NOTIFY_SOCKET: cannot make the container's socket: {explain_oserror(error)}") from None
    finally:
        os.close(folder)


def forward(context: Context, fd: int, pid: int) -> bool:
    """Pass on what READY= line has arrived, and `pid` (0: we are the service's main process ourselves) after it.

    Returns whether there was one. A manager that does not listen any more is a warning: the container runs.
    """
    for line in notify.receive(fd).splitlines():
        if line.startswith(b"READY="):
            try:
                notify.send(address(), line)
                if pid:
                    notify.send(address(), f"MAINPID={pid}".encode())
                    notify.barrier(address(), _PATIENCE)
            except OSError as error:
                context.log.warning(f"NOTIFY_SOCKET: the manager cannot be told: {explain_oserror(error)}")
            return True
    return False


def wait_ready(context: Context, fd: int, pid: int, pidfd: int) -> None:
    """Until the container said that it is ready, or has ended."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    poller.register(pidfd, select.POLLIN)
    while True:
        ready = dict(poller.poll())
        if fd in ready and forward(context, fd, pid):
            return
        if fd not in ready and pidfd in ready:
            return
