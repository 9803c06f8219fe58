"""Lists of numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.config.ranges import numbers
from pyruntime.errors import ConfigError


def test_a_list_is_numbers_and_rising_ranges() -> None:
    assert numbers("0-3,7", "p", "CPUs", 100) == [0, 1, 2, 3, 7]
    assert numbers(" 5 , 1 - 2 ", "p", "CPUs", 100) == [5, 1, 2]
    assert numbers("", "p", "CPUs", 100) == numbers("  ", "p", "CPUs", 100) == []


@pytest.mark.parametrize("text", ["x", "1,,2", ",", "1-", "-1", "2-1", "1-2-3", "+1", "1.5", "²", "1" * 21])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r'^p: expected a list of CPUs such as "0-3,7", got '):
        numbers(text, "p", "CPUs", 100)


@pytest.mark.parametrize("text", ["101", "0-101", "3,5-9876543210"])
def test_a_huge_number_is_refused_before_it_is_counted_to(text: str) -> None:
    with pytest.raises(ConfigError, match="^p: expected CPUs from 0 to 100, got"):
        numbers(text, "p", "CPUs", 100)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 20)), max_size=8))
def test_what_is_written_is_read(ranges: "list[tuple[int, int]]") -> None:
    text = ",".join(f"{low}-{low + more}" if more else str(low) for low, more in ranges)
    wanted = [number for low, more in ranges for number in range(low, low + more + 1)]
    assert numbers(text, "p", "CPUs", 220) == wanted


@given(st.text(alphabet="0123456789,- ", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert all(0 <= number <= 1000 for number in numbers(text, "p", "CPUs", 1000))
    except ConfigError as error:
        assert error.path == "p"  # noqa: PT017
