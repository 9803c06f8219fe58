"""The steps of a Wasm container: load the module, and enter it where a native container would execve."""

import posix as os

from pyruntime.kernel import process
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.engine.base import Guest, Module
    from pyruntime.walk.walker import Walker


class LoadModule(Step):
    """Compile the Wasm module before the fork: the engine's library must not be looked for inside the container."""

    lane = HOST

    def __init__(self, because: str, path: str, size: int, engine: str, load: "object") -> None:
        super().__init__(because)
        self.path = path
        self.size = size
        self.engine = engine
        self.load = load

    def describe(self) -> str:
        return (
            f"load the Wasm module {self.path} ({self.size} bytes) with {self.engine or 'the first engine that works'}"
        )

    def run(self, walker: "Walker") -> None:
        walker.objects["module"] = self.load()  # type: ignore[operator]


class EnterModule(Step):
    """Run the module in this process, where a native container would execve."""

    def __init__(
        self,
        because: str,
        guest: "Guest",
        guest_env: "Callable[[list[str], str], list[str]]",
        run: "Callable[[Module, Guest], int]",
    ) -> None:
        super().__init__(because)
        self.guest = guest
        self.guest_env = guest_env  # this and the next are the engines', imported while planning
        self.enter = run

    def describe(self) -> str:
        return f"enter the Wasm module: {self.guest.function} of {' '.join(self.guest.argv)}, / preopened"

    def run(self, walker: "Walker") -> None:
        env = walker.objects["env"]
        entries = (
            [b"=".join(item).decode("utf-8", "surrogateescape") for item in env.items()]
            if isinstance(env, dict)
            else []
        )
        self.guest.env = self.guest_env(entries, self.guest.cwd)
        process.close_above(2)
        walker.channel = None
        os._exit(self.enter(walker.objects["module"], self.guest))  # type: ignore[arg-type]
