"""Log lines: where they go, how they look, and how few they are."""

import datetime
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.errors import Error
from pyruntime.report import log
from pyruntime.report.log import Log


def lines(path: Path) -> "list[dict[str, object]]":
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_error_is_one_json_line_and_one_plain_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log.json"
    Log(str(file), "json").error("process.args: it\nbroke", code="X1", number=3)
    [line] = lines(file)
    when = str(line.pop("time"))
    assert line == {"level": "error", "msg": "process.args: it\\nbroke", "code": "X1", "number": 3}
    assert when.endswith("Z")
    assert datetime.datetime.fromisoformat(when[:19]).year >= 2024
    assert capfd.readouterr() == ("", "process.args: it\\nbroke\n")


def test_without_a_file_lines_go_to_stderr_once(capfd: pytest.CaptureFixture[str]) -> None:
    Log().error('say "no"', hint="a b")
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith('time="20')
    assert err.endswith('Z" level=error msg="say \\"no\\"" hint="a b"\n')
    assert err.count("\n") == 1


def test_json_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    Log(None, "json").error("no")
    assert json.loads(capfd.readouterr().err)["msg"] == "no"


def test_a_failing_command_leaves_one_line_though_it_warned(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log"
    journal = Log(str(file), "json")
    journal.warning("odd")
    journal.info("ready")
    journal.debug("detail")
    journal.error("no")
    journal.settle()
    assert [line["msg"] for line in lines(file)] == ["no"]
    assert capfd.readouterr().err == "no\n"


def test_warnings_are_written_when_all_went_well(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log"
    journal = Log(str(file), "json")
    journal.warning("odd", code="W")
    assert file.read_text() == ""
    journal.settle()
    journal.settle()
    assert [(line["level"], line["msg"], line["code"]) for line in lines(file)] == [("warning", "odd", "W")]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "error"]),
        ("warning", ["error"]),
        ("error", ["error"]),
    ],
)
def test_levels(level: str, written: "list[str]", tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log"
    journal = Log(str(file), "json", level)
    journal.debug("a")
    journal.info("b")
    journal.warning("c")
    journal.error("d")
    journal.settle()
    assert [line["level"] for line in lines(file)] == written
    assert capfd.readouterr().err == "d\n"


def test_at_level_error_warnings_are_never_written(tmp_path: Path) -> None:
    file = tmp_path / "log"
    journal = Log(str(file), level="error")
    journal.warning("odd")
    journal.settle()
    assert file.read_text() == ""


def test_debug_text_names_its_function(tmp_path: Path) -> None:
    file = tmp_path / "log"
    journal = Log(str(file), "text", "debug")
    journal.debug("here")
    line = file.read_text()
    assert 'level=debug msg="here" func="test_debug_text_names_its_function" file="' in line
    assert "test_log.py:" in line


def test_lines_are_appended(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log"
    file.write_text("{}\n")
    first, second = Log(str(file), "json"), Log(f"file:{file}", "json")
    first.error("a")
    second.error("b")
    first.error("c")
    assert [line.get("msg") for line in lines(file)] == [None, "a", "b", "c"]
    assert capfd.readouterr().err == "a\nb\nc\n"


def test_the_file_is_made_at_once_and_not_inherited(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        journal = Log(str(tmp_path / "log"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o644
    assert not os.get_inheritable(journal._file)


@pytest.mark.parametrize("target", ["{}/none/log", "{}", "file:{}/none/log", "{}/a\0b"])
def test_a_log_that_cannot_be_opened_is_an_error(target: str, tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"^--log: cannot open the log file: ") as caught:
        Log(target.format(tmp_path))
    assert caught.value.code == 1
    assert caught.value.text.isprintable()


@pytest.mark.parametrize(
    ("form", "level", "text"), [("xml", "error", "invalid log-format: xml"), ("text", "all", "invalid log-level: all")]
)
def test_words_that_are_wrong(form: str, level: str, text: str) -> None:
    with pytest.raises(Error, match=f"^{text}: expected "):
        Log(None, form, level)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_does_not_hide_the_error(capfd: pytest.CaptureFixture[str]) -> None:
    Log("/dev/full", "json").error("no")
    assert capfd.readouterr().err == "no\n"


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_the_log_never_takes_the_place_of_a_closed_stdio(closed: int, tmp_path: Path) -> None:
    root = Path(log.__file__).parents[2]
    program = f"""
import sys, posix
sys.path.insert(0, {str(root)!r})
from pyruntime.report.log import Log
Log(sys.argv[1], "json").error("no")
try:
    posix.write({closed}, b"stray")
except OSError:
    pass
"""
    command = f'exec "$0" -c "$1" "$2" {closed}>&-'
    subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, program, str(tmp_path / "log")], check=True, capture_output=True
    )
    assert [line["msg"] for line in lines(tmp_path / "log")] == ["no"]


@given(st.binary())
def test_any_text_is_one_printable_line_in_both_formats(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    read, write = os.pipe()
    try:
        for form in log.FORMATS:
            journal = Log(f"/proc/self/fd/{write}", form, "info")
            journal.info(text, more=text)
            os.close(journal._file)
            line = os.read(read, 1 << 16).decode()
            assert line[-1] == "\n"
            assert line[:-1].isprintable()
            assert form == "text" or set(json.loads(line)) == {"level", "msg", "time", "more"}
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize(
    ("form", "level", "bare"),
    [("text", "warning", True), ("text", "error", True), ("text", "info", False), ("json", "error", False)],
)
def test_whether_only_errors_were_asked_for(form: str, level: str, bare: bool, tmp_path: Path) -> None:
    assert Log(None, form, level).bare is bare
    assert not Log(str(tmp_path / "log"), form, level).bare
