"""`kill`: a signal to a container's init, or to all of it."""

import _signal

from pyruntime.cli.context import Context
from pyruntime.cli.grammar import DIGITS
from pyruntime.errors import StateError, UsageError
from pyruntime.state import claim, life
from pyruntime.state.store import Container


def run(context: Context) -> int:
    """kill [--all] ID [SIGNAL]."""
    number = parse_signal(context.arguments[1] if len(context.arguments) > 1 else "SIGTERM")
    everyone = context.options.flag("all")
    if context.options.flag("regex"):
        from pyruntime.cli.matching import each

        return each(context, lambda container: send(container, number, everyone))
    send(context.load(), number, everyone)
    return 0


def parse_signal(word: str) -> int:
    """A signal's number from its number or its name, with or without SIG, in any case. Raises UsageError.

    0 is no signal: it only asks whether there is a process to send one to, kill(2).
    """
    if word.isascii() and word.isdigit() and len(word) < DIGITS:
        number = int(word)
    else:
        name = word.upper()
        name = name if name.startswith("SIG") else f"SIG{name}"
        # SIG_BLOCK and its like are numbers too, of something else.
        number = getattr(_signal, name, -1) if name.isalnum() else -1
    if not 0 <= number < _signal.NSIG:
        most = _signal.NSIG - 1
        raise UsageError(f'unknown signal "{word[:64]}"; give a number from 0 to {most} or a name such as KILL')
    return number


def send(container: Container, number: int, everyone: bool) -> None:
    """Signal init; SIGKILL without a private pid namespace, or --all, reaches every process of the cgroup."""
    pidfd = life.open_init(container)
    if pidfd is None and number == _signal.SIGKILL:
        everyone = everyone or _outlived(container)
    if pidfd is None and not everyone:
        raise StateError(f"container not running: {container.id} is {life.status(container)}")
    if everyone or (number == _signal.SIGKILL and not container.own.get("privatePid")):
        cgroup = claim.cgroup(container)
        if cgroup:
            _send_all(cgroup, number)
            return
    if pidfd is not None and not life.signal(pidfd, number) and not everyone:
        raise StateError(f"container not running: {container.id} has just ended (no such process)")


def _send_all(cgroup: str, number: int) -> None:
    from pyruntime.cgroup import kill

    if number == _signal.SIGKILL:
        kill.kill(cgroup)
    else:
        kill.signal_all(cgroup, number)


def _outlived(container: Container) -> bool:
    """Whether processes are left of a container whose init is gone: possible where its pid namespace is the host's."""
    cgroup = "" if container.own.get("privatePid") else claim.cgroup(container)
    if not cgroup:
        return False
    from pyruntime.cgroup.members import processes

    return bool(processes(cgroup))
