"""What stands between the container's stdio and the caller's."""

from pyruntime.config.process import Process
from pyruntime.plan.request import Request
from pyruntime.steps import stdio as steps
from pyruntime.steps.base import Step

_RULE = "rule: the caller's terminal is never the container's"


def make(request: Request) -> "list[Step]":
    """Host lane, before the fork."""
    return [steps.MakePipes(_RULE, request.terminals)] if request.terminals else []


def leave(request: Request) -> "list[Step]":
    """Host lane, right after the fork."""
    return [steps.LeavePipes(_RULE, request.terminals)] if request.terminals else []


def take(request: Request) -> "list[Step]":
    """Init lane, before anything looks at stdio."""
    found: "list[Step]" = [steps.TakePipes(_RULE, request.terminals)] if request.terminals else []
    return [*found, steps.ReopenNull("rule: stdio leads nowhere outside the container")]


def window(process: Process, request: Request) -> "tuple[int, int]":
    """Rows and columns of the container's terminal: the caller's where it looks through to that, else consoleSize."""
    if any(request.window):
        return request.window
    return (process.consoleSize.height, process.consoleSize.width) if process.consoleSize else (0, 0)
