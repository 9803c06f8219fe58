"""wasmtime: WASI preview 1 command modules, compiled by Cranelift.

Objects of the C library are not freed: the process that prepares a module soon ends or becomes the container, and
the container ends with the module.
"""

from pyruntime.engine import base
from pyruntime.engine.binding import Library
from pyruntime.engine.cdata import (
    HostFunction,
    address,
    buffer,
    bytes_at,
    cell,
    strings,
    uint32_at,
    vector_at,
    words,
)
from pyruntime.engine.faults import FaultHandlers
from pyruntime.engine.find import find_package, untrusted
from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WASI_NAMES = (b"wasi_snapshot_preview1", b"wasi_unstable")
_MAGIC = b"\0asm"
_I32 = 0  # wasm_valkind_t
_EXTERN_UNION = 8  # where the function lies in a wasmtime_extern_t {kind, union}
_ROOM = 8 << 30  # by default each memory reserves 4 GiB and guard pages, and more for the copy when it grows

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
    run = staticmethod(base.run)

    def __init__(self) -> None:
        self._library: "Library | None" = None
        self._version = ""

    def probe(self) -> str:
        """See base.Engine."""
        self._load()
        return self._version

    def prepare(self, wasm: bytes, address_space: "int | None" = None) -> "WasmtimeModule":
        """See base.Engine. The binary is compiled here, on one thread: see wasmtime_config_parallel_compilation_set."""
        library = self._load()
        engine = library.wasm_engine_new_with_config(_configuration(library, address_space))
        return WasmtimeModule(library, engine, wasm if wasm.startswith(_MAGIC) else _binary(library, wasm))

    def _load(self) -> Library:
        if self._library is None:
            place, self._version = find_package(self.name)
            refused = untrusted(f"{place}/{self.name}/_bindings.py")
            if refused:
                raise Error(f"engine {self.name}: {refused}; install it as root: pip install {self.name}")
            self._library = Library(f"{place}/{self.name}")
        return self._library


def _configuration(library: Library, address_space: "int | None") -> "Any":
    config = library.wasm_config_new()
    # The compiler's threads would stay behind, and a forked child that compiles would wait for them for ever.
    library.wasmtime_config_parallel_compilation_set(config, False)
    if address_space is not None and address_space < _ROOM:
        library.wasmtime_config_memory_reservation_set(config, 0)
        library.wasmtime_config_memory_reservation_for_growth_set(config, 1 << 20)
        library.wasmtime_config_memory_guard_size_set(config, 1 << 16)
    return config


def _binary(library: Library, text: bytes) -> bytes:
    vector = cell(2)
    _check(library, library.wasmtime_wat2wasm(text, len(text), vector), "not valid WAT text")
    return bytes_at(vector)


def _check(library: Library, error: "int | None", what: str) -> None:
    if error:
        raise Error(f"{what}: {_message(library.wasmtime_error_message, error)}")


def _message(read: "Any", thing: int) -> str:
    """The engine's words for an error or trap, on one line."""
    vector = cell(2)
    read(thing, vector)
    lines = bytes_at(vector).rstrip(b"\0").decode("utf-8", "replace").splitlines()
    parts = [line.strip().lstrip("0123456789: ") for line in lines]
    return ": ".join(part.rstrip(":") for part in parts if part not in ("", "Caused by:"))


