"""`run`: create and start in one, then wait, forward signals, delete."""

from pyruntime.cli.context import Context
from pyruntime.cli.verbs import create
from pyruntime.cli.verbs.delete import delete
from pyruntime.errors import Error
from pyruntime.kernel.pidfd import pidfd_open
from pyruntime.kernel.process import set_child_subreaper
from pyruntime.steps.record import container_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.state.store import Container
    from pyruntime.walk.walker import Walker


def run(context: Context) -> int:
    """run [--detach] ID."""
    config, request = create.prepare(context)
    detach = context.options.flag("detach")
    terminal = bool(config.process and config.process.terminal)
    if detach and terminal and not request.console_socket:
        raise Error(
            "process.terminal: cannot allocate tty if runc will detach without setting console socket; "
            "give --console-socket, set process.terminal to false, or leave --detach out"
        )
    if request.console_socket and not (detach and terminal):
        raise Error("--console-socket: cannot use console socket if runc will not detach or allocate tty")
    request.barrier = False
    request.foreground = not detach
    request.terminals = create.terminals(detach or terminal)
    if terminal and not detach:
        request.window = create.window()
    if not detach and not context.options.flag("no-subreaper"):
        set_child_subreaper()
    walker = create.start(context, config, request)
    container = container_of(walker)
    if detach:
        if "notify" in walker.fds:
            _await_ready(context, container, walker)
        return 0
    from pyruntime.walk.foreground import attend

    context.log.settle()
    container.unlock()  # others may pause, resume and delete it while it runs
    try:
        status = attend(walker, _watched(context, walker))
    except BaseException:  # whatever it is, a container that nobody attends to any more must not stay behind
        _remove(context, container)
        raise
    if not context.options.flag("keep"):
        _remove(context, container)
    return status


def _remove(context: Context, container: "Container") -> None:
    """Delete it, unless somebody else has, and may have given its id to another."""
    container.lock()
    if not container.gone():
        delete(context, container, force=True)


def _await_ready(context: Context, container: "Container", walker: "Walker") -> None:
    """Stay until the container of a service manager has said that it is ready."""
    from pyruntime.cli.notify import wait_ready

    container.close()  # the wait may be long, and others want to look or to kill
    pid = walker.values["init_pid"]
    wait_ready(context, walker.fds["notify"], pid, pidfd_open(pid))


def _watched(context: Context, walker: "Walker") -> "dict[int, Callable[[], object]]":
    """In the foreground we are the service's main process, and pass on what the container says to its manager."""
    fd = walker.fds.get("notify")
    if fd is None:
        return {}
    from pyruntime.cli.notify import forward

    return {fd: lambda: forward(context, fd, 0)}
