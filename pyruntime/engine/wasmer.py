"""wasmer: WASI preview 1 command modules, on the one interpreter its Python package has code for, CPython 3.10.

Two habits of the package shape this file. A call keeps the interpreter lock, so nothing of Python's runs beside a
guest; the guest therefore gets a process of its own, which ends with its parent. And the status of proc_exit is found
in the text of an exception only.

wasmer follows symlinks that lead out of a preopened directory (seen with 1.1.0). Only the container's whole root may
be preopened, then: what holds the guest is the mount namespace, not the engine.
"""

import _signal
import posix as os
import sys

from pyruntime.engine import base
from pyruntime.engine.faults import FaultHandlers
from pyruntime.engine.find import find_package
from pyruntime.engine.signals import ENDING
from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.engine.select import Selection

_PACKAGES = ("wasmer", "wasmer_compiler_cranelift")
_MAGIC = b"\0asm"
_EXITED = "WASI exited with code: "


class Wasmer:
    """The wasmer engine."""

    name = "wasmer"
    kinds: "tuple[str, ...]" = ("wasm-module", "wat")
    limits: "tuple[str, ...]" = ()
    writes_files = False

    def __init__(self) -> None:
        self._wasmer: Any = None
        self._compiler: Any = None
        self._version = ""

    def probe(self) -> str:
        """See base.Engine."""
        self._load()
        return self._version

    def abilities(self) -> base.Abilities:
        """See base.Engine."""
        self._load()
        return base.Abilities(self.kinds, ("0.1",), ("simd", "threads"), self.limits, artefacts=True)

    def cache_key(self, limits: base.Limits) -> str:
        """See base.Engine."""
        self._load()
        return f"{self.name} {self._version} {os.uname().machine}"

    def compile(self, wasm: bytes, limits: base.Limits) -> bytes:
        """See base.Engine."""
        self._load()
        try:
            binary = wasm if wasm.startswith(_MAGIC) else self._wasmer.wat2wasm(wasm.decode("utf-8"))
            return bytes(self._wasmer.Module(self._store(), binary).serialize())
        except Exception as error:  # the package raises RuntimeError for WAT, for bad binaries and for its own limits
            raise Error(f"not a valid Wasm module: {' '.join(str(error).split())}") from None

    def load(self, artefact: "str | bytes", selection: "Selection", limits: base.Limits) -> "WasmerModule":
        """See base.Engine; the limits change nothing, wasmer always reserves 4 GiB for a memory."""
        self._load()
        if isinstance(artefact, str):
            with open(artefact, "rb") as file:
                artefact = file.read()
        return WasmerModule(self._wasmer, self._store(), artefact, selection.function)

    def _store(self) -> "Any":
        return self._wasmer.Store(self._wasmer.engine.JIT(self._compiler.Compiler))

    def _load(self) -> None:
        if self._wasmer is not None:
            return
        if sys.version_info[:2] != (3, 10):
            found = ".".join(map(str, sys.version_info[:2]))
            raise Error(f"engine wasmer: its package has code for CPython 3.10 only, this is {found}; use wasmtime")
        place, self._version = find_package(_PACKAGES[0])
        find_package(_PACKAGES[1])
        self._wasmer, self._compiler = _imported(place)


def _imported(place: str) -> "tuple[Any, Any]":
    """Import the packages from `place` and nothing else from there later on."""
    sys.path.append(place)
    try:
        wasmer, compiler = (__import__(name) for name in _PACKAGES)
    except ImportError as error:
        raise Error(f"engine wasmer: {error}; install it: pip install {' '.join(_PACKAGES)}") from None
    finally:
        sys.path.remove(place)
    return wasmer, compiler


def _default_signals() -> None:
    for number in ENDING:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, ENDING)


class WasmerModule:
    """A compiled module; see base.Module."""

    engine = "wasmer"

    def __init__(self, wasmer: "Any", store: "Any", artefact: bytes, function: str) -> None:
        self._wasmer = wasmer
        self._engine_store = store
        self._module = wasmer.Module.deserialize(store, artefact)
        self._faults = FaultHandlers()
        names = [export.name for export in self._module.exports]
        if function not in names:
            raise Error(f"it exports no {function} (it exports {', '.join(names[:8]) or 'nothing'})")

    def start(self, guest: base.Guest) -> int:
        """See base.Module. The guest has a child process; signals end this one, and with PID 1 the kernel ends all."""
        child = os.fork()
        if child == 0:
            _default_signals()
            os._exit(base.guarded(lambda: self._run(guest)))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _run(self, guest: base.Guest) -> int:
        self._faults.restore()
        imports = self._imports(guest)
        try:
            getattr(self._wasmer.Instance(self._module, imports).exports, guest.function)()
        except RuntimeError as error:
            return _judge(str(error).partition("\n")[0].removeprefix("RuntimeError: "))
        return 0

    def _imports(self, guest: base.Guest) -> "Any":
        wasi = self._wasmer.wasi
        state = wasi.StateBuilder(guest.argv[0]).arguments(guest.argv[1:])
        for entry in guest.env:
            name, _, value = entry.partition("=")
            state.environment(name, value)
        for place, name, _ in guest.preopens:
            state.map_directory(name, place)
        version = wasi.get_version(self._module, strict=False) or wasi.Version.LATEST
        return state.finalize().generate_import_object(self._engine_store, version)


def _judge(message: str) -> int:
    """The exit status when the message tells that proc_exit was called. Raises TrapError for any other message."""
    before, said, status = message.partition(_EXITED)
    if said and not before and status.isdecimal():
        return int(status)
    raise base.TrapError(message)
