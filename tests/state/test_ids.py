"""Ids are checked before a path is built from them."""

import pytest

from pyruntime.errors import UsageError
from pyruntime.state.ids import check_id

GOOD = ["a", "A-Z_09+x.y", "x" * 255, "..x", "+", "-x"]
BAD = [".", "..", "a/b", "/", "../x", "a b", "a\n", "a\0", "\u00e4", "\udcff", "*", "x" * 256, "x" * 1025]


@pytest.mark.parametrize("name", GOOD)
def test_good(name: str) -> None:
    assert check_id(name) == name


@pytest.mark.parametrize("name", BAD)
def test_bad(name: str) -> None:
    with pytest.raises(UsageError, match="^invalid container ID format: ") as caught:
        check_id(name)
    assert caught.value.text.isprintable()
    assert len(caught.value.text) < 300


def test_empty() -> None:
    with pytest.raises(UsageError, match="^container id cannot be empty$"):
        check_id("")
