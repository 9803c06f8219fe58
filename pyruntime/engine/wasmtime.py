"""wasmtime: modules of WASI preview 1, compiled by Cranelift; components are in component.py.

Objects of the C library are not freed: the process that compiles ends afterwards, the one that loads becomes the
container and ends with the guest.
"""

import posix as os

from pyruntime.engine import base
from pyruntime.engine.binding import Library, check, library_path, message
from pyruntime.engine.cdata import HostFunction, address, buffer, bytes_at, cell, strings, uint32_at, vector_at, words
from pyruntime.engine.faults import FaultHandlers
from pyruntime.engine.find import cpu, find_package, untrusted
from pyruntime.engine.imports import unresolved
from pyruntime.engine.select import kind_of
from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.engine.preview1 import Sockets
    from pyruntime.engine.select import Selection

WASI_NAMES = (b"wasi_snapshot_preview1", b"wasi_unstable")
_MAGIC = b"\0asm"
_I32 = 0  # wasm_valkind_t
_EXTERN_UNION = 8  # where the function lies in a wasmtime_extern_t {kind, union}
_ROOM = 8 << 30  # by default each memory reserves 4 GiB and guard pages, and more for the copy when it grows
_TABLE = 10_000_000  # elements of a table: what the WebAssembly JavaScript interface allows
_DEFAULT = -1  # wasmtime_store_limiter: leave this one as it is
_LARGE = 1 << 18  # bytes of a module from which on starting threads costs less than it gains
_FRAMES = 32  # of a backtrace that are shown

TRAPS = (
    "stack overflow", "out of bounds memory access", "misaligned atomic memory access", "out of bounds table access",
    "call of an uninitialized table element", "indirect call with another signature", "integer overflow",
    "integer division by zero", "invalid conversion to integer", "unreachable", "interrupted", "out of fuel",
    "atomic wait on memory that is not shared", "null reference", "out of bounds array access",
    "allocation too large", "failed cast",
)  # fmt: skip


class Wasmtime:
    """The wasmtime engine, through the C library inside the Python package."""

    name = "wasmtime"
    kinds: "tuple[str, ...]" = ("wasm-module", "wat", "wasm-component")
    limits: "tuple[str, ...]" = ("memory", "fuel", "seconds", "address_space")
    writes_files = False

    def __init__(self) -> None:
        self._library: "Library | None" = None
        self._package = ""
        self._version = ""

    def probe(self) -> str:
        """See base.Engine."""
        import pyruntime.engine.component  # noqa: F401 - where `compile` is called, nothing can be opened

        self._find()
        self._library = Library(self._package)
        return self._version

    def abilities(self) -> base.Abilities:
        """See base.Engine."""
        self.probe()
        proposals = (
            "simd", "relaxed-simd", "tail-call", "memory64", "multi-memory", "threads", "exception-handling", "gc",
            "function-references", "wide-arithmetic",
        )  # fmt: skip
        return base.Abilities(self.kinds, ("0.1", "0.2"), proposals, self.limits, artefacts=True)

    def cache_key(self, limits: base.Limits) -> str:
        """See base.Engine."""
        self._find()
        library = os.stat(library_path(self._package))
        return f"{self._version} {library.st_size} {library.st_mtime_ns} {settings(limits)} {_ALWAYS} {cpu()}"

    def compile(self, wasm: bytes, limits: base.Limits) -> bytes:
        """See base.Engine."""
        library = self._load()
        engine = new_engine(library, limits, parallel=len(wasm) > _LARGE)
        binary = wasm if wasm.startswith(_MAGIC) else _binary(library, wasm)
        if kind_of(binary) == "wasm-component":
            from pyruntime.engine import component

            return component.compiled(library, engine, binary)
        module, artefact = cell(), cell(2)
        check(library, library.wasmtime_module_new(engine, binary, len(binary), module), "not a valid Wasm module")
        check(library, library.wasmtime_module_serialize(module[0], artefact), "the compiled module")
        return bytes_at(artefact)

    def load(self, artefact: "str | bytes", selection: "Selection", limits: base.Limits) -> "base.Module":
        """See base.Engine."""
        library = self._load()
        engine, module = new_engine(library, limits), cell()
        if selection.kind == "wasm-component":
            from pyruntime.engine import component

            return component.load(library, engine, artefact, selection)
        if isinstance(artefact, str):
            path = artefact.encode("utf-8", "surrogateescape")
            error = library.wasmtime_module_deserialize_file(engine, path, module)
        else:
            error = library.wasmtime_module_deserialize(engine, artefact, len(artefact), module)
        check(library, error, "the compiled module")
        return WasmtimeModule(library, engine, module[0], selection.function)

    def _find(self) -> None:
        if not self._package:
            place, self._version = find_package(self.name)
            self._package = f"{place}/{self.name}"
            for file in (f"{self._package}/_bindings.py", library_path(self._package)):
                refused = untrusted(file)
                if refused:
                    raise Error(f"engine {self.name}: {refused}; install it as root: pip install {self.name}")

    def _load(self) -> Library:
        if self._library is None:
            self._find()
            self._library = Library(self._package, known=True)
        return self._library


