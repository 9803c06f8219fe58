"""Debug lines of a walk: every step ahead of it, and what runc would say there. Imported only if they are wanted."""

from pyruntime.cli import runcwords
from pyruntime.cli.context import Context
from pyruntime.steps.base import HOST
from pyruntime.steps.program import PassDescriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.steps.base import Step


def tracer(context: Context, steps: "list[Step]") -> "Callable[[int, Step], None]":
    """What the walker calls before each step.

    Steps of the process that becomes the container are told only to a log apart from stderr, which is the container's,
    and only as long as it is open.
    """
    log, verb = context.log, context.verb
    closed = next(index for index, step in enumerate(steps) if isinstance(step, PassDescriptors))
    for step in steps:
        if type(step).__name__ == "LoadSeccomp":
            log.debug(runcwords.seccomp_flags(vars(step)["flags"]))

    def trace(index: int, step: "Step") -> None:
        if step.lane == HOST:
            for line in runcwords.marks(step, verb):
                log.debug(line)
        if step.lane == HOST or (log.apart and index <= closed):
            log.debug(f"step {index + 1} of {len(steps)}: {step.lane}: {step.describe()} [{step.because}]")

    return trace
