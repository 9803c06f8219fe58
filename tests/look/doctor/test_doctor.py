"""`doctor`: verdicts from what lies on a host, on hosts made of folders, and on this one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyruntime.look.doctor import cgroups, needs, security, show
from pyruntime.look.doctor.verdict import FAIL, Verdict, fail, ok, unknown, warn
from pyruntime.report.paint import Paint
from tests.plan.made import document

NOBODY = 65534


def levels(found: "Any") -> "list[str]":
    return [verdict.level for verdict in found]


def test_every_purpose_is_examined_here(launcher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(launcher)])
    for purpose in needs.PURPOSES:
        found = needs.examine(purpose, "/")
        assert len(found) > 8
        assert all(verdict.fix for verdict in found if verdict.level == FAIL)
    assert levels(cgroups.mode())
    assert levels(security.seccomp())


@pytest.mark.parametrize(
    ("verdicts", "status", "last"),
    [
        ([ok("a"), warn("b")], 0, "every need is met"),
        ([ok("a"), fail("b", "c")], 1, "1 of 2 needs unmet"),
        ([unknown("a"), ok("b")], 2, "1 of 2 could not be looked at"),
        ([unknown("a"), fail("b", "c")], 1, "1 of 2 needs unmet"),
    ],
)
def test_the_exit_status(verdicts: "list[Verdict]", status: int, last: str) -> None:
    assert needs.status(verdicts) == status
    assert show.text(verdicts, "", Paint(-1)).splitlines()[-1] == last
    assert show.document(verdicts, "")["status"] == status


def run(launcher: Path, *words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = ["/usr/bin/python3", "-IBSXutf8", str(launcher), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


def test_the_verb(launcher: Path) -> None:
    told = run(launcher, "doctor", "--json", "--for", "wasm")
    found = json.loads(told.stdout)
    assert (told.returncode, found["for"]) == (found["status"], "wasm")
    assert {entry["verdict"] for entry in found["verdicts"]} <= {"ok", "warning", "failed", "unknown"}
    wrong = run(launcher, "doctor", "--for", "windows")
    assert wrong.returncode == 1
    assert "expected one of containerd, crio, docker" in wrong.stderr


def test_a_bundle_that_is_not_there_is_a_need(launcher: Path, tmp_path: Path) -> None:
    assert f"FAIL  {tmp_path}/none: No such file" in run(launcher, "doctor", "-b", f"{tmp_path}/none").stdout
    (tmp_path / "config.json").write_text(json.dumps(document()))
    told = " ".join(run(launcher, "doctor", "-b", str(tmp_path)).stdout.split())  # lines are as wide as a screen
    assert f"{tmp_path}: programs can be executed" in told