class WasmtimeModule:
    """A compiled module whose imports are resolved; see base.Module."""

    def __init__(self, library: Library, engine: int, wasm: bytes) -> None:
        self._library = library
        self._engine = engine
        self._exit_status: "int | None" = None
        module = cell()
        _check(library, library.wasmtime_module_new(engine, wasm, len(wasm), module), "not a valid Wasm module")
        self._require_start(module[0])
        self._before = self._link(module[0])
        self._faults = FaultHandlers()

    def _require_start(self, module: int) -> None:
        exports = cell(2)
        self._library.wasmtime_module_exports(module, exports)
        names = [self._export_name(item) for item in words(exports)]
        if "_start" not in names:
            known = ", ".join(names[:8]) or "nothing"
            raise Error(f"the module exports no _start, so it is a library, not a program (it exports {known})")

    def _export_name(self, item: int) -> str:
        return bytes_at(vector_at(self._library.wasm_exporttype_name(item))).decode("utf-8", "replace")

    def _link(self, module: int) -> int:
        library = self._library
        linker = library.wasmtime_linker_new(self._engine)
        _check(library, library.wasmtime_linker_define_wasi(linker), "wasmtime cannot provide WASI")
        library.wasmtime_linker_allow_shadowing(linker, True)
        self._own_proc_exit(linker)
        before = cell()
        _check(library, library.wasmtime_linker_instantiate_pre(linker, module, before), "the module cannot be linked")
        return int(before[0])

    def _own_proc_exit(self, linker: int) -> None:
        """Replace WASI's proc_exit: wasmtime's own refuses statuses from 126 on and loses the number."""
        library = self._library
        one, none, number = cell(2), cell(2), cell()
        number[0] = library.wasm_valtype_new(_I32)
        library.wasm_valtype_vec_new(one, 1, number)
        shape = library.wasm_functype_new(one, none)
        self._proc_exit = HostFunction(self._exit)  # kept: the library holds its address only
        for name in WASI_NAMES:
            arguments = (linker, name, len(name), b"proc_exit", 9, shape, self._proc_exit, None, None)
            _check(library, library.wasmtime_linker_define_func_unchecked(*arguments), "proc_exit")

    def _exit(self, data: "int | None", caller: int, arguments: int, count: int) -> int:
        self._exit_status = uint32_at(arguments)
        return int(self._library.wasmtime_trap_new(b"exit", 4))

    def start(self, argv: list[str], env: list[str], preopens: list[tuple[str, str]]) -> int:
        """See base.Module."""
        library = self._library
        self._faults.restore()
        store = library.wasmtime_store_new(self._engine, None, None)
        context = library.wasmtime_store_context(store)
        wasi = self._wasi(argv, env, preopens)
        _check(library, library.wasmtime_context_set_wasi(context, wasi), "WASI cannot be set up")
        self._call_start(context)
        return self._exit_status or 0

    def _call_start(self, context: int) -> None:
        library = self._library
        instance, trap, export = cell(2), cell(), cell(8)
        error = library.wasmtime_instance_pre_instantiate(self._before, context, instance, trap)
        self._judge(error, trap[0])
        if self._exit_status is None:
            library.wasmtime_instance_export_get(context, instance, b"_start", 6, export)
            trap = cell()
            function = address(export) + _EXTERN_UNION
            self._judge(library.wasmtime_func_call(context, function, None, 0, None, 0, trap), trap[0])

    def _judge(self, error: "int | None", trap: "int | None") -> None:
        """Raise what a call left behind, unless it was our own proc_exit that ended it."""
        if self._exit_status is not None:
            return
        _check(self._library, error, "the module cannot be started")
        if trap:
            raise base.TrapError(self._kind(trap))

    def _kind(self, trap: int) -> str:
        code = buffer(bytes(4))
        if self._library.wasmtime_trap_code(trap, code) and bytes(code)[0] < len(TRAPS):
            return TRAPS[bytes(code)[0]]
        return _message(self._library.wasm_trap_message, trap)

    def _wasi(self, argv: list[str], env: list[str], preopens: list[tuple[str, str]]) -> int:
        library = self._library
        wasi: int = library.wasi_config_new()
        pairs = [entry.partition("=") for entry in env]
        arguments = strings(argv)
        names = strings([name for name, _, _ in pairs])
        values = strings([value for _, _, value in pairs])
        if not library.wasi_config_set_argv(wasi, len(argv), arguments):
            raise Error("an argument is not UTF-8, and WASI has no other text")
        if not library.wasi_config_set_env(wasi, len(env), names, values):
            raise Error("an environment variable is not UTF-8, and WASI has no other text")
        library.wasi_config_inherit_stdin(wasi)
        library.wasi_config_inherit_stdout(wasi)
        library.wasi_config_inherit_stderr(wasi)
        for host, guest in preopens:
            self._preopen(wasi, host, guest)
        return wasi

    def _preopen(self, wasi: int, host: str, guest: str) -> None:
        path, name = (text.encode("utf-8", "surrogateescape") for text in (host, guest))
        if not self._library.wasi_config_preopen_dir(wasi, path, name, True):
            raise Error(f"{host}: cannot be opened for the guest as {guest}")