_ALWAYS = "no-cow,no-concurrency"  # what new_engine sets whatever the limits: an artefact of others does not load


def settings(limits: base.Limits) -> str:
    """The names of what is not as the engine has it by default; each changes the code it makes."""
    asked = {
        "epochs": limits.seconds is not None,
        "fuel": limits.fuel is not None,
        "small": limits.address_space is not None and limits.address_space < _ROOM,
    }
    return ",".join(name for name, on in asked.items() if on)


def new_engine(library: Library, limits: base.Limits, parallel: bool = False) -> int:
    """A wasm_engine_t that compiles and runs under these limits; `parallel` compilation leaves threads."""
    config, asked = library.wasm_config_new(), settings(limits).split(",")
    library.wasmtime_config_parallel_compilation_set(config, parallel)
    # It would keep the artefact open, to map data from it when the guest begins. Who can open /proc/1/fd in the
    # container could then write to what other containers are started from.
    library.wasmtime_config_memory_init_cow_set(config, False)
    # With it, a list of borrowed resources in the arguments of a host function of ours is an internal error of 50.0.1.
    library.wasmtime_config_concurrency_support_set(config, False)
    library.wasmtime_config_epoch_interruption_set(config, "epochs" in asked)
    library.wasmtime_config_consume_fuel_set(config, "fuel" in asked)
    if "small" in asked:
        library.wasmtime_config_memory_reservation_set(config, 0)
        library.wasmtime_config_memory_reservation_for_growth_set(config, 1 << 20)
        library.wasmtime_config_memory_guard_size_set(config, 1 << 16)
    return int(library.wasm_engine_new_with_config(config))


def _binary(library: Library, text: bytes) -> bytes:
    vector = cell(2)
    check(library, library.wasmtime_wat2wasm(text, len(text), vector), "not valid WAT text")
    return bytes_at(vector)


