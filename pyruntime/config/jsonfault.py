"""Why a JSON text was refused: runs only after the fast scanner said no, so it may import `json`."""

import json

from pyruntime.errors import one_line


class _Twice(dict):  # type: ignore[type-arg]
    """An object in which a key stands more than once; remembers which."""

    key = ""


def _object(pairs: "list[tuple[str, object]]") -> "dict[str, object]":
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: "set[str]" = set()
    marked = _Twice(found)
    marked.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return marked


def _constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def describe(data: bytes, deepest: int) -> str:
    """One line saying what is wrong with a document that `jsontext.parse` refused, with line and column."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return f"line {line}: expected UTF-8 text, found the byte {data[error.start]:#04x}; save the file as UTF-8"
    if text.startswith("\ufeff"):
        return "expected JSON without a byte order mark; save the file without one"
    if not text.strip(" \t\n\r"):
        return "expected a JSON object, found an empty file"
    return _fault(text, deepest)


def _fault(text: str, deepest: int) -> str:
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
    except RecursionError:
        return f"nested deeper than {deepest} levels"
    except ValueError as error:
        return f"not valid JSON: {one_line(str(error))}"
    twice = _first_twice(value, deepest)
    return twice or f"nested deeper than {deepest} levels"


def _first_twice(value: object, depth: int, path: str = "") -> str:
    if depth < 0:
        return ""
    if isinstance(value, _Twice):
        where = f"{path}.{value.key}" if path else value.key
        return f"{one_line(where)}: this key stands twice in the same object; keep one"
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        below = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else key
        if found := _first_twice(child, depth - 1, below):
            return found
    return ""
