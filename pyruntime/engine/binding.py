"""The part of wasmtime's C API that running a module takes, called through `_ctypes`.

Importing the wasmtime package costs some 40 ms of CPU; loading the library inside it costs 2. The library has a new
major version every month and its functions do change shape, so before the first call the shapes used here are
compared with the declarations the package carries (`wasmtime/_bindings.py`, generated from the library's headers).
A difference is an error that names the function, never a crash inside the container.

A shape is the parameters' letters, `>`, the result's letter:
P a pointer   N size_t   Q uint64_t   q int64_t   I uint32_t   ? bool   B uint8_t
"""

import _ctypes
import posix as os

from pyruntime.engine.cdata import RTLD_NOW, Bool, Byte, Function, Int32, Int64, Pointer, Size, bytes_at, cell
from pyruntime.errors import Error, explain_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TESTED = "50.0.1"

SHAPES = {
    "wasm_config_new": ">P",
    "wasmtime_config_parallel_compilation_set": "P?>",
    "wasmtime_config_memory_init_cow_set": "P?>",
    "wasmtime_config_concurrency_support_set": "P?>",
    "wasmtime_config_epoch_interruption_set": "P?>",
    "wasmtime_config_consume_fuel_set": "P?>",
    "wasmtime_config_memory_reservation_set": "PQ>",
    "wasmtime_config_memory_reservation_for_growth_set": "PQ>",
    "wasmtime_config_memory_guard_size_set": "PQ>",
    "wasm_engine_new_with_config": "P>P",
    "wasmtime_wat2wasm": "PNP>P",
    "wasmtime_module_new": "PPNP>P",
    "wasmtime_module_serialize": "PP>P",
    "wasmtime_module_deserialize": "PPNP>P",
    "wasmtime_module_deserialize_file": "PPP>P",
    "wasmtime_module_imports": "PP>",
    "wasm_importtype_module": "P>P",
    "wasm_importtype_name": "P>P",
    "wasmtime_module_exports": "PP>",
    "wasm_exporttype_name": "P>P",
    "wasm_exporttype_type": "P>P",
    "wasm_externtype_as_functype_const": "P>P",
    "wasm_functype_params": "P>P",
    "wasm_functype_results": "P>P",
    "wasmtime_linker_new": "P>P",
    "wasmtime_linker_define_wasi": "P>P",
    "wasmtime_linker_allow_shadowing": "P?>",
    "wasmtime_linker_define_func_unchecked": "PPNPNPPPP>P",
    "wasmtime_linker_instantiate_pre": "PPP>P",
    "wasmtime_instance_pre_instantiate": "PPPP>P",
    "wasmtime_instance_export_get": "PPPNP>?",
    "wasmtime_func_call": "PPPNPNP>P",
    "wasmtime_store_new": "PPP>P",
    "wasmtime_store_context": "P>P",
    "wasmtime_store_limiter": "Pqqqqq>",
    "wasmtime_context_set_fuel": "PQ>P",
    "wasmtime_context_set_epoch_deadline": "PQ>",
    "wasmtime_engine_increment_epoch": "P>",
    "wasmtime_context_set_wasi": "PP>P",
    "wasmtime_trap_new": "PN>P",
    "wasmtime_trap_code": "PP>?",
    "wasm_trap_message": "PP>",
    "wasm_trap_trace": "PP>",
    "wasm_frame_vec_delete": "P>",
    "wasm_byte_vec_delete": "P>",
    "wasmtime_error_delete": "P>",
    "wasm_frame_func_index": "P>I",
    "wasm_frame_module_offset": "P>N",
    "wasmtime_frame_func_name": "P>P",
    "wasmtime_error_message": "PP>",
    "wasm_valtype_new": "B>P",
    "wasm_valtype_vec_new": "PNP>",
    "wasm_functype_new": "PP>P",
    "wasi_config_new": ">P",
    "wasi_config_set_argv": "PNP>?",
    "wasi_config_set_env": "PNPP>?",
    "wasi_config_inherit_stdin": "P>",
    "wasi_config_inherit_stdout": "P>",
    "wasi_config_inherit_stderr": "P>",
    "wasi_config_preopen_dir": "PPP?>?",
}

_REINSTALL = "reinstall it: pip install --force-reinstall wasmtime"

_TYPES = {"P": Pointer, "N": Size, "Q": Size, "q": Int64, "I": Int32, "?": Bool, "B": Byte}


