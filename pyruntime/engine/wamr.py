"""WAMR, the WebAssembly Micro Runtime: WASI preview 1 command modules, interpreted, through libiwasm.

It makes no native code, so it runs under filters that forbid memory that is writable and executable, and there is
nothing to keep: its artefact is the module. Objects of the library are not freed: the process ends with the module.
"""

import _ctypes

from pyruntime.engine import base
from pyruntime.engine.binary import PAGE, has_start, pages
from pyruntime.engine.cdata import CDECL, RTLD_NOW, Byte, Function, Int32, Pointer, Size, buffer, cell, strings
from pyruntime.engine.faults import FaultHandlers
from pyruntime.engine.native import Library, seek_library, text_at
from pyruntime.engine.proposals import supported
from pyruntime.engine.refuse import (
    absent,
    require_directory,
    require_imports,
    require_memory,
    require_no_network,
    require_room,
    with_parameters,
)
from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.engine.base import Abilities, Guest, Limits
    from pyruntime.engine.select import Selection

_NAMES = ("libiwasm.so.2", "libiwasm.so")
_ADVICE = "no distribution has it: build it, docs/reference/wasm-engines.md says how"

SHAPES = {
    "wasm_runtime_get_version": "PPP>",
    "wasm_runtime_init": ">?",
    "wasm_runtime_set_log_level": "I>",
    "wasm_runtime_register_natives": "PPI>?",
    "wasm_runtime_load": "PIPI>P",
    "wasm_runtime_get_import_count": "P>I",
    "wasm_runtime_get_import_type": "PIP>",
    "wasm_runtime_get_export_count": "P>I",
    "wasm_runtime_get_export_type": "PIP>",
    "wasm_func_type_get_param_count": "P>I",
    "wasm_func_type_get_result_count": "P>I",
    "wasm_runtime_set_wasi_args": "PPIPIPIPI>",
    "wasm_runtime_instantiate_ex": "PPPI>P",
    "wasm_runtime_lookup_function": "PP>P",
    "wasm_runtime_create_exec_env": "PI>P",
    "wasm_runtime_call_wasm": "PPIP>?",
    "wasm_runtime_get_module_inst": "P>P",
    "wasm_runtime_get_exception": "P>P",
    "wasm_runtime_set_exception": "PP>",
    "wasm_runtime_terminate": "P>",
}
OPTIONAL = {  # by how the library was built
    "wasm_runtime_set_instruction_count_limit": "PI>",
    "wasm_runtime_get_call_stack_buf_size": "P>I",
    "wasm_runtime_dump_call_stack_to_buf": "PPI>I",
}

_WASI = (b"wasi_snapshot_preview1", b"wasi_unstable")
_ROOM = 10 << 30  # of address space: as usually built, it reserves 8 GiB for a memory to notice accesses beyond it
_STACK = 1 << 20  # bytes for the guest's operands and frames
_FATAL = 0  # WASM_LOG_LEVEL_FATAL: its log lines would go to the container's stdout
_WAKES = (10,)  # SIGUSR1, by which it gets a thread out of a blocking call
_FUNCTION = 0  # WASM_IMPORT_EXPORT_KIND_FUNC
_MOST_FUEL = (1 << 31) - 1  # it counts in an int
_CELLS = 4  # 32-bit cells of the widest value
_FRAMES = 32  # of a backtrace that are shown
_PREFIX = "Exception: "


class Import(_ctypes.Structure):
    """wasm_import_t."""

    _fields_ = (("module", Pointer), ("name", Pointer), ("kind", Int32), ("linked", Byte), ("type", Pointer))


class Export(_ctypes.Structure):
    """wasm_export_t."""

    _fields_ = (("name", Pointer), ("kind", Int32), ("type", Pointer))


class Exit(_ctypes.CFuncPtr):
    """proc_exit as WAMR calls a host's function: the execution environment, the status."""

    _flags_ = CDECL
    _restype_ = None
    _argtypes_ = (Pointer, Int32)


