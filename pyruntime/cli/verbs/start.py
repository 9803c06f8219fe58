"""`start`: release a created container's program."""

import posix as os
import select

from pyruntime.cli.context import Context
from pyruntime.errors import StateError
from pyruntime.state import life
from pyruntime.state.store import FIFO, Container

_REFUSALS = {
    "running": "cannot start an already running container",
    "stopped": "cannot start a container that has stopped",
    "paused": "cannot start a container in the paused state",
    "creating": "cannot start a container that is still being created",
}


def run(context: Context) -> int:
    """start ID."""
    container = context.load(lock=True)
    status = life.status(container)
    if status != "created":
        raise StateError(f"{_REFUSALS[status]}: {container.id}")
    notify_fd = notify_socket(container)
    pidfd = life.open_init(container) if notify_fd is not None else None
    release(container, wait="poststart" in container.own)
    if "poststart" in container.own:
        from pyruntime.cli.hooks import poststart

        poststart(container)
    if notify_fd is not None and pidfd is not None:
        from pyruntime.cli.notify import wait_ready

        container.close()  # the wait may be long, and others want to look or to kill
        wait_ready(context, notify_fd, container.pid, pidfd)
    return 0


def notify_socket(container: Container) -> "int | None":
    """The socket that a container of a service manager reports to, when both `create` and we were called by one."""
    if b"NOTIFY_SOCKET" not in os.environ:
        return None
    from pyruntime.cli.notify import listen

    return listen(container)


def release(container: Container, wait: bool = False) -> None:
    """Write to the barrier, whose other end init holds open, and take it away: the container is running now.

    With `wait`, only until init has let go of it: by execve, ahead of which startContainer hooks run, or by its end.
    """
    try:
        fd = os.open(FIFO, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=container.dir_fd)
    except OSError:  # ENXIO: nobody reads; init has died, or another `start` was killed right after its write
        raise StateError(f"{_REFUSALS[_settled(container)]}: {container.id}") from None
    try:
        os.write(fd, b"0")
        os.unlink(FIFO, dir_fd=container.dir_fd)
        if wait:
            poller = select.poll()
            poller.register(fd, 0)  # POLLERR is told always: nobody reads any more
            poller.poll()
    finally:
        os.close(fd)


def _settled(container: Container) -> str:
    """What the container is when nobody waits at its barrier, which goes."""
    os.unlink(FIFO, dir_fd=container.dir_fd)
    return life.status(container)
