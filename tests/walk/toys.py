"""Steps that do next to nothing, and a real fork between them."""

import os
import signal
from collections.abc import Callable

from pyruntime.steps.base import HOST, INIT, Step
from pyruntime.walk.walker import Walker


class Note(Step):
    """Write a word to a pipe when run, and another when undone; then do what the test wants."""

    def __init__(self, lane: str, word: str, sink: int, act: "Callable[[Walker], None] | None" = None) -> None:
        super().__init__(f"test.{word}")
        self.lane = lane
        self.word = word
        self.sink = sink
        self.act = act

    def describe(self) -> str:
        return f"note {self.word}"

    def run(self, walker: Walker) -> None:
        os.write(self.sink, f"{walker.lane}:{self.word} ".encode())
        if self.act is not None:
            self.act(walker)

    def undo(self, walker: Walker) -> None:
        os.write(self.sink, f"undo:{self.word} ".encode())


class Fork(Step):
    """fork(2), as `Clone` does it."""

    lane = HOST

    def describe(self) -> str:
        return "fork"

    def run(self, walker: Walker) -> None:
        walker.open_channel()
        pid = os.fork()
        walker.split(child=pid == 0)
        if pid:
            walker.values["init_pid"] = pid

    def undo(self, walker: Walker) -> None:
        pid = walker.values.pop("init_pid", 0)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class Leave(Step):
    """What execve is to the walk: init is gone without a word."""

    lane = INIT

    def describe(self) -> str:
        return "leave"

    def run(self, walker: Walker) -> None:
        os._exit(0)


class Await(Step):
    """The host's wait for that."""

    lane = HOST
    waits_for_end = True

    def describe(self) -> str:
        return "await the end"

    def run(self, walker: Walker) -> None:
        return
