"""`delete`: take a container away: its processes, its cgroup, its state, then the poststop hooks."""

import _signal
import select

from pyruntime.cgroup import kill, members
from pyruntime.cli.context import Context
from pyruntime.errors import Error, StateError, explain_oserror
from pyruntime.state import claim, life
from pyruntime.state.store import Container

_PATIENCE = 10_000  # milliseconds for a killed process to vanish


def run(context: Context) -> int:
    """delete [--force] ID."""
    force = context.options.flag("force")
    if context.options.flag("regex"):
        from pyruntime.cli.matching import each

        return each(context, lambda container: delete(context, container, force), lock=True)
    try:
        container = context.load(lock=True)
    except StateError as error:
        if not force:
            raise
        return _force_remains(context, error)
    delete(context, container, force)
    return 0


def delete(context: Context, container: Container, force: bool) -> None:
    """Destroy a stopped or merely created container; with `force` any. Raises StateError, Error."""
    status = life.status(container)
    if status not in ("stopped", "created") and not force:
        raise StateError(
            f"cannot delete container {container.id} that is not stopped: {status}; stop it first, or give --force"
        )
    if container.own.get("stage") == "creating":
        from pyruntime.cli import remains

        remains.destroy(container)
        end_unit(container)
        remove_resctrl(container)
        container.remove()
    else:
        destroy(container, kill_all=force or not container.own.get("privatePid"))
    if "poststop" in container.own:
        from pyruntime.cli.hooks import poststop

        poststop(context, container)


def destroy(container: Container, kill_all: bool) -> None:
    """Kill what still runs, then remove cgroup and state. Raises Error."""
    pidfd = life.open_init(container)
    if pidfd is not None:
        life.signal(pidfd, _signal.SIGKILL)
    cgroup = claim.cgroup(container)
    if cgroup and kill_all:
        kill.kill(cgroup)
    if pidfd is not None:
        _wait_gone(container, pidfd)
    end_unit(container)
    if cgroup:
        members.remove(cgroup)
    remove_resctrl(container)
    container.remove()


def end_unit(container: Container) -> None:
    """The unit that systemd made for this container, if it did."""
    if "systemd" in container.own:
        from pyruntime.cli import units

        units.end(container)


def remove_resctrl(container: Container) -> None:
    """The resctrl groups that were made for this container. Raises Error."""
    for path in container.own.get("resctrl", {}).get("remove", []):
        from pyruntime.kernel import resctrl

        try:
            resctrl.remove(path)
        except OSError as error:
            raise Error(f"cannot remove the resctrl group {path}: {explain_oserror(error)}") from None


def _wait_gone(container: Container, pidfd: int) -> None:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    if not poller.poll(_PATIENCE):
        seconds = _PATIENCE // 1000
        raise Error(f"container still running: init {container.pid} did not die of SIGKILL in {seconds} s")


def _force_remains(context: Context, error: StateError) -> int:
    """--force of what can't be loaded: nothing there is fine, a half-made or unreadable container is cleared."""
    if "does not exist" in error.text:
        return 0
    from pyruntime.cli.remains import clear

    return clear(context.root, context.id, error)