class WasmtimeModule:
    """A compiled module whose imports are resolved; see base.Module."""

    engine = "wasmtime"

    def __init__(self, library: Library, engine: int, module: int, function: str) -> None:
        self._library = library
        self._engine = engine
        self._exit_status: "int | None" = None
        self._proc_exit = HostFunction(self._exit)  # kept: the library holds its address only
        self._results = self._signature(module, function)
        self._before = self._link(module)
        self._sockets = self._make_sockets(module)
        self._faults = FaultHandlers()

    def _signature(self, module: int, function: str) -> int:
        """How many results the function has. Raises Error unless it is exported and takes nothing."""
        library, exports = self._library, cell(2)
        library.wasmtime_module_exports(module, exports)
        found = {self._name(library.wasm_exporttype_name(item)): item for item in words(exports)}
        functions = {}
        for name, item in found.items():
            shape = library.wasm_externtype_as_functype_const(library.wasm_exporttype_type(item))
            if shape:
                functions[name] = shape
        if function not in functions:
            from pyruntime.engine.refuse import absent  # for an error only

            raise Error(absent(function, list(functions)))
        takes = vector_at(library.wasm_functype_params(functions[function]))[0] or 0
        if takes:
            raise Error(f"its function {function} takes {takes} parameters, and nobody would give them; name another")
        return int(vector_at(library.wasm_functype_results(functions[function]))[0] or 0)

    def _name(self, vector: int) -> str:
        return bytes_at(vector_at(vector)).decode("utf-8", "replace")

    def _link(self, module: int, sockets: "Sockets | None" = None) -> int:
        library = self._library
        linker = library.wasmtime_linker_new(self._engine)
        check(library, library.wasmtime_linker_define_wasi(linker), "wasmtime cannot provide WASI")
        library.wasmtime_linker_allow_shadowing(linker, True)
        self._own_proc_exit(linker)
        if sockets is not None:
            sockets.define(linker)
        before = cell()
        error = library.wasmtime_linker_instantiate_pre(linker, module, before)
        if error:
            self._explain(module)
        check(library, error, "it cannot be linked")
        return int(before[0])

    def _make_sockets(self, module: int) -> "tuple[Sockets, int] | None":
        """For a module that can accept connections: our sockets, and the module linked with them in between."""
        if not any(name == "sock_accept" for _, name in self._imports(module)):
            return None
        from pyruntime.engine.preview1 import SHAPES, Sockets, between

        self._library.extend(SHAPES)
        sockets = Sockets(self._library, self._engine, _binary(self._library, between().encode()))
        return sockets, self._link(module, sockets)

    def _imports(self, module: int) -> "list[tuple[str, str]]":
        library, imports = self._library, cell(2)
        library.wasmtime_module_imports(module, imports)
        return [
            (self._name(library.wasm_importtype_module(item)), self._name(library.wasm_importtype_name(item)))
            for item in words(imports)
        ]

    def _explain(self, module: int) -> None:
        """Raise Error for imports that are not WASI's; engines name the first one only, and not what it is."""
        told = unresolved(self._imports(module), tuple(name.decode() for name in WASI_NAMES))
        if told:
            raise Error(told)

    def _own_proc_exit(self, linker: int) -> None:
        """Replace WASI's proc_exit: wasmtime's own refuses statuses from 126 on and loses the number."""
        library = self._library
        one, none, number = cell(2), cell(2), cell()
        number[0] = library.wasm_valtype_new(_I32)
        library.wasm_valtype_vec_new(one, 1, number)
        shape = library.wasm_functype_new(one, none)
        for name in WASI_NAMES:
            arguments = (linker, name, len(name), b"proc_exit", 9, shape, self._proc_exit, None, None)
            check(library, library.wasmtime_linker_define_func_unchecked(*arguments), "proc_exit")

    def _exit(self, data: "int | None", caller: int, arguments: int, count: int) -> int:
        self._exit_status = uint32_at(arguments)
        return int(self._library.wasmtime_trap_new(b"exit", 4))

    def start(self, guest: base.Guest) -> int:
        """See base.Module."""
        library = self._library
        self._faults.restore()
        store = library.wasmtime_store_new(self._engine, None, None)
        context = library.wasmtime_store_context(store)
        limit(library, store, context, guest.limits)
        before, kept = self._with_sockets(guest)
        wasi = wasi_config(library, guest, kept)
        check(library, library.wasmtime_context_set_wasi(context, wasi), "WASI cannot be set up")
        self._call(before, context, guest.function.encode())
        return self._exit_status or 0

    def _with_sockets(self, guest: base.Guest) -> "tuple[int, int]":
        """What is instantiated, and how many descriptors are kept free for sockets."""
        listeners = guest.network.listeners if guest.network else ()
        if self._sockets is None or not listeners:
            return self._before, 0
        sockets, before = self._sockets
        sockets.take(listeners)
        return before, len(listeners)

    def interrupt(self) -> None:
        """Make a guest that computes trap at its next loop or call; for another thread."""
        self._library.wasmtime_engine_increment_epoch(self._engine)

    def _call(self, before: int, context: int, function: bytes) -> None:
        library = self._library
        instance, trap, export = cell(2), cell(), cell(8)
        error = library.wasmtime_instance_pre_instantiate(before, context, instance, trap)
        self._judge(error, trap[0])
        if self._exit_status is None:
            library.wasmtime_instance_export_get(context, instance, function, len(function), export)
            trap, results = cell(), cell(4 * self._results)  # wasmtime_val_t has at most 32 bytes
            called = address(export) + _EXTERN_UNION
            error = library.wasmtime_func_call(context, called, None, 0, results, self._results, trap)
            self._judge(error, trap[0])

    def _judge(self, error: "int | None", trap: "int | None") -> None:
        """Raise what a call left behind, unless it was our own proc_exit that ended it."""
        if self._exit_status is not None:
            return
        check(self._library, error, "the module cannot be started")
        if trap:
            frames = cell(2)
            self._library.wasm_trap_trace(trap, frames)
            raise base.TrapError("\n".join([self._kind(trap), *backtrace(self._library, frames)]))

    def _kind(self, trap: int) -> str:
        code = buffer(bytes(4))
        if self._library.wasmtime_trap_code(trap, code) and bytes(code)[0] < len(TRAPS):
            return TRAPS[bytes(code)[0]]
        return message(self._library, self._library.wasm_trap_message, trap)


