"""`--trace`: what it records is what was walked, and a command is no other for being traced."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Bundle, Runtime, new_id

RUNTIME, INIT, KERNEL = 1, 2, 3


def events(file: Path) -> "list[dict[str, Any]]":
    text = file.read_text()
    if file.suffix == ".html":
        text = text.partition("const trace=")[2].partition("</script>")[0]
    return [event for event in json.loads(text) if event["ph"] == "X"]


def steps(found: "list[dict[str, Any]]") -> "list[str]":
    return [event["args"]["kind"] for event in sorted(found, key=lambda e: e["ts"]) if "kind" in event["args"]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "t.json"


def test_every_step_of_the_plan_has_its_time(rt: Runtime, bundle: Bundle, file: Path) -> None:
    assert Runtime(rt.binary, rt.folder, "--trace", str(file)).run(bundle).rc == 0
    explained = json.loads(rt("explain", "--json", bundle.path).out)["steps"]
    found = events(file)
    traced, planned = Counter(steps(found)), Counter(step["step"] for step in explained)
    assert set(traced - planned) == {"AwaitExec"}  # of run
    assert set(planned - traced) == {"MakeBarrier", "WaitForStart"}  # of create, which is what is explained
    lanes = {event["args"]["kind"]: event["tid"] for event in found if "kind" in event["args"]}
    assert (lanes["MakeCgroup"], lanes["ChangeRoot"]) == (RUNTIME, INIT)
    assert {"clone3", "pivot_root", "mount_setattr"} <= {event["name"] for event in found if event["tid"] == KERNEL}
    whole = next(event for event in found if event["args"].get("verb") == "run")
    for event in found:
        assert event["dur"] >= 0
        if "kind" in event["args"]:
            assert whole["ts"] <= event["ts"] <= event["ts"] + event["dur"] <= whole["ts"] + whole["dur"] + 1


def test_a_life_is_one_page(rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path) -> None:
    id, env = new_id(), {"PYRUNTIME_TRACE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    assert rt.create(make("sleep", "100"), id=id, env=env).rc == 0
    try:
        assert rt("start", id, env=env).rc == 0
        assert rt("exec", id, "true", env=env).rc == 0
        assert rt("exec", id, "nothing-of-the-kind", env=env).rc == 255
        assert rt("state", id, env=env).rc == 0
    finally:
        assert rt("delete", "--force", id, env=env).rc == 0
    page = tmp_path / f"{id}.html"
    verbs = [(event["args"]["verb"], event["args"]["note"]) for event in events(page) if "verb" in event["args"]]
    assert [verb for verb, _ in verbs] == ["create", "start", "exec", "exec", "delete"]
    assert verbs[3][1] == "exit status 255"
    text = page.read_text()
    assert not re.search(r"(?:src|href)=|https?:|@import", text)
    failed = [
        event
        for event in events(page)
        if event["args"].get("ended") is False and event["args"]["kind"] not in ("Execve", "WaitForStart")
    ]
    assert [event["args"]["kind"] for event in failed] == ["FindProgram"]


def test_a_text_in_a_config_cannot_leave_the_script(rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path) -> None:
    page = tmp_path / "t.html"
    traced = Runtime(rt.binary, rt.folder, "--trace", str(page))
    assert traced.run(make("echo", "</script><script>alert(1)</script>")).rc == 0
    assert "</script><script>alert" not in page.read_text()
    assert any("</script>" in event["name"] for event in events(page))


@pytest.mark.parametrize("place", ["/nonexistent/t.json", "/proc/t.json"])
def test_a_trace_that_cannot_be_written_changes_nothing(rt: Runtime, bundle: Bundle, place: str) -> None:
    result = Runtime(rt.binary, rt.folder, "--trace", place).run(bundle.sh("echo hello"))
    assert (result.rc, result.out) == (0, "hello\n")
    assert result.err.startswith(f"--trace {place}: ")


def test_a_relative_folder_is_told_and_not_taken(rt: Runtime, bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "rel").mkdir()
    env = {"PYRUNTIME_TRACE_DIR": "rel", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    result = rt.run(bundle, env=env, cwd=tmp_path)
    assert (result.rc, result.err) == (0, "no trace is written: the folder rel is not absolute\n")
    assert list((tmp_path / "rel").iterdir()) == []


def test_a_link_is_not_followed_and_what_is_not_ours_is_replaced(rt: Runtime, bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "t.json").symlink_to(tmp_path / "victim")
    assert "--trace" in Runtime(rt.binary, rt.folder, "--trace", str(tmp_path / "t.json")).run(bundle).err
    assert (tmp_path / "victim").read_text() == "precious"
