"""What engines refuse in the same words."""

import pytest

from pyruntime.engine.refuse import absent


@pytest.mark.parametrize(
    ("functions", "told"),
    [
        ([], "exports no function _start, but none; build it as a command"),
        (["run"], "but run; name one of them, as PATH#NAME"),
        (["\x1b[2J"], "but \\x1b[2J; name one of them"),
        (["x" * 100_000], "xxx…; name one of them"),
    ],
)
def test_a_function_that_is_not_there(functions: "list[str]", told: str) -> None:
    """Names are the module's own, of whatever length and content."""
    text = absent("_start", functions)
    assert told in text
    assert text.isprintable()
    assert len(text) < 1000
