"""A program: pyruntime with a trace. Each step run is told on standard error as `trace INDEX LANE PID STEP`.

Standard error is the one descriptor that the process keeps from before the fork until execve. Arguments: the tree
that holds the package, then a command line of pyruntime.
"""

import posix
import sys

sys.path.insert(0, sys.argv[1])

from pyruntime.cli.main import main
from pyruntime.cli.verbs import create
from pyruntime.steps.base import Step
from pyruntime.walk.walker import Walker


class Traced(Walker):
    """A walker that tells every step before it is run."""

    def __init__(self, steps: "list[Step]", trace: object = None) -> None:
        super().__init__(steps, self._tell)

    def _tell(self, index: int, step: Step) -> None:
        posix.write(2, f"trace {index} {self.lane} {posix.getpid()} {type(step).__name__}\n".encode())


create.Walker = Traced  # type: ignore[misc]
status = main(["pyruntime", *sys.argv[2:]])
posix._exit(status)