def limit(library: Library, store: int, context: int, limits: base.Limits) -> None:
    """Hold a new store to these limits. Raises Error."""
    memory = _DEFAULT if limits.memory is None else limits.memory
    library.wasmtime_store_limiter(store, memory, _TABLE, _DEFAULT, _DEFAULT, _DEFAULT)
    if limits.fuel is not None:
        check(library, library.wasmtime_context_set_fuel(context, limits.fuel), "fuel")
    if limits.seconds is not None:
        library.wasmtime_context_set_epoch_deadline(context, 1)


def backtrace(library: Library, frames: "Any") -> "list[str]":
    """A line for each of a wasm_frame_vec_t, innermost first: the function's name and index, the binary's offset."""
    lines = []
    for frame in words(frames)[:_FRAMES]:
        index, offset = library.wasm_frame_func_index(frame), library.wasm_frame_module_offset(frame)
        name = library.wasmtime_frame_func_name(frame)
        shown = base.shown(bytes_at(vector_at(name)).decode("utf-8", "replace")) if name else "<no name>"
        lines.append(f"    at {shown} (function {index}, offset {offset:#x})")
    return lines


def wasi_config(library: Library, guest: base.Guest, kept: int = 0) -> int:
    """A wasi_config_t for a guest: arguments, environment, standard streams and directories. Raises Error.

    `kept`: this many descriptors before the directories are taken, by the first of these, which is never shown there:
    sockets will stand for their numbers.
    """
    wasi: int = library.wasi_config_new()
    pairs = [entry.partition("=") for entry in guest.env]
    arguments = strings(guest.argv)
    names = strings([name for name, _, _ in pairs])
    values = strings([value for _, _, value in pairs])
    if not library.wasi_config_set_argv(wasi, len(guest.argv), arguments):
        raise Error("an argument is not UTF-8, and WASI has no other text")
    if not library.wasi_config_set_env(wasi, len(pairs), names, values):
        raise Error("an environment variable is not UTF-8, and WASI has no other text")
    library.wasi_config_inherit_stdin(wasi)
    library.wasi_config_inherit_stdout(wasi)
    library.wasi_config_inherit_stderr(wasi)
    for place, name, _ in guest.preopens[:1] * kept:
        _preopen(library, wasi, place, name, True)
    for place, name, read_only in guest.preopens:
        _preopen(library, wasi, place, name, read_only)
    return wasi


def _preopen(library: Library, wasi: int, place: str, name: str, read_only: bool) -> None:
    path, shown = (text.encode("utf-8", "surrogateescape") for text in (place, name))
    if not library.wasi_config_preopen_dir(wasi, path, shown, not read_only):
        raise Error(f"{place}: cannot be opened for the guest as {name}")
