"""The steps of a Wasm container: its program compiled outside, loaded inside, and entered in the place of execve."""

import posix as os

from pyruntime.errors import Error, explain_oserror
from pyruntime.kernel import caller, process
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.engine.base import Guest, Module
    from pyruntime.engine.engines import Prepared
    from pyruntime.engine.select import Selection
    from pyruntime.walk.walker import Walker

_SLOT = "module"


class PrepareModule(Step):
    """Find the compiled module in the cache, or have it compiled."""

    lane = HOST

    def __init__(self, because: str, path: str, size: int, engine: str, prepare: "Callable[[], Prepared]") -> None:
        super().__init__(because)
        self.path = path
        self.size = size
        self.engine = engine
        self.prepare = prepare

    def describe(self) -> str:
        engine = self.engine or "the first engine that is there"
        return f"find the Wasm module {self.path} ({self.size} bytes) compiled for {engine}, or have it compiled"

    def run(self, walker: "Walker") -> None:
        walker.objects[_SLOT] = self.prepare()


class LoadModule(Step):
    """Load the engine's library and the artefact while both can still be reached, as what the container pays for."""

    def __init__(self, because: str, path: str) -> None:
        super().__init__(because)
        self.path = path

    def describe(self) -> str:
        return f"load the engine and the compiled {self.path}, in the container's cgroup"

    def run(self, walker: "Walker") -> None:
        prepared = walker.objects[_SLOT]
        walker.objects[_SLOT] = prepared.load()  # type: ignore[attr-defined]


class CheckModule(Step):
    """See that the container has at this path what was compiled: mounts may have come over it."""

    def __init__(self, because: str, selection: "Selection", digest: "Callable[[int], str]") -> None:
        """`digest`: of what a descriptor holds, in the manner of `selection.digest`."""
        super().__init__(because)
        self.selection = selection
        self.digest = digest

    def describe(self) -> str:
        return f"see that {self.selection.path} in the container is the file that was compiled"

    def run(self, walker: "Walker") -> None:
        path = self.selection.path
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise self._other(f"is not there any more ({explain_oserror(error)})") from None
        try:
            if not self._is_compiled(fd):
                raise self._other("is another file there")
        finally:
            os.close(fd)

    def _is_compiled(self, fd: int) -> bool:
        found = os.fstat(fd)
        if self.selection.is_same(found):
            return True
        # What has another size needs no reading, and a device might never come to its end.
        return self.selection.may_equal(found) and self.digest(fd) == self.selection.digest

    def _other(self, what: str) -> Error:
        return Error(
            f"process.args[0]: {self.selection.path} was found from outside the container, and once its mounts are "
            f"made it {what}; name it by a path without symlinks, in the rootfs or on a bind mount of a directory"
        )


class HideCommand(Step):
    """Show the guest's command line, as execve would, and nothing of the environment of our own command."""

    def __init__(self, because: str, words: "list[str]") -> None:
        super().__init__(because)
        self.words = [word.encode("utf-8", "surrogateescape") for word in words]

    def describe(self) -> str:
        words = b" ".join(self.words).decode("utf-8", "backslashreplace")
        return f"overwrite in memory our own command line by {words}, and our environment by nothing"

    def run(self, walker: "Walker") -> None:
        process.rename(walker.objects.get("command line"), b"\0".join(self.words))
        caller.set_name(self.words[0])
        caller.forget_environment()


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
        shown = ", ".join(name + (" (read-only)" if guarded else "") for _, name, guarded in self.guest.preopens)
        words = " ".join(self.guest.argv)
        return f"enter the Wasm module: {self.guest.function} of {words}, {shown or 'nothing'} preopened"

    def run(self, walker: "Walker") -> None:
        env = walker.objects["env"]
        entries = (
            [b"=".join(item).decode("utf-8", "surrogateescape") for item in env.items()]
            if isinstance(env, dict)
            else []
        )
        self.guest.env = self.guest_env(entries, self.guest.cwd)
        process.close_above(2 + len(self.guest.network.listeners if self.guest.network else ()))
        walker.channel = None
        os._exit(self.enter(walker.objects[_SLOT], self.guest))  # type: ignore[arg-type]
