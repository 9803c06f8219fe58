"""C data through `_ctypes` alone: the types, arrays and buffers that calling an engine's library takes."""

import _ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CDECL = 1  # FUNCFLAG_CDECL of CPython's ctypes.h; without FUNCFLAG_PYTHONAPI the interpreter lock is let go in calls
RTLD_NOW = 2


class Pointer(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "P"


class Size(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "L"


class Bool(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "?"


class Byte(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "B"


class Int32(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "I"


class Int64(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "q"


class Char(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class Function(_ctypes.CFuncPtr):
    """A C function, by its address; `argtypes` and `restype` are set by whoever knows them."""

    _flags_ = CDECL
    _restype_ = Pointer


class HostFunction(_ctypes.CFuncPtr):
    """A function for the guest to call: (data, caller, arguments and results, their number) → a trap or None."""

    _flags_ = CDECL
    _restype_ = Pointer
    _argtypes_ = (Pointer, Pointer, Pointer, Size)


def cell(count: int = 1) -> "Any":
    """Room for `count` pointers, zeroed; `cell()[0]` is the first."""
    return (Pointer * count)()


def strings(texts: list[str]) -> "Any":
    """A C array of pointers to the texts, NUL-terminated; the buffers live as long as the array."""
    buffers = [buffer(text.encode("utf-8", "surrogateescape") + b"\0") for text in texts]
    array = cell(len(texts) + 1)
    for index, content in enumerate(buffers):
        array[index] = _ctypes.addressof(content)
    array.buffers = buffers
    return array


def buffer(content: bytes) -> "Any":
    """A writable C buffer that holds `content`."""
    return (Char * len(content)).from_buffer_copy(content)


def uint32_at(address: int) -> int:
    """The 32-bit number at an address."""
    return int(Int32.from_address(address).value)


def bytes_at(vector: "Any") -> bytes:
    """The content of a wasm_byte_vec_t {size, data}, given as a `cell(2)`."""
    size = vector[0] or 0
    return bytes((Char * size).from_address(vector[1])) if size else b""


def vector_at(address: int) -> "Any":
    """View the two words at an address as a {size, data} vector."""
    return (Pointer * 2).from_address(address)


def words(vector: "Any") -> list[int]:
    """The pointers in a vector {size, data} of pointers, such as wasm_exporttype_vec_t."""
    size = vector[0] or 0
    return list((Pointer * size).from_address(vector[1])) if size else []


def address(of: "Any") -> int:
    """The address of a buffer or cell."""
    return int(_ctypes.addressof(of))
