"""The last steps: find the program, wait at the start barrier, close what is not the container's, execve."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import formats, process
from pyruntime.pathtext import DEFAULT_PATH
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_ENOEXEC = 8
_WASM = (
    "exec format error: it is WebAssembly, which was not found there from outside the container; "
    "name it by a path without symlinks, in the rootfs or on a bind mount of a directory"
)


class FindProgram(Step):
    """Look the program up as the process's user, at create time, so that a missing one fails `create` and not later.

    So does one whose interpreter or loader is missing. What is odd about its format is kept for execve's failure.
    """

    def __init__(self, because: str, program: str) -> None:
        super().__init__(because)
        self.program = program

    def describe(self) -> str:
        return f"find the program {self.program} in the container"

    def run(self, walker: "Walker") -> None:
        if "/" in self.program:
            self._demand(self.program)
            found = self.program
        else:
            found = self._search(walker)
        refused, doubt = formats.judge(found)
        if refused:
            raise Error(f"exec {found}: {refused}")
        if doubt == formats.WASM:
            raise self._error(_WASM)
        walker.texts["program"], walker.texts["format"] = found, doubt

    def _demand(self, path: str) -> None:
        word, found = formats.refused(path)
        if found and formats.judge(path)[1] == formats.WASM:  # a module needs no x bit
            raise self._error(_WASM)
        if word:
            raise self._error(f"{word}: {found}" if found else f"stat {path}: {word}")

    def _search(self, walker: "Walker") -> str:
        env = walker.objects["env"]
        path = env.get(b"PATH", b"").decode("utf-8", "surrogateescape") if isinstance(env, dict) else ""
        denied = ""
        for folder in (path or DEFAULT_PATH).split(":"):
            candidate = f"{folder or '.'}/{self.program}"
            word, found = formats.refused(candidate)
            if not word:
                return candidate
            if found and found != formats.FOLDER:
                denied = f"{word}: {found}"
        raise self._error(denied or f"executable file not found in $PATH ({path})")

    def _error(self, reason: str) -> Error:
        return Error(f'exec: "{self.program}": {reason}')


class PassDescriptors(Step):
    """Let the caller's extra descriptors through execve; every other one is closed."""

    def __init__(self, because: str, count: int, slots: "tuple[str, ...]" = ()) -> None:
        """`slots`: those of ours that a step after this one still needs."""
        super().__init__(because)
        self.count = count
        self.slots = slots

    def describe(self) -> str:
        kept = f"0 to {2 + self.count}"
        return f"keep descriptors {kept}, close the rest but the start barrier"

    def run(self, walker: "Walker") -> None:
        for fd in range(3, 3 + self.count):
            os.set_inheritable(fd, True)
        channel = walker.channel.end.fileno() if walker.channel else -1
        held = [walker.fds.get(name, -1) for name in ("root", "barrier", *self.slots)]
        ours = [*held, channel, *walker.promised_fds()]
        keep = sorted(fd for fd in ours if fd >= 0)
        first = 3 + self.count
        for fd in keep:
            if fd > first:
                process.close_range(first, fd - 1)
            first = max(first, fd + 1)
        process.close_above(first - 1)
        walker.fds = {name: fd for name, fd in walker.fds.items() if fd in keep}


class WaitForStart(Step):
    """Sleep until `start` writes to the fifo; the command that made us is gone by then."""

    def describe(self) -> str:
        return "wait until `start` writes to exec.fifo"

    def run(self, walker: "Walker") -> None:
        walker.close_fd("root")
        if walker.channel is not None:
            walker.channel.close()
            walker.channel = None
        if not os.read(walker.fds["barrier"], 1):
            os._exit(1)
        # It stays open until execve: `start` sees by its end that startContainer hooks are done.


class EncodeArguments(Step):
    """Put the program's path, arguments and environment where execve will read them: a filter may come in between."""

    def __init__(self, because: str, args: "list[str]") -> None:
        super().__init__(because)
        self.argv = [word.encode("utf-8", "surrogateescape") for word in args]

    def describe(self) -> str:
        return f"encode the program's path, {len(self.argv)} arguments and environment for execve"

    def run(self, walker: "Walker") -> None:
        walker.close_fd("root")  # the last look-up is done, and nothing is to be closed under a filter
        env = walker.objects["env"]
        if not isinstance(env, dict):
            raise SystemError("no environment was built")
        path = walker.texts["program"].encode("utf-8", "surrogateescape")
        walker.objects["image"] = process.Image(path, self.argv, env)


class Execve(Step):
    """Become the program."""

    def __init__(self, because: str, args: "list[str]") -> None:
        super().__init__(because)
        self.args = args

    def describe(self) -> str:
        words = " ".join(self.args).encode("utf-8", "surrogateescape")
        return "execve " + words.decode("utf-8", "backslashreplace")

    def run(self, walker: "Walker") -> None:
        image = walker.objects["image"]
        if not isinstance(image, process.Image):
            raise SystemError("the arguments were not encoded")
        try:
            image.execve()
        except OSError as error:
            why = walker.texts.get("format") if error.errno == _ENOEXEC else ""
            raise Error(f"exec {walker.texts['program']}: {reason(error)}{why and f': {why}'}") from None


class AwaitExec(Step):
    """End of file on the channel: init has reached execve (or entered the module)."""

    lane = HOST
    waits_for_end = True

    def describe(self) -> str:
        return "see init reach execve"

    def run(self, walker: "Walker") -> None:
        return
