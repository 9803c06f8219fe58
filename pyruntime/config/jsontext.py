"""Strict JSON: bytes in, plain values out, every refusal a ConfigError.

The scanner is the C one below the `json` package, which costs 6 ms to import. It is private to CPython and answers bad
input with a different exception in each version, so any exception sends the text to `jsonfault`, which words the error.
"""

import posix as os

from pyruntime.errors import ConfigError, explain_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 16 * 1024 * 1024
DEEPEST = 64
_BLANKS = " \t\n\r"
_REGULAR, _TYPE_BITS = 0o100000, 0o170000


class _RefusedError(Exception):
    """Well-formed for the scanner, refused by us."""


def _object(pairs: "list[tuple[str, object]]") -> "dict[str, object]":
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RefusedError
    return found


def _no_constant(name: str) -> object:
    raise _RefusedError(name)


class _Context:
    """What `make_scanner` reads its settings from."""

    strict = True
    object_hook = None
    object_pairs_hook = staticmethod(_object)
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_no_constant)
    memo: "dict[str, str]" = {}


def parse(data: bytes, what: str) -> object:
    """Read one JSON document (RFC 8259) more strictly than most: UTF-8 without byte order mark, no NaN or Infinity,
    no key twice in an object, nothing after the value, at most 64 levels. Integers are bounded by the interpreter's
    limit of 4300 digits. `what` names the document in errors. Raises ConfigError.
    """
    try:
        text = data.decode()
        start = len(text) - len(text.lstrip(_BLANKS))
        value, end = _scan(text, start)
        if text[end:].strip(_BLANKS) or _too_deep(value):
            raise _RefusedError
    except Exception as error:
        from pyruntime.config.jsonfault import describe

        raise ConfigError(what, describe(data, DEEPEST)) from error
    return value


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            child
            for node in level
            if type(node) is dict or type(node) is list
            for child in (node.values() if type(node) is dict else node)
        ]
        if not level:
            return False
    return True


def load(path: str, what: str) -> bytes:
    """The content of a regular file of at most 16 MiB. Opening does not wait for the writer of a FIFO and does not
    follow a device into side effects. `what` begins the error. Raises ConfigError; FileNotFoundError passes through.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            return _content(fd, what)
        finally:
            os.close(fd)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(what, f"cannot be read: {explain_oserror(error)}") from error
    except ValueError as error:
        raise ConfigError(what, "the file name holds a NUL character, which no file name can") from error


def _content(fd: int, what: str) -> bytes:
    status = os.fstat(fd)
    if status.st_mode & _TYPE_BITS != _REGULAR:
        raise ConfigError(what, f"expected a regular file, found {_kind(status.st_mode)}")
    return read_all(fd, what)


def read_all(fd: int, what: str) -> bytes:
    """Everything up to the end of file of a descriptor, at most 16 MiB. Raises ConfigError, OSError."""
    pieces, size = [], 0
    while piece := os.read(fd, 65536 if size < 65536 else 1048576):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise ConfigError(what, f"expected at most {LARGEST} bytes (16 MiB), found more")
    return b"".join(pieces)


def _kind(mode: int) -> str:
    kinds = {0o040000: "a folder", 0o010000: "a FIFO", 0o020000: "a character device", 0o060000: "a block device"}
    return kinds.get(mode & _TYPE_BITS, "something else")


def _scanner() -> "Callable[[str, int], tuple[object, int]]":
    try:
        from _json import make_scanner
    except ImportError:  # an interpreter without the accelerator
        from json import JSONDecoder

        return JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant).raw_decode
    scan: Callable[[str, int], tuple[object, int]] = make_scanner(_Context())  # type: ignore[arg-type]
    return scan


_scan = _scanner()
