"""spec/config.tsv against the code: complete, and naming only what is there."""

import re
from collections import Counter
from pathlib import Path

import pytest

from pyruntime.cgroup.values import ignored
from pyruntime.config.resources import Resources
from pyruntime.look.why import TABLE
from tests.plan.made import names, plan, request
from tests.plan.test_order import VARIANTS
from tests.spec.fields import config_paths

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "spec"
COLUMNS = ["path", "status", "steps", "test", "note"]


def rows() -> "list[dict[str, str]]":
    lines = (SPEC / "config.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].split("\t") == COLUMNS
    return [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines[1:]]


ROWS = rows()
IDS = [row["path"] for row in ROWS]


def test_every_path_of_the_records_has_its_row_and_no_other() -> None:
    assert Counter(IDS) == Counter(config_paths())
    assert {"process.args", "mounts[].options", "linux.resources.rdma{}.hcaHandles"} <= set(IDS)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_row_names_what_there_is(row: "dict[str, str]") -> None:
    assert row["status"] in ("done", "refused", "ignored")
    assert set(row["steps"].split()) <= set(TABLE)
    assert (ROOT / row["test"]).is_file()
    if row["status"] == "done":
        above = [other for other in ROWS if re.match(re.escape(other["path"]) + r"([.\[{]|$)", row["path"])]
        assert row["steps"] or any(other["note"] for other in above[1:] or above), "done by nobody"
    else:
        assert not row["steps"], "a step does what the table says is not done"


def test_nothing_is_refused_as_a_whole() -> None:
    assert [row["path"] for row in ROWS if row["status"] == "refused"] == []


def test_what_is_ignored_has_a_reason() -> None:
    reasons = {row["path"]: row["note"] for row in ROWS if row["status"] == "ignored"}
    parents = {path for path, note in reasons.items() if note}
    assert parents
    for path in reasons:
        assert any(path == parent or path.startswith((f"{parent}.", f"{parent}[")) for parent in parents), path


def test_ignored_limits_are_told_to_the_user() -> None:
    given = {
        "memory": {"kernel": 1, "kernelTCP": 1, "swappiness": 1, "disableOOMKiller": True},
        "cpu": {"realtimeRuntime": 1, "realtimePeriod": 1},
        "blockIO": {"leafWeight": 10},
        "network": {"classID": 1, "priorities": [{"name": "eth0", "priority": 1}]},
    }
    told = {path for path, _ in ignored(Resources.read(given, "linux.resources"))}
    status = {row["path"]: row["status"] for row in ROWS}
    assert len(told) == 9
    assert {status[path] for path in told} == {"ignored"}


def test_the_steps_of_the_table_are_planned() -> None:
    """But for those of other commands and of Wasm, every step that a row names is in a plan of the order's test."""
    planned = {name for config, asked in VARIANTS.values() for name in names(plan(config, asked=request(**asked)))}
    named = {step for row in ROWS for step in row["steps"].split()}
    assert named - planned == {"LoadModule", "EnterModule", "SetAffinity"}


@pytest.mark.parametrize("file", ["lifecycle.md", "README.md"])
def test_the_texts_name_files_that_are_there(file: str) -> None:
    text = (SPEC / file).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:tests|pyruntime|spec)/[\w/.]+\.\w+)", text))
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
    for name, test in re.findall(r"`(tests/[\w/.]+\.py)::(\w+)`", text):
        assert f"def {test}(" in (ROOT / name).read_text(encoding="utf-8"), f"{name}::{test}"


def test_the_texts_name_steps_that_are_there() -> None:
    text = (SPEC / "lifecycle.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", text))
    assert "Reserve" in named
    assert named <= set(TABLE)
