"""What `pyruntime.wasm.*` annotations let a guest use. Pure; docs/reference/annotations.md has the table."""

from pyruntime.engine.base import Limits
from pyruntime.errors import ConfigError

PREFIX = "pyruntime.wasm."
FUEL, TIMEOUT, MEMORY = f"{PREFIX}fuel", f"{PREFIX}timeout", f"{PREFIX}memory"
HTTP, NETWORK, SECCOMP = f"{PREFIX}http", f"{PREFIX}network", f"{PREFIX}seccomp"
PREOPENS = f"{PREFIX}preopens"
NAMES = (FUEL, TIMEOUT, MEMORY, HTTP, NETWORK, SECCOMP, PREOPENS)

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_PAGE = 1 << 16  # bytes of a page of linear memory
_LARGEST = (1 << 63) - 1
_LONGEST = 10**9  # seconds


def limits(
    annotations: "dict[str, str]", memory: "int | None" = None, address_space: "int | None" = None
) -> "tuple[Limits, tuple[str, ...]]":
    """The limits of a guest, and the names of those that annotations ask for: an engine must keep these.

    `memory` is linux.resources.memory.limit in bytes (no limit: None, or not positive), under which no annotation can
    go above; `address_space` is RLIMIT_AS. Raises ConfigError that names the annotation.
    """
    _refuse_unknown(annotations)
    asked = _size(annotations)
    container = memory if memory is not None and memory > 0 else None
    bounds = [bound for bound in (asked, container) if bound is not None]
    found = Limits(min(bounds, default=None), _fuel(annotations), _seconds(annotations), address_space)
    wanted = {"memory": asked, "fuel": found.fuel, "seconds": found.seconds}
    return found, tuple(name for name, value in wanted.items() if value is not None)


def _refuse_unknown(annotations: "dict[str, str]") -> None:
    for name in annotations:
        if name.startswith(PREFIX) and name not in NAMES:
            raise ConfigError(f'annotations["{name}"]', f"is not known; there are {', '.join(NAMES)}")


def _fuel(annotations: "dict[str, str]") -> "int | None":
    text = annotations.get(FUEL)
    if text is None:
        return None
    if not _is_number(text) or not 0 < int(text) <= _LARGEST:
        raise _wrong(FUEL, text, f"a number of instructions from 1 to {_LARGEST}")
    return int(text)


def _seconds(annotations: "dict[str, str]") -> "float | None":
    text = annotations.get(TIMEOUT)
    if text is None:
        return None
    whole, _, fraction = text.partition(".")
    if not _is_number(whole) or not _is_number(fraction or "0") or not 0 < float(text) <= _LONGEST:
        raise _wrong(TIMEOUT, text, f'seconds above 0 and up to {_LONGEST}, such as "30" or "0.5"')
    return float(text)


def _size(annotations: "dict[str, str]") -> "int | None":
    text = annotations.get(MEMORY)
    if text is None:
        return None
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    number = text.removesuffix(unit)
    size = int(number) * _UNITS.get(unit, 1) if _is_number(number) else 0
    if not _PAGE <= size <= _LARGEST:
        raise _wrong(MEMORY, text, 'bytes, at least 65536, such as "67108864" or "64MiB"')
    return size


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


def _wrong(name: str, found: str, expected: str) -> ConfigError:
    return ConfigError(f'annotations["{name}"]', f'expected {expected}, got "{found}"')
