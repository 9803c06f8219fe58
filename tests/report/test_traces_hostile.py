"""The file of a trace where others may write, or hold it: nothing of theirs is changed, and nobody waits for them."""

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest

from pyruntime.report import traces

EVENT = [{"name": "x", "ph": "X", "ts": 1.0, "dur": 1.0, "pid": 1, "tid": 1, "args": {}}]


def test_a_second_name_of_another_file_is_left_alone(tmp_path: Path) -> None:
    victim, file = tmp_path / "victim", tmp_path / "box.html"
    victim.write_text("precious")
    os.link(victim, file)
    with pytest.raises(OSError, match="second name"):
        traces.append(str(file), "box", EVENT, None)
    assert victim.read_text() == "precious"


def test_a_symbolic_link_is_left_alone(tmp_path: Path) -> None:
    victim, file = tmp_path / "victim", tmp_path / "box.html"
    victim.write_text("precious")
    file.symlink_to(victim)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        traces.append(str(file), "box", EVENT, None)
    assert victim.read_text() == "precious"


def test_a_pipe_is_no_place_for_a_trace(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "box.html")
    with pytest.raises(OSError, match="no regular file"):
        traces.append(str(tmp_path / "box.html"), "box", EVENT, None)


def test_who_holds_the_lock_holds_up_nobody(tmp_path: Path) -> None:
    file = tmp_path / "box.json"
    traces.append(str(file), "box", EVENT, None)
    before = file.read_text()
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        begin = time.monotonic()
        with pytest.raises(BlockingIOError):
            traces.append(str(file), "box", EVENT, None)
        assert time.monotonic() - begin < 5
    assert file.read_text() == before
