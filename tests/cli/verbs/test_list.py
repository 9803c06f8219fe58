"""`list`."""

import json
from pathlib import Path

import pytest

from pyruntime.cli.context import Context
from pyruntime.cli.grammar import parse
from pyruntime.errors import Error
from pyruntime.report.log import Log
from tests.cli.verbs.box import Box


def test_a_missing_default_root_is_an_empty_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Context, "root", str(tmp_path / "nowhere"))
    assert Context(parse(["pyruntime", "list"]), Log()).ids() == []
    with pytest.raises(Error, match="nowhere"):
        Context(parse(["pyruntime", "--root", "/nowhere", "list"]), Log()).ids()


def test_a_missing_root_that_was_named_is_an_error(box: Box) -> None:
    assert str(box.root) in box.error("list")


def test_an_empty_root(box: Box) -> None:
    box.root.mkdir()
    assert box.ok("list").split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert box.ok("list", "--format", "json") == "[]\n"
    assert box.ok("list", "-q") == ""
    assert "invalid format option" in box.error("list", "-f", "xml")


@pytest.mark.root
def test_containers_are_shown_and_broken_ones_named(host: Box) -> None:
    first, second = sorted((host.create(), host.running()))
    (host.root / "broken").mkdir()
    (host.root / "a-file").write_text("no container")
    done = host("list", "--format", "json")
    shown = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert [(each["id"], each["status"], each["owner"]) for each in shown] == [
        (first, "created", "root"),
        (second, "running", "root"),
    ]
    assert shown[0] == {**host.state(first), "owner": "root"}
    assert done.returncode == 0
    assert done.stderr.startswith("load container broken: ")
    assert done.stderr.count("\n") == 1
    assert host("list", "-q").stdout.split() == [first, second]
    lines = host("list").stdout.splitlines()
    assert lines[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert lines[2].split()[:4] == [second, str(shown[1]["pid"]), "running", str(host.bundle)]
