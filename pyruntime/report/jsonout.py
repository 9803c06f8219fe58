"""JSON text, spaced as Go's encoding/json does: callers and their tests compare with what Go programs print.

Characters beyond ASCII are kept and slashes are not escaped. DEL and the C1 controls are escaped, so that a JSON text
on a terminal cannot drive it. A byte that is not UTF-8 arrives here as a lone surrogate and leaves as its `\\udcXX`
escape: valid ASCII, and the same string again when Python reads it.
"""

from _json import encode_basestring

_CONSTANTS = {None: "null", True: "true", False: "false"}
_FRAGILE = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def dumps(value: "object", indent: "int | str | None" = None) -> str:
    """The JSON text of dicts with str keys, lists, tuples, str, int, float, bool and None.

    `indent` is a number of spaces or the text of one level; None gives one line without spaces.
    Raises TypeError for other types, ValueError for NaN and the infinities, which JSON does not have.
    """
    if indent is None:
        return _write(value, "", "", ":")
    return _write(value, "\n", " " * indent if isinstance(indent, int) else indent, ": ")


def quote(text: str) -> str:
    """The JSON string of `text`, quotes included."""
    quoted: str = encode_basestring(text)
    if quoted.isascii() and "\x7f" not in quoted:
        return quoted
    quoted = quoted.translate(_FRAGILE)
    try:
        quoted.encode()
    except UnicodeEncodeError:
        return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in quoted)
    return quoted


def _write(value: "object", newline: str, step: str, colon: str) -> str:
    if isinstance(value, str):
        return quote(value)
    inner = newline + step
    if isinstance(value, dict):
        members = [_key(key) + colon + _write(item, inner, step, colon) for key, item in value.items()]
        return "{" + inner + ("," + inner).join(members) + newline + "}" if members else "{}"
    if isinstance(value, (list, tuple)):
        items = [_write(item, inner, step, colon) for item in value]
        return "[" + inner + ("," + inner).join(items) + newline + "]" if items else "[]"
    return _scalar(value)


def _key(key: "object") -> str:
    if not isinstance(key, str):
        raise TypeError(f"a JSON key must be str, not {type(key).__name__}")
    return quote(key)


def _scalar(value: "object") -> str:
    if value is None or value is True or value is False:
        return _CONSTANTS[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if not isinstance(value, float):
        raise TypeError(f"no JSON for {type(value).__name__}")
    if value - value != 0:  # neither NaN nor an infinity gives zero
        raise ValueError(f"no JSON for {value!r}")
    return float.__repr__(value)