class Library:
    """The loaded library: its functions are attributes, `library.wasmtime_store_new(...)`."""

    def __init__(self, package: str, known: bool = False) -> None:
        """Load the library of the wasmtime package in the directory `package`. Raises Error.

        `known`: its shapes were compared before, in a process that is gone.
        """
        if not known:
            from pyruntime.engine.preview1 import SHAPES as OF_SOCKETS
            from pyruntime.engine.wasi.binding import SHAPES as OF_COMPONENTS

            check_shapes(_read(f"{package}/_bindings.py"), {**OF_COMPONENTS, **OF_SOCKETS})
        self._shapes = SHAPES
        try:
            self._handle = _ctypes.dlopen(library_path(package), RTLD_NOW)
        except OSError as error:
            raise Error(f"engine wasmtime: {error}; {_REINSTALL}") from None

    def extend(self, shapes: "dict[str, str]") -> None:
        """Give the library more functions, which only components need and the constructor has compared too."""
        self._shapes = {**self._shapes, **shapes}

    def __getattr__(self, name: str) -> "Any":
        """A function, at its first use: most processes need few of them."""
        shape = self._shapes.get(name)
        if shape is None:
            raise AttributeError(name)
        function = _function(_ctypes.dlsym(self._handle, name), shape)
        setattr(self, name, function)
        return function


def library_path(package: str) -> str:
    """The C library inside the wasmtime package, whose wheels exist for this machine or not at all."""
    return f"{package}/linux-{os.uname().machine}/_libwasmtime.so"


def check(library: Library, error: "int | None", what: str) -> None:
    """Raise Error with the engine's words if `error` is one."""
    if error:
        text = message(library, library.wasmtime_error_message, error)
        library.wasmtime_error_delete(error)
        raise Error(f"{what}: {text}")


def message(library: Library, read: "Any", thing: int) -> str:
    """The engine's words for an error or trap, by the function that reads them, on one line."""
    vector = cell(2)
    read(thing, vector)
    lines = bytes_at(vector).rstrip(b"\0").decode("utf-8", "replace").splitlines()
    library.wasm_byte_vec_delete(vector)
    parts = [line.strip().lstrip("0123456789: ") for line in lines]
    return ": ".join(part.rstrip(":") for part in parts if part not in ("", "Caused by:"))


def _function(address: int, shape: str) -> "Any":
    parameters, _, result = shape.partition(">")
    function = Function(address)
    function.argtypes = tuple(_TYPES[letter] for letter in parameters)
    function.restype = _TYPES[result] if result else None
    return function


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Error(f"engine wasmtime: {explain_oserror(error)}; {_REINSTALL}") from None
    try:
        return b"".join(iter(lambda: os.read(fd, 1 << 20), b""))
    finally:
        os.close(fd)


def check_shapes(declarations: bytes, more: "dict[str, str] | None" = None) -> None:
    """Compare SHAPES, and more, with the text of the package's `_bindings.py`.

    Raises Error naming the first that differs.
    """
    for name, shape in {**SHAPES, **(more or {})}.items():
        found = _declared(declarations, name.encode())
        if found != shape:
            raise Error(
                f"engine wasmtime: this version's {name} is {found or 'absent'}, pyruntime knows {shape}; "
                f"install the version it was tested with: pip install wasmtime=={TESTED}"
            )


def _declared(text: bytes, name: bytes) -> str:
    start = text.find(b"\n_" + name + b".restype = ")
    if start < 0:
        return ""
    result, arguments = text[start + 1 :].split(b"\n", 2)[:2]
    inner = arguments.partition(b" = [")[2].rpartition(b"]")[0].decode()
    return "".join(_letter(part) for part in _split(inner)) + ">" + _letter(result.partition(b" = ")[2].decode())


def _split(text: str) -> list[str]:
    """Split at the commas that are outside of brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            parts.append(text[start:index].strip())
            start = index + 1
    return [part for part in [*parts, text[start:].strip()] if part]


_LETTERS = {
    "None": "", "ctypes.c_void_p": "P", "ctypes.c_size_t": "N", "ctypes.c_uint64": "Q", "ctypes.c_bool": "?",
    "ctypes.c_int64": "q", "ctypes.c_uint32": "I",
    "wasm_valkind_t": "B",
}  # fmt: skip


def _letter(declared: str) -> str:
    if declared.startswith(("ctypes.POINTER(", "ctypes.CFUNCTYPE(")) or declared.endswith(
        ("_callback_t", "_destructor_t")
    ):
        return "P"
    return _LETTERS.get(declared, "x")
