"""D-Bus messages as bytes: the D-Bus Specification, "Type System" and "Message Protocol". No descriptors travel.

A value of type `v` is the pair (signature, value); of type `ay`, bytes; arrays and structs are sequences.
"""

import _struct
from _struct import calcsize, pack, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

METHOD_CALL, METHOD_RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE = range(1, 9)
HEADER = 16  # bytes, up to where the array of header fields begins
_StructError: "type[Exception]" = vars(_struct)["error"]
_LARGEST = 1 << 20  # bytes; what systemd tells us is far below, the protocol's own limit far above
_FIELDS = {PATH: "o", INTERFACE: "s", MEMBER: "s", DESTINATION: "s", SIGNATURE: "g"}
_FIXED = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}
_ALIGNED = {"s": 4, "o": 4, "a": 4, "(": 8, "{": 8, "g": 1, "v": 1}
_ORDERS = {"l": "<", "B": ">"}
_CLOSING = {"(": ")", "{": "}"}


class Message:
    """A message that has come in; `fields` by the numbers above."""

    __slots__ = ("body", "fields", "kind")

    def __init__(self, kind: int, fields: "dict[int, Any]", body: "list[Any]") -> None:
        self.kind = kind
        self.fields = fields
        self.body = body


def types(signature: str) -> "Iterator[str]":
    """The complete types of a signature, one by one. Raises ValueError."""
    position = 0
    while position < len(signature):
        end = _end(signature, position)
        yield signature[position:end]
        position = end


def _end(signature: str, position: int) -> int:
    """Where the complete type that begins at `position` ends."""
    letter = signature[position : position + 1]
    if letter == "a":
        return _end(signature, position + 1)
    if letter in _CLOSING:
        position += 1
        while signature[position : position + 1] != _CLOSING[letter]:
            position = _end(signature, position)
        return position + 1
    if letter not in _FIXED and letter not in ("s", "o", "g", "v"):
        raise ValueError(f"{signature!r} is no signature of D-Bus")
    return position + 1


def _alignment(kind: str) -> int:
    return calcsize("=" + _FIXED[kind]) if kind in _FIXED else _ALIGNED[kind[0]]


def marshal(signature: str, values: "Any") -> bytes:
    """The values, one for each complete type, as bytes that start at a multiple of eight. Raises ValueError."""
    out = bytearray()
    try:
        for kind, value in zip(types(signature), values, strict=True):
            _put(out, kind, value)
    except (_StructError, TypeError, AttributeError) as fault:
        raise ValueError(f"{values!r} is not of the type {signature}: {fault}") from None
    return bytes(out)


def _pad(out: bytearray, alignment: int) -> None:
    out += bytes(-len(out) % alignment)


def _put(out: bytearray, kind: str, value: "Any") -> None:
    _pad(out, _alignment(kind))
    if kind in _FIXED:
        out += pack("<" + _FIXED[kind], value)
    elif kind == "v":
        inner, content = value
        if len(list(types(inner))) != 1:
            raise ValueError(f"{inner!r} is no signature of D-Bus for one value")
        _put(out, "g", inner)
        _put(out, inner, content)
    elif kind[0] == "a":
        _put_array(out, kind[1:], value)
    elif kind[0] in _CLOSING:
        for inner, each in zip(types(kind[1:-1]), value, strict=True):
            _put(out, inner, each)
    else:
        text = value.encode("utf-8", "surrogateescape")
        out += pack("<B" if kind == "g" else "<I", len(text)) + text + b"\0"


def _put_array(out: bytearray, kind: str, values: "Any") -> None:
    """Its length does not count the padding ahead of the first element."""
    place = len(out)
    out += bytes(4)
    _pad(out, _alignment(kind))
    start = len(out)
    if kind == "y":
        out += bytes(values)
    else:
        for each in values:
            _put(out, kind, each)
    out[place : place + 4] = pack("<I", len(out) - start)


def unmarshal(signature: str, data: bytes, order: str = "<") -> "list[Any]":
    """The values that `marshal` made bytes of. Raises ValueError."""
    position, found = 0, []
    try:
        for kind in types(signature):
            value, position = _get(data, position, kind, order)
            found.append(value)
    except (_StructError, IndexError) as fault:
        raise ValueError(f"a message of D-Bus is cut: {fault}") from None
    return found


def _get(data: bytes, position: int, kind: str, order: str) -> "tuple[Any, int]":
    """The value at `position`, and where it ends."""
    alignment = _alignment(kind)
    position += -position % alignment
    if kind in _FIXED:
        value = unpack_from(order + _FIXED[kind], data, position)[0]
        return bool(value) if kind == "b" else value, position + alignment
    if kind == "v":
        inner, position = _get(data, position, "g", order)
        value, position = _get(data, position, inner, order)
        return (inner, value), position
    if kind[0] == "a":
        return _get_array(data, position, kind[1:], order)
    if kind[0] in _CLOSING:
        values = []
        for inner in types(kind[1:-1]):
            value, position = _get(data, position, inner, order)
            values.append(value)
        return values, position
    return _get_text(data, position, kind, order)


def _get_array(data: bytes, position: int, kind: str, order: str) -> "tuple[Any, int]":
    length = unpack_from(order + "I", data, position)[0]
    position += 4
    position += -position % _alignment(kind)
    end = position + length
    if end > len(data):
        raise ValueError("a message of D-Bus is cut in an array")
    if kind == "y":
        return data[position:end], end
    values = []
    while position < end:
        value, position = _get(data, position, kind, order)
        values.append(value)
    return values, position


def _get_text(data: bytes, position: int, kind: str, order: str) -> "tuple[str, int]":
    size = 1 if kind == "g" else 4
    length = unpack_from(order + ("B" if kind == "g" else "I"), data, position)[0]
    end = position + size + length
    if end >= len(data):
        raise ValueError("a message of D-Bus is cut in a text")
    return data[position + size : end].decode("utf-8", "surrogateescape"), end + 1


def call(serial: int, fields: "dict[int, str]", values: "Any") -> bytes:
    """A method call; its `fields` name path, interface, member, and the signature of the values. Raises ValueError."""
    body = marshal(fields.get(SIGNATURE, ""), values)
    header = [[number, (_FIELDS[number], text)] for number, text in fields.items() if text]
    start = marshal("yyyyuua(yv)", [ord("l"), METHOD_CALL, 0, 1, len(body), serial, header])
    return start + bytes(-len(start) % 8) + body


def length(start: bytes) -> int:
    """How long the message is whose first HEADER bytes are given. Raises ValueError for what is no message of D-Bus."""
    order = _ORDERS.get(chr(start[0]))
    if order is None or start[3] != 1:
        raise ValueError(f"{start!r} does not begin a message of D-Bus")
    body, fields = unpack_from(order + "I4xI", start, 4)
    if body + fields > _LARGEST:
        raise ValueError(f"a message of D-Bus of {body + fields} bytes")
    return int(HEADER + fields + -fields % 8 + body)


def parse(data: bytes) -> Message:
    """A whole message. Raises ValueError."""
    order = _ORDERS[chr(data[0])]
    body, fields = unpack_from(order + "I4xI", data, 4)
    header = unmarshal("yyyyuua(yv)", data[: HEADER + fields], order)
    found = {number: value for number, (_, value) in header[6]}
    return Message(data[1], found, unmarshal(found.get(SIGNATURE, ""), data[len(data) - body :], order))
