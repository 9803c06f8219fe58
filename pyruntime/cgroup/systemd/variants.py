"""Annotations `org.systemd.property.NAME`: a property of the container's unit, its value in GVariant's text format.

The format is that of GLib, "GVariant Text Format"; read are numbers, texts, booleans, lists and tuples. Pure.
"""

from pyruntime.cgroup.systemd.wire import marshal
from pyruntime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Value = tuple[str, Any]  # signature and value
    Property = tuple[str, Value]

PREFIX = "org.systemd.property."
_SECOND = 1_000_000  # microseconds
_KINDS = {
    "boolean": "b", "byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x", "uint64": "t",
    "double": "d", "string": "s", "objectpath": "o", "signature": "g",
}  # fmt: skip
_DEVICES = ("DevicePolicy", "DeviceAllow")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def properties(annotations: "dict[str, str]") -> "list[Property]":
    """The properties that the annotations set, in their order. Raises ConfigError.

    As systemd's own files do, `TimeoutStopSec` says in seconds what the property `TimeoutStopUSec` has.
    """
    return [_property(key, text) for key, text in annotations.items() if key.startswith(PREFIX)]


def _property(key: str, text: str) -> "Property":
    name, because = key.removeprefix(PREFIX), f'annotations["{key}"]'
    if len(name) < 3 or not (name.isascii() and name.isalpha()):
        raise ConfigError(because, f'"{name}" is no name of a property; expected three letters or more')
    if name in _DEVICES:
        raise ConfigError(because, "devices are decided by a program of ours alone; write linux.resources.devices")
    try:
        value = parse(text)
        if name.endswith("Sec") and not name.endswith("USec"):
            return f"{name[:-3]}USec", _microseconds(value)
        marshal("v", [value])
    except ValueError as error:
        raise ConfigError(
            because, f"{error}; expected a value in GVariant's text format, such as uint64 5, 'text' or ['a', 'b']"
        ) from None
    return name, value


def _microseconds(value: "Value") -> "Value":
    kind, number = value
    if kind not in "ynqiuxtd" or number < 0 or number * _SECOND >= 2**64:
        raise ValueError(f"{number!r} is no number of seconds")
    return "t", int(number * _SECOND)


def parse(text: str) -> "Value":
    """The value of a text. Raises ValueError."""
    value, rest = _value(text.strip(), "")
    if rest.strip():
        raise ValueError(f'"{rest.strip()[:64]}" is left over')
    return value


def _value(text: str, kind: str) -> "tuple[Value, str]":
    """The value at the beginning, and the text after it; `kind`: the signature it must have, "" for its own."""
    text = text.lstrip()
    if text[:1] == "@":
        kind, _, text = text[1:].partition(" ")
        text = text.lstrip()
    word = _word(text)
    if word in _KINDS:
        kind, text = _KINDS[word], text[len(word) :].lstrip()
        word = _word(text)
    if text[:1] in ("'", '"'):
        string, rest = _string(text)
        return (kind or "s", string), rest
    if text[:1] == "[":
        return _sequence(text[1:], "]", kind)
    if text[:1] == "(":
        return _sequence(text[1:], ")", kind)
    if word in ("true", "false"):
        return (kind or "b", word == "true"), text[len(word) :]
    return _number(text, kind)


def _word(text: str) -> str:
    end = 0
    while end < len(text) and text[end].isascii() and text[end].isalnum():
        end += 1
    return text[:end]


def _string(text: str) -> "tuple[str, str]":
    found, position = "", 1
    while position < len(text) and text[position] != text[0]:
        if text[position] == "\\":
            position += 1
            letter = text[position : position + 1]
            found += _ESCAPES.get(letter, letter)
        else:
            found += text[position]
        position += 1
    if position >= len(text):
        raise ValueError(f"{text[:64]} has no closing quote")
    return found, text[position + 1 :]


def _sequence(text: str, closing: str, kind: str) -> "tuple[Value, str]":
    """A list, whose elements are all of the first one's type, or a tuple."""
    values: "list[Value]" = []
    inner = kind[1:] if closing == "]" else ""
    text = text.lstrip()
    while text[:1] != closing:
        value, text = _value(text, inner)
        values.append(value)
        inner = value[0] if closing == "]" else ""
        text = text.lstrip()
        if text[:1] == ",":
            text = text[1:].lstrip()
        elif text[:1] != closing:
            raise ValueError(f'expected "," or "{closing}" before "{text[:64]}"')
    if closing == ")":
        kind = kind or f"({''.join(each[0] for each in values)})"
    elif not kind and not values:
        raise ValueError("an empty list needs its type, such as @as []")
    return (kind or f"a{inner}", [each[1] for each in values]), text[1:]


def _number(text: str, kind: str) -> "tuple[Value, str]":
    end = 0
    while end < len(text) and (text[end].isalnum() or text[end] in "+-."):
        end += 1
    word = text[:end]
    try:
        number = float(word) if kind == "d" or (not kind and "." in word) else int(word, 0)
    except ValueError:
        raise ValueError(f'"{word[:64] or text[:64]}" is no value') from None
    return (kind or ("d" if isinstance(number, float) else "i"), number), text[end:]
