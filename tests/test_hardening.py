"""The page of hardening rules: complete, and every test that it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs/design/hardening.md"
ROW = re.compile(r"^\| (\d+) \| (.*?) \| (.*?) \| (.*?)\| (.*) \|$", re.MULTILINE)
ROWS = {int(row[0]): row for row in ROW.findall(PAGE.read_text(encoding="utf-8"))}
# What was published of runc, crun and youki, and of programs like them.
WEAKNESSES = (
    "2016-9962", "2019-5736", "2019-14271", "2019-16884", "2019-19921", "2021-30465", "2021-43784", "2022-24769",
    "2022-27650", "2022-29162", "2023-25809", "2023-27561", "2024-21626", "2024-45310", "2025-24965", "2025-31133",
    "2025-52565", "2025-52881", "2025-54867", "2026-30892", "2026-41579", "2026-47766",
)  # fmt: skip


@cache
def functions(path: Path) -> "set[str]":
    """The test functions of a file, also those that stand under a condition."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_no_number_is_missing() -> None:
    assert list(ROWS) == list(range(1, 61))


@pytest.mark.parametrize("number", ROWS)
def test_a_rule_has_its_reason_and_its_tests(number: int) -> None:
    _, rule, reason, _, cell = ROWS[number]
    assert rule
    assert reason
    tests = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
    assert tests, "a rule that no test shows is no rule"
    assert " ".join(f"`{file}::{name}`" for file, name in tests) == cell.strip()
    for file, name in tests:
        assert name.startswith("test_")
        assert name in functions(TESTS / file), f"{file} has no {name}"


def test_every_known_weakness_is_answered() -> None:
    answered = {word for row in ROWS.values() for word in re.findall(r"CVE-([\d-]+)", row[3])}
    assert set(WEAKNESSES) <= answered
