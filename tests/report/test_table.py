"""Columns for people."""

import pytest

from pyruntime.report.table import columns


def test_columns_are_at_least_twelve_wide_with_three_between() -> None:
    rows = [
        ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"),
        ("box1", "42", "running", "/srv/a/long/bundle/path", "2023-11-14T22:13:20.12Z", "root"),
    ]
    assert columns(rows) == (
        "ID          PID         STATUS      BUNDLE                    CREATED                   OWNER\n"
        "box1        42          running     /srv/a/long/bundle/path   2023-11-14T22:13:20.12Z   root\n"
    )


def test_the_gap_counts_from_the_widest_cell() -> None:
    assert columns([("123456789", "x")]) == "123456789   x\n"
    assert columns([("1234567890", "x")]) == "1234567890   x\n"
    assert columns([("a", "x"), ("bbb", "y")], min_width=0, padding=1) == "a   x\nbbb y\n"


def test_nothing_gives_nothing() -> None:
    assert columns([]) == ""


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert columns([("a\x1b[2J", "b\n")]) == "a\\x1b[2J    b\\n\n"


def test_ragged_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        columns([("a", "b"), ("c",)])
