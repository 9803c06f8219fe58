"""Values of the component model in the library's memory (wasmtime_component_val_t), read and written.

| WIT           | Python, read                      | Python, to be written                          |
|---------------|-----------------------------------|------------------------------------------------|
| numbers, bool | int, float, bool                  | the same                                       |
| string, char  | str                               | the same                                       |
| list<u8>      | bytes                             | bytes                                          |
| list          | list; an empty one is b""         | any sequence                                   |
| record        | dict                              | dict                                           |
| tuple         | tuple                             | any sequence                                   |
| variant       | (case, value or None)             | (case, value), or the case alone               |
| enum          | str                               | str                                            |
| option        | value or None                     | value or None; Some(None) where options nest   |
| result        | Ok or Err                         | Ok or Err                                      |
| flags         | set of str                        | set of str                                     |
| resource      | what the table of the call holds  | any object with RESOURCE, a number             |

What is read says itself what it is; to write, the type is needed: a shape, made of the function's type once.
"""

import _ctypes

from pyruntime.engine.cdata import Bool, Byte, Char, Int32, Int64, Size, address, buffer, cell
from pyruntime.engine.wasi.binding import ENTRY_SIZE, OF, VALUE_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyruntime.engine.binding import Library


class _S8(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "b"


class _S16(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "h"


class _U16(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "H"


class _S32(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _F32(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "f"


class _F64(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "d"


# wasmtime_component_valkind_t, and wasmtime_component_valtype_kind_t, which has another order
_READ: "tuple[Any, ...]" = (Bool, _S8, Byte, _S16, _U16, _S32, Int32, Int64, Size, _F32, _F64)
_WRITE: "tuple[Any, ...]" = (Bool, _S8, _S16, _S32, Int64, Byte, _U16, Int32, Size, _F32, _F64)
_U8_KIND, _CHAR = 2, 11
STRING, LIST, RECORD, TUPLE, VARIANT, ENUM, OPTION, RESULT, FLAGS, RESOURCE = range(12, 22)
_BORROW = 22
_TYPE_NAMES = ("future", "stream", "error-context", "map")


class Ok:
    """A result's good end."""

    __slots__ = ("value",)

    def __init__(self, value: object = None) -> None:
        self.value = value


class Err:
    """A result's bad end."""

    __slots__ = ("value",)

    def __init__(self, value: object = None) -> None:
        self.value = value


class Some:
    """An option that holds an option or nothing."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


def text_at(at: int) -> str:
    """The text of a wasm_name_t {size, data}."""
    return _bytes_of(at).decode("utf-8", "replace")


def _bytes_of(at: int) -> bytes:
    size, data = (Size * 2).from_address(at)
    return bytes((Char * size).from_address(data)) if size else b""


def _word(at: int) -> int:
    return int(Size.from_address(at).value)


class Reader:
    """Reads arguments; `resource` turns the pointer to a wasmtime_component_resource_any_t into what it stands for."""

    def __init__(self, resource: "Callable[[int], object]") -> None:
        self._resource = resource
        self._compound: "dict[int, Callable[[int], Any]]" = {
            _CHAR: lambda of: chr(Int32.from_address(of).value),
            STRING: text_at,
            LIST: self._list,
            RECORD: self._record,
            TUPLE: self._tuple,
            VARIANT: lambda of: (text_at(of), self._boxed(of + 16)),
            ENUM: text_at,
            OPTION: self._boxed,
            RESULT: self._result,
            FLAGS: self._flags,
            RESOURCE: lambda of: self._resource(_word(of)),
        }

    def read(self, at: int) -> "Any":
        """The value at an address."""
        kind = Byte.from_address(at).value
        if kind < len(_READ):
            return _READ[kind].from_address(at + OF).value
        return self._compound[kind](at + OF)

    def _boxed(self, at: int) -> "Any":
        pointer = _word(at)
        return self.read(pointer) if pointer else None

    def _result(self, of: int) -> "Ok | Err":
        value = self._boxed(of + 8)
        return Ok(value) if Bool.from_address(of).value else Err(value)

    def _items(self, of: int) -> "list[Any]":
        size, data = (Size * 2).from_address(of)
        return [self.read(data + VALUE_SIZE * index) for index in range(size)]

    def _list(self, of: int) -> "Any":
        size, data = (Size * 2).from_address(of)
        if not size:
            return b""
        if Byte.from_address(data).value == _U8_KIND:
            return bytes((Char * (size * VALUE_SIZE)).from_address(data))[OF::VALUE_SIZE]
        return self._items(of)

    def _tuple(self, of: int) -> "tuple[Any, ...]":
        return tuple(self._items(of))

    def _record(self, of: int) -> "dict[str, Any]":
        size, data = (Size * 2).from_address(of)
        places = range(data, data + size * ENTRY_SIZE, ENTRY_SIZE)
        return {text_at(place): self.read(place + 16) for place in places}

    def _flags(self, of: int) -> "set[str]":
        size, data = (Size * 2).from_address(of)
        return {text_at(data + 16 * index) for index in range(size)}


class Shape:
    """A type to write values of: its kind, and what it is made of."""

    __slots__ = ("kind", "parts")

    def __init__(self, kind: int, parts: "Any" = None) -> None:
        self.kind = kind
        self.parts = parts


class Shapes:
    """Reads types (wasmtime_component_valtype_t). Nothing is freed: each function's type is read once."""

    def __init__(self, library: "Library") -> None:
        self._library = library

    def of_result(self, function_type: int) -> "Shape | None":
        """What a function of this type (wasmtime_component_func_type_t) returns, None for nothing."""
        return self._maybe(self._library.wasmtime_component_func_type_result, function_type)

    def _maybe(self, ask: "Any", of: int) -> "Shape | None":
        place = cell(2)
        return self._shape(place) if ask(of, place) else None

    def _shape(self, place: "Any") -> Shape:
        kind, of = (place[0] or 0) & 0xFF, place[1]
        makers = {LIST: self._list, RECORD: self._record, TUPLE: self._tuple, VARIANT: self._variant}
        makers.update({OPTION: self._option, RESULT: self._result})
        if kind > _BORROW:
            raise TypeError(f"a value of type {_TYPE_NAMES[kind - _BORROW - 1]}")
        return Shape(kind, makers[kind](of) if kind in makers else None)

    def _list(self, of: int) -> Shape:
        place = cell(2)
        self._library.wasmtime_component_list_type_element(of, place)
        return self._shape(place)

    def _option(self, of: int) -> Shape:
        place = cell(2)
        self._library.wasmtime_component_option_type_ty(of, place)
        return self._shape(place)

    def _result(self, of: int) -> "tuple[Shape | None, Shape | None]":
        library = self._library
        good = self._maybe(library.wasmtime_component_result_type_ok, of)
        return good, self._maybe(library.wasmtime_component_result_type_err, of)

    def _tuple(self, of: int) -> "list[Shape]":
        library, parts = self._library, []
        for nth in range(library.wasmtime_component_tuple_type_types_count(of)):
            place = cell(2)
            library.wasmtime_component_tuple_type_types_nth(of, nth, place)
            parts.append(self._shape(place))
        return parts

    def _record(self, of: int) -> "dict[str, Shape]":
        library, parts = self._library, {}
        for nth in range(library.wasmtime_component_record_type_field_count(of)):
            name, place = cell(2), cell(2)
            library.wasmtime_component_record_type_field_nth(of, nth, address(name), address(name) + 8, place)
            parts[named(name)] = self._shape(place)
        return parts

    def _variant(self, of: int) -> "dict[str, Shape | None]":
        library, parts = self._library, {}
        for nth in range(library.wasmtime_component_variant_type_case_count(of)):
            name, has, place = cell(2), cell(), cell(2)
            library.wasmtime_component_variant_type_case_nth(of, nth, address(name), address(name) + 8, has, place)
            parts[named(name)] = self._shape(place) if has[0] else None
        return parts


def named(name: "Any") -> str:
    """The text of a {data, size} pair, as functions that return names fill it."""
    return bytes((Char * (name[1] or 0)).from_address(name[0] or 0)).decode() if name[1] else ""


class Writer:
    """Writes results into memory that holds the library's default, a false `bool`, and belongs to it.

    `resource` makes a wasmtime_component_resource_any_t of an object, and returns the pointer.
    """

    def __init__(self, library: "Library", resource: "Callable[[Any], int]") -> None:
        self._library = library
        self._resource = resource
        self._compound: "dict[int, Callable[[Any, Any, int], None]]" = {
            _CHAR: lambda parts, value, of: setattr(Int32.from_address(of), "value", ord(value)),
            STRING: lambda parts, value, of: self._text(value, of),
            LIST: self._list,
            RECORD: self._record,
            TUPLE: self._tuple,
            VARIANT: self._variant,
            ENUM: lambda parts, value, of: self._text(value, of),
            OPTION: self._option,
            RESULT: self._result,
            FLAGS: lambda parts, value, of: self._flags(value, of),
            RESOURCE: lambda parts, value, of: store_word(of, self._resource(value)),
        }

    def write(self, shape: Shape, value: "Any", at: int) -> None:
        """Write a value of this shape. Raises TypeError, KeyError, AttributeError when it is none."""
        if shape.kind < len(_WRITE):
            kind = _WRITE[shape.kind]
            kind.from_address(at + OF).value = value
            Byte.from_address(at).value = _READ.index(kind)
        else:
            self._compound[shape.kind](shape.parts, value, at + OF)
            Byte.from_address(at).value = shape.kind

    def _text(self, value: str, of: int) -> None:
        content = value.encode("utf-8", "replace")
        self._library.wasm_byte_vec_new(of, len(content), content)

    def _box(self, shape: "Shape | None", value: object, of: int) -> None:
        if shape is None:
            store_word(of, 0)
            return
        place = buffer(bytes(VALUE_SIZE))
        self.write(shape, value, address(place))
        store_word(of, self._library.wasmtime_component_val_new(place))

    def _list(self, element: Shape, values: "Any", of: int) -> None:
        self._library.wasmtime_component_vallist_new_uninit(of, len(values))
        data = _word(of + 8)
        if isinstance(values, (bytes, bytearray, memoryview)):
            _write_bytes(values, data)
            return
        for index, value in enumerate(values):
            self.write(element, value, data + VALUE_SIZE * index)

    def _tuple(self, shapes: "list[Shape]", values: "Any", of: int) -> None:
        self._library.wasmtime_component_valtuple_new_uninit(of, len(shapes))
        data = _word(of + 8)
        for index, shape in enumerate(shapes):
            self.write(shape, values[index], data + VALUE_SIZE * index)

    def _record(self, fields: "dict[str, Shape]", values: "dict[str, Any]", of: int) -> None:
        self._library.wasmtime_component_valrecord_new_uninit(of, len(fields))
        data = _word(of + 8)
        for index, (name, shape) in enumerate(fields.items()):
            place = data + ENTRY_SIZE * index
            self._text(name, place)
            self.write(shape, values[name], place + 16)

    def _variant(self, cases: "dict[str, Shape | None]", value: "Any", of: int) -> None:
        case, content = (value, None) if isinstance(value, str) else value
        shape = cases[case]
        self._text(case, of)
        self._box(shape, content, of + 16)

    def _option(self, shape: Shape, value: object, of: int) -> None:
        if value is None:
            store_word(of, 0)
        else:
            self._box(shape, value.value if isinstance(value, Some) else value, of)

    def _flags(self, names: "set[str]", of: int) -> None:
        self._library.wasmtime_component_valflags_new_uninit(of, len(names))
        data = _word(of + 8)
        for index, name in enumerate(sorted(names)):
            self._text(name, data + 16 * index)

    def _result(self, shapes: "tuple[Shape | None, Shape | None]", value: "Ok | Err", of: int) -> None:
        good = isinstance(value, Ok)
        Bool.from_address(of).value = good
        self._box(shapes[0 if good else 1], value.value, of + 8)


def store_word(at: int, pointer: int) -> None:
    """Put a pointer or a size at an address."""
    Size.from_address(at).value = pointer


def _write_bytes(content: "bytes | bytearray | memoryview", data: int) -> None:
    """A list of u8: the kind and the value of each element lie VALUE_SIZE bytes from those of the next."""
    size = len(content)
    if not size:
        return
    image = bytearray(size * VALUE_SIZE)
    image[0::VALUE_SIZE] = bytes((_U8_KIND,)) * size
    image[OF::VALUE_SIZE] = content
    memoryview((Char * len(image)).from_address(data)).cast("B")[:] = image
