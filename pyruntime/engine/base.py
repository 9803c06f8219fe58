"""What an engine is, what it is given, and the one way a loaded module is run."""

import posix as os

from pyruntime.engine.signals import watch
from pyruntime.errors import Error, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from pyruntime.engine.select import Selection

    class Module(Protocol):
        """A program that is compiled and linked; needs no file and no import any more."""

        engine: str

        # An engine that can make a running guest trap has a method `interrupt(self) -> None` too, called by another
        # thread when the guest's time is up: the guest is then told where it was. Without, the process just ends.
        # One that serves requests has `times_itself = True`: the time is that of each request then.

        def start(self, guest: "Guest") -> int:
            """Call `guest.function`; return the value given to proc_exit, 0 without one. Raises TrapError and Error."""

    class Engine(Protocol):
        """One way to run modules. Making the object costs nothing."""

        name: str
        kinds: "tuple[str, ...]"  # of programs that it runs, as select.Selection names them
        limits: "tuple[str, ...]"  # names of the slots of Limits that it keeps
        writes_files: bool  # whether `compile` has to write files, and so gets an empty directory to work in

        def probe(self) -> str:
            """Load the engine and return its version. Raises Error: what was looked for, how to install it."""

        def abilities(self) -> "Abilities":
            """What this engine can do in the version that is installed. Raises Error as `probe` does."""

        def cache_key(self, limits: "Limits") -> str:
            """What besides the program decides about an artefact: version, settings that change code, CPU.

            "" for an engine without artefacts: `compile` is not called then, and `load` gets the program itself. Asked
            on the host's side at every start, so nothing is loaded here; raises Error when the engine is not
            installed, or by people who are not trusted.
            """

        def compile(self, wasm: bytes, limits: "Limits") -> bytes:
            """The artefact of a binary or of WAT text. Raises Error.

            Called after `probe` in a process that is confined, can open nothing and ends afterwards.
            """

        def load(self, artefact: "str | bytes", selection: "Selection", limits: "Limits") -> Module:
            """Load an artefact, a trusted file's path or its bytes, and link it, leaving no thread. Raises Error.

            The artefact is of this `cache_key`: a library that differs from what pyruntime knows was refused by
            `probe`, and need not be looked at again.
            """


TRAPPED = 134  # 128 + SIGABRT: what a native program that aborts leaves; 137 would look like an OOM kill

_NAME = 100  # characters of a module's own names that are shown


class Limits:
    """What a guest may use; None is no limit.

    `memory` is what all linear memories together may grow to in bytes, `fuel` the engine's own unit (about one for
    an instruction), `seconds` the run time, `address_space` the process's RLIMIT_AS in bytes.
    """

    __slots__ = ("address_space", "fuel", "memory", "seconds")

    def __init__(
        self,
        memory: "int | None" = None,
        fuel: "int | None" = None,
        seconds: "float | None" = None,
        address_space: "int | None" = None,
    ) -> None:
        self.memory = memory
        self.fuel = fuel
        self.seconds = seconds
        self.address_space = address_space


class Network:
    """What a guest may do on the network of its namespace.

    `listeners` are descriptors of listening sockets, `http` the address:port to serve wasi:http at ("" for none),
    `outgoing` whether it may connect, `addresses` the only ones it may connect or bind to (empty for any).
    """

    __slots__ = ("addresses", "http", "listeners", "outgoing")

    def __init__(
        self,
        listeners: "tuple[int, ...]" = (),
        http: str = "",
        outgoing: bool = False,
        addresses: "tuple[str, ...]" = (),
    ) -> None:
        self.listeners = listeners
        self.http = http
        self.outgoing = outgoing
        self.addresses = addresses


class Guest:
    """What one run gets.

    `env` holds `NAME=value` entries, `preopens` triples of (directory in the container, its name for the guest,
    whether it is read-only), `function` the export that is called. `cwd` is told in PWD by whoever makes the env.
    """

    __slots__ = ("argv", "cwd", "env", "function", "limits", "network", "preopens")

    def __init__(
        self,
        argv: "list[str]",
        env: "list[str]",
        cwd: str = "/",
        preopens: "list[tuple[str, str, bool]] | None" = None,
        function: str = "_start",
        limits: "Limits | None" = None,
        network: "Network | None" = None,
    ) -> None:
        self.argv = argv
        self.env = env
        self.cwd = cwd
        self.preopens = preopens or []
        self.function = function
        self.limits = limits or Limits()
        self.network = network


class Abilities:
    """What an engine can do, as far as it was tried here.

    `kinds` are those of select.Selection, `wasi` levels ("0.1", "0.2"), `limits` names of slots of Limits,
    `artefacts` whether compiled code can be kept.
    """

    __slots__ = ("artefacts", "kinds", "limits", "proposals", "wasi")

    def __init__(
        self,
        kinds: "tuple[str, ...]",
        wasi: "tuple[str, ...]",
        proposals: "tuple[str, ...]",
        limits: "tuple[str, ...]",
        artefacts: bool,
    ) -> None:
        self.kinds = kinds
        self.wasi = wasi
        self.proposals = proposals
        self.limits = limits
        self.artefacts = artefacts


class TrapError(Error):
    """The guest did something WebAssembly forbids (or executed `unreachable`).

    The text names the kind; further lines are the Wasm backtrace, innermost frame first.
    """


def run(module: "Module", guest: Guest) -> int:
    """Run a loaded module in this process and return the exit status; nothing is raised.

    The caller is the container's final process, confined already: threads are started here. A proc_exit value is cut
    to its low 8 bits, as exit_group(2) does. A trap is told on stderr with its backtrace and returns 134; SIGHUP,
    SIGINT, SIGQUIT and SIGTERM end the process with 128 + signal, also when it is PID 1.
    """

    def watched() -> int:
        seconds = None if getattr(module, "times_itself", False) else guest.limits.seconds
        watch(seconds, getattr(module, "interrupt", None))
        return module.start(guest)

    return guarded(watched)


def guarded(program: "Callable[[], int]") -> int:
    """The exit status of calling `program`, with a trap or any other failure told on stderr."""
    try:
        return program() & 0xFF
    except TrapError as trap:
        _complain(f"wasm trap: {trap}")
    except Exception as error:
        # Whatever it is, a traceback would open source files by name inside the container's root.
        _complain(f"wasm: {error}")
    return TRAPPED


def _complain(text: str) -> None:
    lines = "".join(one_line(line) + "\n" for line in text.split("\n"))
    try:
        os.write(2, lines.encode("utf-8", "backslashreplace"))
    except OSError:
        return  # stderr is closed or full: the exit status still tells


def shown(name: str) -> str:
    """A name that a module gives itself, as it may stand in a line of ours: such names have any length and content."""
    return one_line(name if len(name) <= _NAME else name[:_NAME] + "…")


def guest_env(env: "list[str]", cwd: str) -> "list[str]":
    """The environment for a guest: `env` and, unless it names one, PWD, since WASI has no working directory.

    None for `/`, where every guest begins anyway: who has asked for no environment gets none.
    """
    if cwd == "/" or any(entry.startswith("PWD=") for entry in env):
        return list(env)
    return [*env, f"PWD={cwd}"]