class Wamr:
    """The WAMR engine."""

    name = "wamr"
    kinds: "tuple[str, ...]" = ("wasm-module",)
    limits: "tuple[str, ...]" = ("memory", "fuel", "seconds")
    writes_files = False

    def __init__(self) -> None:
        self._library: "Library | None" = None
        self._path = ""

    def probe(self) -> str:
        """See base.Engine."""
        numbers = (Int32 * 3)()
        places = [_ctypes.addressof(numbers) + 4 * index for index in range(3)]
        self._load().wasm_runtime_get_version(*places)
        return ".".join(str(number) for number in numbers)

    def abilities(self) -> "Abilities":
        """See base.Engine. Proposals and fuel are choices of whoever built the library."""
        library = self._load()
        limits = self.limits
        if not library.wasm_runtime_set_instruction_count_limit:
            limits = tuple(name for name in limits if name != "fuel")
        proposals = supported(lambda wasm: not _loaded(library, wasm)[2])
        return base.Abilities(self.kinds, ("0.1",), proposals, limits, artefacts=False)

    def cache_key(self, limits: "Limits") -> str:
        """See base.Engine: what is interpreted needs no artefact."""
        self._find()
        return ""

    def compile(self, wasm: bytes, limits: "Limits") -> bytes:
        """See base.Engine. Checks the module, and changes nothing."""
        _, _, refused = _loaded(self._load(), wasm)
        if refused:
            raise Error(f"not a valid Wasm module: {refused}")
        return wasm

    def load(self, artefact: "str | bytes", selection: "Selection", limits: "Limits") -> "WamrModule":
        """See base.Engine."""
        library = self._load()
        wasm = selection.wasm if isinstance(artefact, str) else artefact
        _refuse(library, wasm, limits)
        return WamrModule(library, wasm, selection.function)

    def _find(self) -> str:
        self._path = self._path or seek_library(self.name, _NAMES, _ADVICE)
        return self._path

    def _load(self) -> Library:
        if self._library is None:
            library = Library(self.name, self._find(), SHAPES, OPTIONAL)
            _quiet()
            if not library.wasm_runtime_init():
                raise Error(f"engine {self.name}: its runtime cannot be initialised; is memory left?")
            library.wasm_runtime_set_log_level(_FATAL)
            self._library = library
        return self._library


def _quiet() -> None:
    """Let C's stdout lead nowhere: a library built to dump stacks prints them there, into the guest's output.

    Only on glibc, where the variable may be written to; nothing of Python's goes through it.
    """
    libc = _ctypes.dlopen(None, RTLD_NOW)  # type: ignore[arg-type]
    try:
        _ctypes.dlsym(libc, "gnu_get_libc_version")
    except OSError:
        return
    fmemopen = Function(_ctypes.dlsym(libc, "fmemopen"))
    fmemopen.argtypes = (Pointer, Size, Pointer)
    Pointer.from_address(_ctypes.dlsym(libc, "stdout")).value = fmemopen(None, PAGE, b"w")


def _refuse(library: Library, wasm: bytes, limits: "Limits") -> None:
    """Raise Error for a limit that would not be kept."""
    require_room(Wamr.name, _ROOM, limits.address_space)
    require_memory(wasm, limits.memory)
    if limits.memory is not None and limits.memory < PAGE:
        raise Error(f"WAMR counts memory in pages, and the limit of {limits.memory} bytes is less than one ({PAGE})")
    if limits.fuel is None:
        return
    if not library.wasm_runtime_set_instruction_count_limit:
        raise Error("this libiwasm counts no instructions; build it with WAMR_BUILD_INSTRUCTION_METERING=1")
    if limits.fuel > _MOST_FUEL:
        raise Error(f"WAMR counts to {_MOST_FUEL} instructions, and the limit is {limits.fuel}")
    if has_start(wasm):
        raise Error("WAMR does not count the instructions of a start section, and the module has one; use wasmtime")


def _loaded(library: Library, wasm: bytes) -> "tuple[int | None, Any, str]":
    """The module, the bytes it works on, and why there is none."""
    content, why = buffer(wasm), buffer(bytes(256))
    module = library.wasm_runtime_load(content, len(wasm), why, len(why))
    return module, content, "" if module else _text(why)


def _text(error: "Any") -> str:
    return bytes(error).partition(b"\0")[0].decode("utf-8", "replace")


