"""Checks: `(value, path) -> value`, raising a ConfigError that says what was expected and what was got.

They take what `jsontext.parse` gives: dict, list, str, int, float, bool, None. `bool` is never an integer here, and a
number with a fraction or exponent is none either.
"""

from pyruntime.errors import ConfigError, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol, TypeVar

    T_co = TypeVar("T_co", covariant=True)
    T = TypeVar("T")

    class Check(Protocol[T_co]):
        """What a field asks of its value."""

        def __call__(self, value: object, path: str, /) -> T_co: ...


NOTHING = object()  # stands for a key that is not there
_LONGEST_SHOWN = 64


def quoted(text: str) -> str:
    """A string of the document as an error shows it: one line, in quotes, cut when long."""
    cut = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return f'"{one_line(cut)}"'


def got(value: object) -> str:
    """A value of the document as an error shows it."""
    if value is NOTHING:
        return "nothing: the key is missing"
    if value is None or value is True or value is False:
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    return one_line(repr(value))[:_LONGEST_SHOWN]


def wrong(expected: str, value: object, path: str) -> ConfigError:
    """The error of a value that is not as expected: `path: expected …, got …`."""
    return ConfigError(path, f"expected {expected}, got {got(value)}")


def boolean(value: object, path: str) -> bool:
    """true or false."""
    if value is True or value is False:
        return value
    raise wrong("true or false", value, path)


def integer(low: int, high: int, said: str = "") -> "Check[int]":
    """A check for whole numbers of a range, both ends included; `said` words what is expected of other values."""

    def check(value: object, path: str) -> int:
        if type(value) is int and low <= value <= high:
            return value
        ranged = f"an integer from {low} to {high}"
        if type(value) is str:
            from pyruntime.config.near import number_meant

            raise ConfigError(path, f"expected {said or ranged}, got {quoted(value)}{number_meant(value)}")
        raise wrong(ranged if type(value) is int else said or ranged, value, path)

    return check


uint8 = integer(0, 2**8 - 1)
uint16 = integer(0, 2**16 - 1)
uint32 = integer(0, 2**32 - 1)
identifier = integer(0, 2**32 - 2)  # the last one means "leave it" to setresuid(2) and chown(2)
uint64 = integer(0, 2**64 - 1)
int32 = integer(-(2**31), 2**31 - 1)
int64 = integer(-(2**63), 2**63 - 1)
size = integer(-(2**63), 2**63 - 1, "bytes as a number")


def string(value: object, path: str) -> str:
    """A text that the kernel can take whole: no NUL, no lone surrogate (which would become another byte)."""
    if type(value) is not str:
        raise wrong("a string", value, path)
    if "\0" in value:
        raise ConfigError(path, f"{quoted(value)} holds a NUL character, expected a string without")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise ConfigError(path, f"{quoted(value)} holds half of a surrogate pair, expected Unicode text")
    return value


def nonempty(value: object, path: str) -> str:
    """A text of at least one character."""
    text = string(value, path)
    if not text:
        raise wrong("a string that is not empty", value, path)
    return text


def absolute(value: object, path: str) -> str:
    """A path that begins with a slash."""
    text = string(value, path)
    if not text.startswith("/"):
        raise wrong("an absolute path", value, path)
    return text


def one_of(*words: str) -> "Check[str]":
    """A check for one of a few words."""
    known = frozenset(words)

    def check(value: object, path: str) -> str:
        if type(value) is str and value in known:
            return value
        raise wrong("one of " + ", ".join(quoted(word) for word in words), value, path)

    return check


def made_of(letters: str, expected: str) -> "Check[str]":
    """A check for texts of such characters only; the empty one passes."""

    def check(value: object, path: str) -> str:
        if type(value) is str and not value.strip(letters) and all(c in letters for c in value):
            return value
        raise wrong(expected, value, path)

    return check


def listed(check: "Check[T]") -> "Check[list[T]]":
    """A check for lists whose every element passes `check`."""

    def check_list(value: object, path: str) -> "list[T]":
        if type(value) is not list:
            raise wrong("a list", value, path)
        return [check(item, f"{path}[{index}]") for index, item in enumerate(value)]

    return check_list


def mapped(check: "Check[T]") -> "Check[dict[str, T]]":
    """A check for objects used as maps: the names are texts, every value passes `check`."""

    def check_map(value: object, path: str) -> "dict[str, T]":
        if type(value) is not dict:
            raise wrong("an object", value, path)
        return {string(name, path): check(item, f"{path}[{quoted(name)}]") for name, item in value.items()}

    return check_map
