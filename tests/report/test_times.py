"""Points in time, as Go's RFC3339Nano writes them."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.report.times import rfc3339


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z"),
        (1_700_000_000_000_000_000, "2023-11-14T22:13:20Z"),
        (1_709_164_800_999_999_999, "2024-02-29T00:00:00.999999999Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_times(at: int, text: str) -> None:
    assert rfc3339(at) == text


@given(st.integers(0, 253_402_300_799 * 10**9))
def test_the_standard_library_reads_the_same_time(at: int) -> None:
    seconds, nanoseconds = divmod(at, 10**9)
    date, _, fraction = rfc3339(at).removesuffix("Z").partition(".")
    read = datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.timezone.utc)
    assert (read - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)).total_seconds() == seconds
    assert int(fraction.ljust(9, "0")) == nanoseconds
    assert not fraction.endswith("0")
