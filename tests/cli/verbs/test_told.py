"""Whatever goes wrong, the file of `--log` has one line, and it is the one on stderr."""

import json
import subprocess
from pathlib import Path

import pytest

from pyruntime.cli import main as cli
from tests.cli.verbs.box import Box


def test_a_missing_descriptor(box: Box) -> None:
    assert "--preserve-fds 1: descriptor 3 is not open" in box.error("create", "--preserve-fds", "1", "x")
    assert "expected a number of descriptors" in box.error("create", "--preserve-fds=-1", "x")


def test_a_mistake_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(name: str) -> object:
        raise TypeError("two\nlines")

    monkeypatch.setattr(cli, "_verb", broken)
    log = tmp_path / "log.json"
    status = cli.main(["pyruntime", "--log", str(log), "--log-format", "json", "state", "x"])
    [line] = log.read_text().splitlines()
    text = json.loads(line)["msg"]
    assert status == 1
    assert text.startswith("internal error: TypeError: two lines (verbs/test_told.py:")
    assert capfd.readouterr() == ("", text + "\n")


def test_a_missing_socket_of_the_service_manager(box: Box) -> None:
    log = box.folder / "log.json"
    words = [str(box.launcher), "--log", str(log), "--log-format", "json", "create", "x"]
    script = 'exec 3<&- 4<&-; LISTEN_FDS=2 LISTEN_PID=$$ exec "$@"'
    done = subprocess.run(["sh", "-c", script, "sh", *words], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "LISTEN_FDS=2: descriptor 3 is not open\n")
    assert [json.loads(line)["msg"] for line in log.read_text().splitlines()] == [done.stderr.rstrip("\n")]