class WamrModule:
    """A loaded module whose imports are all there; see base.Module."""

    engine = "wamr"

    def __init__(self, library: Library, wasm: bytes, function: str) -> None:
        self._library = library
        self._exit_status: "int | None" = None
        self._instance: "int | None" = None
        self._own_proc_exit()
        module, self._content, refused = _loaded(library, wasm)
        if module is None:
            raise Error(f"not a valid Wasm module: {refused}")
        self._module = module
        self._require_imports()
        self._results = self._signature(function)
        self._faults = FaultHandlers(_WAKES)

    def _own_proc_exit(self) -> None:
        """Replace WASI's proc_exit, whose status is lost when a start section calls it."""
        self._symbols = []  # kept, as the function: the library holds their addresses only
        self._proc_exit = Exit(self._exit)
        for wasi in _WASI:
            symbol = cell(4)
            name, shape = buffer(b"proc_exit\0"), buffer(b"(i)\0")
            symbol[0], symbol[2] = _ctypes.addressof(name), _ctypes.addressof(shape)
            symbol[1] = Pointer.from_address(_ctypes.addressof(self._proc_exit)).value
            module = buffer(wasi + b"\0")
            self._symbols.append((symbol, name, shape, module))
            if not self._library.wasm_runtime_register_natives(module, symbol, 1):
                raise Error("proc_exit cannot be registered with WAMR")

    def _exit(self, environment: int, status: int) -> None:
        self._exit_status = status
        instance = self._library.wasm_runtime_get_module_inst(environment)
        self._library.wasm_runtime_set_exception(instance, b"exit")

    def _require_imports(self) -> None:
        library, pairs, known = self._library, [], set()
        for index in range(library.wasm_runtime_get_import_count(self._module)):
            found = Import()
            library.wasm_runtime_get_import_type(self._module, index, _ctypes.byref(found))
            pairs.append((text_at(found.module), text_at(found.name)))
            if found.linked:
                known.add(pairs[-1])
        require_imports("WAMR", pairs, known, tuple(name.decode() for name in _WASI))

    def _signature(self, function: str) -> int:
        """How many results the function has. Raises Error unless it is exported and takes nothing."""
        library, functions = self._library, {}
        for index in range(library.wasm_runtime_get_export_count(self._module)):
            found = Export()
            library.wasm_runtime_get_export_type(self._module, index, _ctypes.byref(found))
            if found.kind == _FUNCTION:
                functions[text_at(found.name)] = found.type
        if function not in functions:
            raise Error(absent(function, list(functions)))
        takes = library.wasm_func_type_get_param_count(functions[function])
        if takes:
            raise Error(with_parameters(function, takes))
        return int(library.wasm_func_type_get_result_count(functions[function]))

    def start(self, guest: "Guest") -> int:
        """See base.Module."""
        require_no_network("WAMR", guest.network)
        self._faults.restore()
        kept = self._set_up(guest)
        self._instance = self._instantiated(guest.limits)
        if self._exit_status is None:
            self._call(self._instance, guest)
        del kept
        return self._exit_status or 0

    def interrupt(self) -> None:
        """Make a guest that computes trap, if the library was built to look for that; for another thread."""
        if self._instance:
            self._library.wasm_runtime_terminate(self._instance)

    def _set_up(self, guest: "Guest") -> "list[Any]":
        """Tell the library what WASI gives the guest; what is returned has to live as long as the guest."""
        mapped = [_preopen(*preopen) for preopen in guest.preopens]
        lists = [strings(texts) for texts in (mapped, guest.env, guest.argv)]
        directories, env, argv = lists
        self._library.wasm_runtime_set_wasi_args(
            self._module, None, 0, directories, len(mapped), env, len(guest.env), argv, len(guest.argv)
        )
        return lists

    def _instantiated(self, limits: "Limits") -> "int | None":
        why = buffer(bytes(256))
        most = 0 if limits.memory is None else pages(limits.memory)
        arguments = (Int32 * 3)(_STACK, 0, most)  # InstantiationArgs
        instance = self._library.wasm_runtime_instantiate_ex(self._module, arguments, why, len(why))
        if instance or self._exit_status is not None:
            return instance  # type: ignore[no-any-return]
        text = _text(why)
        if _PREFIX in text:  # of the start section
            raise base.TrapError(text.partition(_PREFIX)[2])
        raise Error(f"the module cannot be started: {text}")

    def _call(self, instance: "int | None", guest: "Guest") -> None:
        library = self._library
        environment = library.wasm_runtime_create_exec_env(instance, _STACK)
        if guest.limits.fuel is not None:
            library.wasm_runtime_set_instruction_count_limit(environment, guest.limits.fuel)
        function = library.wasm_runtime_lookup_function(instance, guest.function.encode())
        results = (Int32 * (_CELLS * max(self._results, 1)))()
        if library.wasm_runtime_call_wasm(environment, function, 0, results) or self._exit_status is not None:
            return
        kind = text_at(library.wasm_runtime_get_exception(instance)).removeprefix(_PREFIX)
        raise base.TrapError("\n".join([_TRAPS.get(kind, kind), *self._backtrace(environment)]))

    def _backtrace(self, environment: int) -> "list[str]":
        """A line for each frame, innermost first, if the library was built to keep them."""
        library = self._library
        if not library.wasm_runtime_dump_call_stack_to_buf:
            return []
        size = library.wasm_runtime_get_call_stack_buf_size(environment)
        content = buffer(bytes(max(size, 1)))
        library.wasm_runtime_dump_call_stack_to_buf(environment, content, size)
        lines = _text(content).split("\n")
        return [_frame(line) for line in lines if line.startswith("#")][:_FRAMES]


_TRAPS = {"instruction limit exceeded": "out of fuel", "terminated by user": "interrupted"}


def _frame(line: str) -> str:
    """The line of a frame, `#00: 0x0008 - _start`, in the words of other engines."""
    offset, _, name = line.partition(": ")[2].partition(" - ")
    return f"    at {name} (offset {offset})"


def _preopen(place: str, name: str, read_only: bool) -> str:
    """What WAMR parses: the guest's name, the directory. Raises Error for what it would get wrong."""
    if "::" in f"{name}:{place}":
        raise Error(f"{place}: WAMR opens no directory with two colons in its name for a guest")
    require_directory("WAMR", place, name, read_only)
    return f"{name}::{place}"
