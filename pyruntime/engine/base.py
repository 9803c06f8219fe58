"""What an engine is, and the one way a prepared module is run."""

import posix as os

from pyruntime.engine.signals import exit_on_signals
from pyruntime.errors import Error, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Module(Protocol):
        """A module that is compiled and linked; needs no file and no import any more."""

        def start(self, argv: list[str], env: list[str], preopens: list[tuple[str, str]]) -> int:
            """Call `_start`; return the value given to proc_exit, 0 without one. Raises TrapError and Error."""

    class Engine(Protocol):
        """One way to run modules. Making the object costs nothing; `probe` and `prepare` load the engine."""

        name: str

        def probe(self) -> str:
            """Load the engine and return its version. Raises Error: what was looked for, how to install it."""

        def prepare(self, wasm: bytes, address_space: "int | None" = None) -> Module:
            """Compile and link a binary module or WAT text, in the process that will fork, with no thread left.

            `address_space` is the container's RLIMIT_AS in bytes, None without one. Raises Error.
            """

        def run(self, module: Module, argv: list[str], env: list[str], preopens: list[tuple[str, str]]) -> int:
            """Run a prepared module: see `run` below."""


TRAPPED = 134  # 128 + SIGABRT: what a native program that aborts leaves; 137 would look like an OOM kill


class TrapError(Error):
    """The guest did something WebAssembly forbids (or executed `unreachable`); the text names the kind."""


def run(module: "Module", argv: list[str], env: list[str], preopens: list[tuple[str, str]]) -> int:
    """Run the module's `_start` in this process and return the exit status; nothing is raised.

    The caller is the container's final process, confined already: threads are started here. `env` holds `NAME=value`
    entries, `preopens` pairs of (directory in the container, name shown to the guest). A proc_exit value is cut to
    its low 8 bits, as exit_group(2) does. A trap writes one line to stderr and returns 134; SIGHUP, SIGINT, SIGQUIT
    and SIGTERM end the process with 128 + signal, also when it is PID 1.
    """

    def watched() -> int:
        exit_on_signals()
        return module.start(argv, env, preopens)

    return guarded(watched)


def run_unwatched(module: "Module", argv: list[str], env: list[str], preopens: list[tuple[str, str]]) -> int:
    """`run` without the thread that waits for signals."""
    return guarded(lambda: module.start(argv, env, preopens))


def guarded(guest: "Callable[[], int]") -> int:
    """The exit status of calling `guest`, with a trap or any other failure told on stderr in one line."""
    try:
        return guest() & 0xFF
    except TrapError as trap:
        _complain(f"wasm trap: {trap}")
    except Exception as error:
        # Whatever it is, a traceback would open source files by name inside the container's root.
        _complain(f"wasm: {error}")
    return TRAPPED


def _complain(text: str) -> None:
    line = one_line(text).encode("utf-8", "backslashreplace") + b"\n"
    try:
        os.write(2, line)
    except OSError:
        return  # stderr is closed or full: the exit status still tells


def guest_env(env: list[str], cwd: str) -> list[str]:
    """The environment for a guest: `env` and, unless it names one, PWD, since WASI has no working directory."""
    if any(entry.startswith("PWD=") for entry in env):
        return list(env)
    return [*env, f"PWD={cwd}"]
