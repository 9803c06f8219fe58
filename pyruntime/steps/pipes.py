"""Steps about what lies between the container and a terminal: the caller's, or its own."""

import posix as os

from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker


class MakePipes(Step):
    """Pipes between the container and a terminal of the caller, which must never be the container's."""

    lane = HOST

    def __init__(self, because: str, streams: "tuple[int, ...]") -> None:
        super().__init__(because)
        self.streams = streams

    def describe(self) -> str:
        return f"make pipes for descriptors {' '.join(map(str, self.streams))}, which are the caller's terminal"

    def run(self, walker: "Walker") -> None:
        for fd in self.streams:
            reader, writer = os.pipe2(os.O_CLOEXEC)
            ours, theirs = (writer, reader) if fd == 0 else (reader, writer)
            walker.fds[f"pipe:{fd}"] = ours
            walker.fds[f"stdio:{fd}"] = theirs


class LeavePipes(Step):
    """Close the host's copies of the container's ends, so that the last writer's end is seen."""

    lane = HOST

    def __init__(self, because: str, streams: "tuple[int, ...]") -> None:
        super().__init__(because)
        self.streams = streams

    def describe(self) -> str:
        return "close the host's copies of the container's ends"

    def run(self, walker: "Walker") -> None:
        for fd in self.streams:
            walker.close_fd(f"stdio:{fd}")


class TakePipes(Step):
    """Put the pipes on stdin, stdout and stderr."""

    def __init__(self, because: str, streams: "tuple[int, ...]") -> None:
        super().__init__(because)
        self.streams = streams

    def describe(self) -> str:
        return f"put the pipes on descriptors {' '.join(map(str, self.streams))}"

    def run(self, walker: "Walker") -> None:
        for fd in self.streams:
            os.dup2(walker.fds[f"stdio:{fd}"], fd, True)
            walker.close_fd(f"stdio:{fd}")
            walker.close_fd(f"pipe:{fd}")


class HoldMaster(Step):
    """Hold the master end of the process's terminal: it travels with a baton, and execve passes none."""

    lane = HOST

    def describe(self) -> str:
        return "hold the master end of the terminal"

    def run(self, walker: "Walker") -> None:
        if "master" not in walker.fds:
            raise SystemError("the terminal's master end did not come with the baton")
