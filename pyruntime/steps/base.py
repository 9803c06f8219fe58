"""What a step is: one act on the way of a container's life, as plain data."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

HOST = "host"
INIT = "init"


class Step:
    """One act. Subclasses hold their values, say what they do and do it through `kernel/` and `cgroup/`."""

    lane = INIT
    waits_for_end = False  # the last step of a walk that ends with execve: end of file is its baton

    def __init__(self, because: str) -> None:
        self.because = because

    def describe(self) -> str:
        """One sentence with the real values; the errors and `explain` print it."""
        raise SystemError(f"{type(self).__name__} does not describe itself")

    def run(self, walker: "Walker") -> None:
        """Act. Raises OSError or Error; the walker adds which step it was and what asked for it."""
        raise SystemError(f"{type(self).__name__} does not act")

    def undo(self, walker: "Walker") -> None:
        """Take the act back after a later step failed (host lane only). Must not raise for what is already gone."""
