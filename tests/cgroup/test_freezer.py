"""Freezing, and reading what cgroup.events says."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyruntime.cgroup import freezer
from pyruntime.cgroup.files import CgroupError

Plain = Callable[..., str]
Sleeper = Callable[[str], int]


def test_reading(plain: Plain) -> None:
    place = plain(cgroup__events="populated 1\nfrozen 0\n", cgroup__freeze="1\n", memory__events="low 0\noom_kill 3\n")
    assert freezer.frozen(place)
    assert freezer.populated(place)
    assert freezer.events(place) == {"populated": 1, "frozen": 0}
    assert freezer.oom_kills(place) == 3


def test_what_is_gone_is_nothing(tmp_path: Path) -> None:
    gone = f"{tmp_path}/gone"
    assert not freezer.frozen(gone)
    assert not freezer.populated(gone)
    assert freezer.oom_kills(gone) == 0
    assert freezer.wait_for(gone, "populated", 0, 0)
    freezer.thaw(gone)
    with pytest.raises(CgroupError, match=r"^cannot freeze the cgroup .*/gone: "):
        freezer.freeze(gone)


def test_what_does_not_freeze_is_thawed(plain: Plain) -> None:
    place = plain(cgroup__events="populated 1\nfrozen 0\n", cgroup__freeze="0\n")
    start = time.monotonic()
    with pytest.raises(CgroupError, match=r"did not stop within 0\.05 s .*thawed again"):
        freezer.freeze(place, seconds=0.05)
    assert time.monotonic() - start < 5
    assert Path(place, "cgroup.freeze").read_text() == "0"


def test_interrupted_is_thawed(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    place = plain(cgroup__events="populated 1\nfrozen 0\n", cgroup__freeze="0\n")

    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(freezer, "wait_for", interrupt)
    with pytest.raises(KeyboardInterrupt):
        freezer.freeze(place)
    assert Path(place, "cgroup.freeze").read_text() == "0"


@pytest.mark.root
def test_real(cgroup: str, sleeper: Sleeper) -> None:
    pid = sleeper(cgroup)
    assert not freezer.frozen(cgroup)
    assert freezer.populated(cgroup)
    freezer.freeze(cgroup)
    assert freezer.frozen(cgroup)
    assert freezer.events(cgroup)["frozen"] == 1
    assert Path(f"/proc/{pid}/stat").read_text().split()[2] == "S"
    freezer.thaw(cgroup)
    assert freezer.wait_for(cgroup, "frozen", 0, 5)
    assert not freezer.frozen(cgroup)


@pytest.mark.root
def test_real_wait_wakes_up(cgroup: str, sleeper: Sleeper) -> None:
    pid = sleeper(cgroup)
    threading.Timer(0.1, os.kill, (pid, 9)).start()
    start = time.monotonic()
    assert freezer.wait_for(cgroup, "populated", 0, 20)
    assert time.monotonic() - start < 10
    assert not freezer.wait_for(cgroup, "populated", 1, 0.01)
