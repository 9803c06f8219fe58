"""Durations as Go reads them, sizes with binary units."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.cli.durations import duration, nanoseconds, size
from pyruntime.errors import UsageError

UNITS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("-0", 0.0),
        ("5s", 5.0),
        ("100ms", 0.1),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("5.s", 5.0),
        ("-1.5s", -1.5),
        ("+2s", 2.0),
        ("1us", 1e-6),
        ("1\u00b5s", 1e-6),
        ("1\u03bcs", 1e-6),
        ("1ns", 1e-9),
        ("1s1s", 2.0),
        ("0.3ns", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "-", "s", "5", "1.5", "5 s", " 5s", "1d", "1..5s", ".s", ".", "1e3s", "--1s", "\u0665s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError):
        duration(text)


@pytest.mark.parametrize("read", [duration, size])
def test_a_number_without_end_is_refused(read: "Callable[[str], float]") -> None:
    for text in ("9" * 5000 + "m", "." + "1" * 5000 + "m"):
        with pytest.raises(UsageError, match="a number of more than 64 characters"):
            read(text)


def test_the_longest_duration() -> None:
    assert nanoseconds("9223372036854775807ns") == 2**63 - 1
    with pytest.raises(UsageError, match="292 years"):
        nanoseconds("9223372036854775808ns")


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"^the unit is missing: expected ns"):
        duration("5")
    with pytest.raises(UsageError, match=r'^"d" is no unit'):
        duration("1d")


@given(st.integers(0, 2**63 - 1))
def test_a_duration_split_into_units_is_read_whole(total: int) -> None:
    rest, text = total, ""
    for unit, length in UNITS.items():
        count, rest = divmod(rest, length)
        text += f"{count}{unit}"
    assert nanoseconds(text) == total
    assert nanoseconds(f"-{text}") == -total


@given(st.integers(0, 9_000_000_000), st.integers(0, 999_999_999))
def test_fractions_are_exact(whole: int, fraction: int) -> None:
    assert nanoseconds(f"{whole}.{fraction:09d}s") == whole * 10**9 + fraction


@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        found = duration(text)
    except UsageError:
        return
    assert abs(found) < 2**64 / 10**9


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("-1", -1),
        ("0", 0),
        ("67108864", 67108864),
        ("64m", 64 << 20),
        ("64M", 64 << 20),
        ("64MB", 64 << 20),
        ("64MiB", 64 << 20),
        ("512k", 512 << 10),
        ("1g", 1 << 30),
        ("2t", 2 << 40),
        ("1p", 1 << 50),
        ("1.5g", 3 << 29),
        ("100b", 100),
        ("64 m", 64 << 20),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "-2",
        "-1m",
        "64x",
        "64mm",
        "64ib",
        "64bb",
        "1..5g",
        ".",
        "0x10",
        "1e3",
        "9223372036854775808",
        "8192p",
        "\u0661",
    ],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError):
        size(text)


@given(st.integers(0, 2**63 - 1), st.sampled_from(["", "b", "B"]))
def test_plain_bytes(count: int, unit: str) -> None:
    assert size(f"{count}{unit}") == count


@given(st.integers(0, 8191), st.sampled_from("kmgtp"), st.sampled_from(["", "b", "ib"]), st.booleans())
def test_units_are_binary(count: int, unit: str, more: str, upper: bool) -> None:
    text = f"{count}{unit}{more}"
    assert size(text.upper() if upper else text) == count << 10 * ("kmgtp".index(unit) + 1)


@given(st.text())
def test_any_text_is_a_size_or_refused(text: str) -> None:
    try:
        found = size(text)
    except UsageError:
        return
    assert -1 <= found < 2**63
