"""Times and sizes as people write them on the command line.

Durations follow Go's time.ParseDuration: numbers, each with a unit, as in `1m30s` or `1.5h`; a bare `0` has none.
Sizes are bytes with an optional binary unit: `k`, `m`, `g`, `t`, `p`, alone or followed by `b` or `ib`, any case.
"""

from pyruntime.errors import UsageError

_DIGITS = "0123456789"
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # the micro sign and the Greek letter are both in use
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}
_MOST = 2**63 - 1
_LONGEST = 64  # characters; int() itself raises ValueError beyond 4300


def duration(text: str) -> float:
    """Seconds. Raises UsageError for anything that is no duration, or beyond 2**63-1 nanoseconds (292 years)."""
    return nanoseconds(text) / 1_000_000_000


def nanoseconds(text: str) -> int:
    """As `duration`, in whole nanoseconds; what is smaller is cut off."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text[1:] if text[:1] == "+" else text)
    if rest == "0":
        return 0
    total = 0
    while True:
        number, rest = _span(rest, True)
        unit, rest = _span(rest, False)
        total += _scaled(number, _unit(number, unit))
        if not rest:
            break
    if total > _MOST:
        raise UsageError("longer than 292 years")
    return sign * total


def size(text: str) -> int:
    """Bytes, or -1 for no limit. Raises UsageError for anything that is no size, or beyond 2**63-1."""
    if text == "-1":
        return -1
    number, unit = _span(text, True)
    unit = unit.strip(" ").lower()
    unit = unit[:-2] if len(unit) == 3 and unit.endswith("ib") else unit.removesuffix("b")
    if not _is_number(number) or unit not in _SHIFTS:
        raise UsageError("expected bytes, a size such as 512k, 64m or 1.5g, or -1 for no limit")
    total = _scaled(number, 1 << _SHIFTS[unit])
    if total > _MOST:
        raise UsageError("more than 9223372036854775807 bytes")
    return total


def _span(text: str, numeric: bool) -> "tuple[str, str]":
    """Split `text` where it stops, or starts, to be a number."""
    end = 0
    while end < len(text) and (text[end] in _DIGITS or text[end] == ".") is numeric:
        end += 1
    return text[:end], text[end:]


def _is_number(text: str) -> bool:
    return text.count(".") <= 1 and text.strip(".") != ""


def _unit(number: str, unit: str) -> int:
    if not _is_number(number):
        raise UsageError("expected a duration such as 100ms, 5s or 1m30s")
    if unit not in _NANOSECONDS:
        found = f'"{unit}" is no unit' if unit else "the unit is missing"
        raise UsageError(f"{found}: expected ns, us, ms, s, m or h, as in 1m30s")
    return _NANOSECONDS[unit]


def _scaled(number: str, unit: int) -> int:
    """The product in whole numbers, since a float would lose the last digits."""
    if len(number) > _LONGEST:
        raise UsageError(f"a number of more than {_LONGEST} characters")
    whole, _, fraction = number.partition(".")
    places: int = 10 ** len(fraction)
    return int(whole + fraction) * unit // places
