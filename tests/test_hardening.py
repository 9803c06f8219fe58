"""docs/design/hardening.md: every rule has a test, and the test is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| (\d+) \| [^|]+ \| [^|]*\| `([^`:]+)(?:::(\w+))?` \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs/design/hardening.md").read_text(encoding="utf-8"))


def test_the_rules_are_numbered_without_a_gap() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 61))


@pytest.mark.parametrize(("number", "file", "name"), ROWS)
def test_a_rule_names_a_test_that_is_there(number: str, file: str, name: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert "def test_" in text
    assert not name or f"def {name}(" in text
