"""Trace files: lists that are added to, whoever wrote them last."""

import json
from pathlib import Path

from pyruntime.cli.tracing import folder_of
from pyruntime.look.trace import page
from pyruntime.report import traces

EVENT: "dict[str, object]" = {"name": "a </script> b", "ph": "X", "ts": 1.5, "dur": 2, "pid": 1, "tid": 1, "args": {}}


def test_a_list_grows(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    for count in range(1, 4):
        traces.append(str(file), "box", [EVENT], None)
        found = json.loads(file.read_text())
        assert [event["ph"] for event in found] == ["M"] * 4 + ["X"] * count
        assert found[-1] == EVENT


def test_a_page_grows_and_its_script_stays_one(tmp_path: Path) -> None:
    file = tmp_path / "t.html"
    for count in range(1, 4):
        traces.append(str(file), "<box>", [EVENT], page)
        text = file.read_text()
        assert text.count('"ph":"X"') == count
        assert text.count("<script>") == text.count("</script>") == 2
        assert "<title>&lt;box&gt;" in text


def test_what_is_not_ours_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_text("something else\n")
    traces.append(str(file), "box", [EVENT], None)
    assert len(json.loads(file.read_text())) == 5


def test_the_configuration_names_a_folder() -> None:
    assert folder_of("# trace-dir = /no\n\ntrace-dir = /var/log/py # here\n") == "/var/log/py"
    assert folder_of("trace-dir=\nother = 1\n") is None
