"""wasmer: WASI preview 1 command modules, on the one interpreter its Python package has code for, CPython 3.10.

Three habits of the package shape this file. Compiling leaves threads behind, so a child compiles and hands the result
back. A call keeps the interpreter lock, so nothing of Python's runs beside a guest; the guest therefore gets a process
of its own, which ends with its parent. And the status of proc_exit is found in the text of an exception only.

wasmer follows symlinks that lead out of a preopened directory (seen with 1.1.0). Only the container's whole root may
be preopened, then: what holds the guest is the mount namespace, not the engine.
"""

import _signal
import posix as os
import sys

from pyruntime.engine import base
from pyruntime.engine.faults import FaultHandlers
from pyruntime.engine.find import find_package
from pyruntime.engine.signals import exit_on_signals
from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PACKAGES = ("wasmer", "wasmer_compiler_cranelift")
_MAGIC = b"\0asm"
_EXITED = "WASI exited with code: "
_OK, _FAILED = b"+", b"-"


class Wasmer:
    """The wasmer engine."""

    name = "wasmer"

    def __init__(self) -> None:
        self._wasmer: Any = None
        self._compiler: Any = None
        self._version = ""

    def probe(self) -> str:
        """See base.Engine."""
        self._load()
        return self._version

    def prepare(self, wasm: bytes, address_space: "int | None" = None) -> "WasmerModule":
        """See base.Engine; `address_space` changes nothing, wasmer always reserves 4 GiB for a memory."""
        self._load()
        store = self._wasmer.Store(self._wasmer.engine.JIT(self._compiler.Compiler))
        return WasmerModule(self._wasmer, store, _compiled(self._wasmer, store, wasm))

    def run(self, module: "base.Module", argv: list[str], env: list[str], preopens: list[tuple[str, str]]) -> int:
        """See base.run. The guest has a child process; signals end this one, and with PID 1 the kernel ends all."""
        child = os.fork()
        if child == 0:
            _default_signals()
            os._exit(base.run_unwatched(module, argv, env, preopens))
        return base.guarded(lambda: _wait_for(child))

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
    for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM):
        _signal.signal(number, _signal.SIG_DFL)


def _wait_for(child: int) -> int:
    exit_on_signals()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _compiled(wasmer: "Any", store: "Any", wasm: bytes) -> bytes:
    """Compile in a child process and return the artefact."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _write(writer, _answer(wasmer, store, wasm))
        os._exit(0)
    os.close(writer)
    answer = b"".join(iter(lambda: os.read(reader, 1 << 16), b""))
    os.close(reader)
    os.waitpid(child, 0)
    if not answer.startswith(_OK):
        why = answer[1:].decode("utf-8", "replace") or "the compiler's process died"
        raise Error(f"not a valid Wasm module: {why}")
    return answer[1:]


def _answer(wasmer: "Any", store: "Any", wasm: bytes) -> bytes:
    try:
        binary = wasm if wasm.startswith(_MAGIC) else wasmer.wat2wasm(wasm.decode("utf-8"))
        module = wasmer.Module(store, binary)
        names = [export.name for export in module.exports]
        if "_start" not in names:
            return _FAILED + f"it exports no _start (it exports {', '.join(names[:8]) or 'nothing'})".encode()
        return _OK + bytes(module.serialize())
    except Exception as error:  # the package raises RuntimeError for WAT, for bad binaries and for its own limits
        return _FAILED + " ".join(str(error).split()).encode("utf-8", "replace")


def _write(fd: int, content: bytes) -> None:
    while content:
        content = content[os.write(fd, content) :]


class WasmerModule:
    """A compiled module; see base.Module."""

    def __init__(self, wasmer: "Any", store: "Any", artefact: bytes) -> None:
        self._wasmer = wasmer
        self._store = store
        self._module = wasmer.Module.deserialize(store, artefact)
        self._faults = FaultHandlers()

    def start(self, argv: list[str], env: list[str], preopens: list[tuple[str, str]]) -> int:
        """See base.Module."""
        self._faults.restore()
        imports = self._imports(argv, env, preopens)
        try:
            self._wasmer.Instance(self._module, imports).exports._start()
        except RuntimeError as error:
            return _judge(str(error).partition("\n")[0].removeprefix("RuntimeError: "))
        return 0

    def _imports(self, argv: list[str], env: list[str], preopens: list[tuple[str, str]]) -> "Any":
        wasi = self._wasmer.wasi
        state = wasi.StateBuilder(argv[0]).arguments(argv[1:])
        for entry in env:
            name, _, value = entry.partition("=")
            state.environment(name, value)
        for host, guest in preopens:
            state.map_directory(guest, host)
        version = wasi.get_version(self._module, strict=False) or wasi.Version.LATEST
        return state.finalize().generate_import_object(self._store, version)


def _judge(message: str) -> int:
    """The exit status when the message tells that proc_exit was called. Raises TrapError for any other message."""
    before, said, status = message.partition(_EXITED)
    if said and not before and status.isdecimal():
        return int(status)
    raise base.TrapError(message)
