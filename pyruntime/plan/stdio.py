"""Stdio: pipes, a terminal of the container's own, and the sockets it and the pidfd are handed over on."""

from pyruntime.config.process import Process
from pyruntime.host.facts import Facts
from pyruntime.pack import bring
from pyruntime.plan.request import Request
from pyruntime.steps import stdio as steps
from pyruntime.steps.base import Step

_RULE = "rule: the caller's terminal is never the container's"


def make(request: Request) -> "list[Step]":
    """Host lane, before the fork."""
    if not request.terminals:
        return []
    bring("terminal")
    from pyruntime.steps.pipes import MakePipes

    return [MakePipes(_RULE, request.terminals)]


def guard(request: Request, facts: Facts, user_namespace: bool) -> "list[Step]":
    """Host lane, before the fork, for a container that may have lost its /dev/null since it was made.

    In a user namespace nobody owns the host's; who may make no mounts of their own is not its owner either.
    """
    own = user_namespace or facts.in_user_namespace or facts.euid or facts.refused_mount_call
    return (
        []
        if own or len(request.terminals) == 3
        else [steps.GuardNull("rule: stdio leads nowhere outside the container")]
    )


def leave(request: Request) -> "list[Step]":
    """Host lane, right after the fork."""
    if not request.terminals:
        return []
    from pyruntime.steps.pipes import LeavePipes

    return [LeavePipes(_RULE, request.terminals)]


def take(request: Request) -> "list[Step]":
    """Init lane, before anything looks at stdio."""
    found: "list[Step]" = []
    if request.terminals:
        from pyruntime.steps.pipes import TakePipes

        found.append(TakePipes(_RULE, request.terminals))
    return [*found, steps.ReopenNull("rule: stdio leads nowhere outside the container")]


def sockets(request: Request) -> "list[Step]":
    """Host lane, before the fork: the caller's sockets, connected while their paths mean what the caller meant."""
    wanted = (("console", request.console_socket), ("pidfd", request.pidfd_socket))
    given = [(kind, path) for kind, path in wanted if path]
    if not given:
        return []
    bring("terminal")
    from pyruntime.steps.sockets import ConnectSocket

    return [ConnectSocket(f"--{kind}-socket", f"{kind} socket", path, f"{kind}_socket") for kind, path in given]


def pidfd(request: Request, payload: str) -> "list[Step]":
    """Host lane: the pidfd, with the word that says whose it is."""
    if not request.pidfd_socket:
        return []
    from pyruntime.steps.sockets import SendPidfd

    return [SendPidfd("--pidfd-socket", payload)]


def attach(process: Process, request: Request, on_dev: bool) -> "list[Step]":
    """Init lane, in the new root: the pipes, or a pty (bound on /dev/console if `on_dev`) and its way to the caller."""
    if not process.terminal:
        return take(request)
    bring("terminal")
    from pyruntime.steps import console

    rows, columns = window(process, request)
    found: "list[Step]" = [
        console.OpenConsole("process.terminal", rows, columns, on_dev, request.foreground, process.user.uid)
    ]
    if request.console_socket:
        found.append(console.SendConsole("--console-socket"))
    return found


def hold(process: Process, request: Request) -> "list[Step]":
    """Host lane, before execve: what `attend` copies from and to."""
    if not (process.terminal and request.foreground):
        return []
    from pyruntime.steps.pipes import HoldMaster

    return [HoldMaster("process.terminal")]


def window(process: Process, request: Request) -> "tuple[int, int]":
    """Rows and columns of the container's terminal: the caller's where it looks through to that, else consoleSize."""
    if any(request.window):
        return request.window
    return (process.consoleSize.height, process.consoleSize.width) if process.consoleSize else (0, 0)
