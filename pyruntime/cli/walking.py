"""What `create`, `run` and `exec` share around the walk of a plan: the caller's terminal, signals, debug lines."""

import _signal
import posix as os

from pyruntime.cli.context import Context
from pyruntime.errors import Error
from pyruntime.walk.walker import Walker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from pyruntime.steps.base import Step


def tracer(context: Context, steps: "list[Step]") -> "Callable[[int, Step], None] | None":
    """What tells the log of every step ahead of it, if it wants debug lines."""
    if not context.log.debugging:
        return None
    from pyruntime.cli import debugging

    return debugging.tracer(context, steps)


def terminals(none: bool) -> "tuple[int, ...]":
    """Those of our standard streams that are a terminal; `none` where the container gets them, or one of its own."""
    return () if none else tuple(fd for fd in (0, 1, 2) if os.isatty(fd))


def window() -> "tuple[int, int]":
    """Rows and columns of the terminal on stdin; (0, 0) where there is none or it does not know."""
    try:
        columns, rows = os.get_terminal_size(0)
    except OSError:
        return 0, 0
    return rows, columns


class Interrupted(Error):
    """A signal asked the command to stop while it was setting a container up."""


_ENDING = (
    _signal.SIGTERM, _signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2,
)  # fmt: skip


def interruptible(walker: Walker, attended: bool) -> None:
    """Let a signal that would end us undo a half-made container instead of leaving it behind.

    Once an `attended` program runs they are meant for that: who attends to it finds them in `walker.signals`.
    """

    def interrupt(number: int, frame: "FrameType | None") -> None:
        if walker.undoing:
            return
        if not (attended and walker.reached_program()):
            walker.undoing = True  # before a second signal can come
            raise Interrupted(f"interrupted by signal {number} during set-up", 128 + number)
        walker.signals.append(number)

    for number in _ENDING:
        _signal.signal(number, interrupt)
