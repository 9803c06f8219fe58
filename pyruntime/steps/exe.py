"""The step that sees to it that nobody in the container can write our own executable."""

from pyruntime.errors import Error
from pyruntime.kernel.exe import LINK, protection
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker


class CheckExecutable(Step):
    """Read back what was done about our own executable when the command began; init is a fork and inherits it."""

    lane = HOST

    def describe(self) -> str:
        return f"see that the file behind {LINK} can't be written"

    def run(self, walker: "Walker") -> None:
        if not protection():
            raise Error(f"{LINK} is the host's own file: a container could write to it once we are gone")
