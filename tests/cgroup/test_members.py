"""Who is in a cgroup, killing them and removing it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyruntime.cgroup import kill, members
from pyruntime.cgroup.files import EOPNOTSUPP, CgroupError, write
from pyruntime.cgroup.freezer import freeze, frozen, populated, thaw, wait_for

Sleeper = Callable[[str], int]


def nested(top: Path, depth: int, **files: str) -> None:
    """Directories in each other, deeper than a path name may be long."""
    fd = os.open(top, os.O_RDONLY)
    for level in range(depth):
        os.mkdir("x" * 100, dir_fd=fd)
        inner = os.open("x" * 100, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
        if files:
            procs = os.open("cgroup.procs", os.O_WRONLY | os.O_CREAT, dir_fd=fd)
            os.write(procs, f"{level + 1}\n".encode())
            os.close(procs)
    os.close(fd)


def test_processes(tmp_path: Path) -> None:
    for name, text in (("", "1\n0\n2\n"), ("b", "3\n"), ("b/c", "4\n"), ("d", "")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "cgroup.procs").write_text(text)
    assert members.processes(str(tmp_path), recursive=False) == [1, 2]
    assert sorted(members.processes(str(tmp_path))) == [1, 2, 3, 4]
    assert members.processes(f"{tmp_path}/gone") == []


def test_below_goes_deepest_first(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/d", "e"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path)
    names = [name for _, name in members.below(str(tmp_path))]
    assert sorted(names) == ["a", "b", "c", "d", "e"]
    assert names.index("c") < names.index("b") < names.index("a") > names.index("d")


def test_deeper_than_a_path_name(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    nested(top, 60)
    assert len(list(members.below(str(top)))) == 60
    before = len(os.listdir("/proc/self/fd"))
    members.remove(str(top))
    assert not top.exists()
    assert len(os.listdir("/proc/self/fd")) == before


def test_remove_tells_who_is_left(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("7\n8\n")
    with pytest.raises(CgroupError, match=r"device or resource busy: processes still in it: 7 8$"):
        members.remove(str(tmp_path), seconds=0.01)


def test_what_is_gone_is_fine(tmp_path: Path) -> None:
    gone = f"{tmp_path}/gone"
    members.remove(gone)
    kill.kill(gone)
    kill.kill(gone + "/below")
    assert list(members.below(gone)) == []


@pytest.mark.root
def test_real_remove_nested(cgroup: str) -> None:
    for name in ("a", "a/b", "a/b/c", "d"):
        os.mkdir(f"{cgroup}/{name}")
    members.remove(f"{cgroup}/a")
    assert os.path.exists(f"{cgroup}/d")
    members.remove(cgroup)
    assert not os.path.exists(cgroup)


@pytest.mark.root
def test_real_deep_nesting(cgroup: str) -> None:
    nested(Path(cgroup), 45)
    assert members.processes(cgroup) == []
    members.remove(cgroup)
    assert not os.path.exists(cgroup)


@pytest.mark.root
@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("pause", [False, True])
def test_real_kill_nested(
    cgroup: str, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch, by_hand: bool, pause: bool
) -> None:
    os.mkdir(f"{cgroup}/a")
    os.mkdir(f"{cgroup}/a/b")
    pids = [sleeper(cgroup), sleeper(f"{cgroup}/a"), sleeper(f"{cgroup}/a/b")]
    assert sorted(members.processes(cgroup)) == sorted(pids)
    if pause:
        freeze(f"{cgroup}/a")
        freeze(cgroup)
    if by_hand:
        without_cgroup_kill(monkeypatch)
    kill.kill(cgroup)
    assert wait_for(cgroup, "populated", 0, 5)
    assert not populated(cgroup)
    members.remove(cgroup)
    assert not os.path.exists(cgroup)


def without_cgroup_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel before 5.14."""

    def refuse(directory: str, name: str, value: str) -> None:
        if name == "cgroup.kill":
            raise OSError(EOPNOTSUPP, "no")
        write(directory, name, value)

    monkeypatch.setattr(kill, "write", refuse)


@pytest.mark.root
def test_real_kill_of_what_forks_on(cgroup: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_cgroup_kill(monkeypatch)
    script = f"echo $$ > {cgroup}/cgroup.procs; for i in 1 2 3 4 5 6; do (while :; do sleep 0.01; done) & done; wait"
    child = subprocess.Popen(["sh", "-c", script])
    assert wait_for(cgroup, "populated", 1, 5)
    time.sleep(0.1)
    kill.kill(cgroup)
    child.wait()
    assert wait_for(cgroup, "populated", 0, 5)
    assert not frozen(cgroup)


@pytest.mark.root
def test_real_signal_keeps_a_pause(cgroup: str, sleeper: Sleeper) -> None:
    pid = sleeper(cgroup)
    freeze(cgroup)
    kill.signal_all(cgroup, signal.SIGWINCH)
    assert frozen(cgroup)
    assert members.processes(cgroup) == [pid]
    thaw(cgroup)
    kill.signal_all(cgroup, signal.SIGTERM)
    assert wait_for(cgroup, "populated", 0, 5)
    assert not frozen(cgroup)


@pytest.mark.root
def test_real_remove_waits_for_the_dying(cgroup: str, sleeper: Sleeper) -> None:
    sleeper(cgroup)
    with pytest.raises(CgroupError, match="still in it"):
        members.remove(cgroup, seconds=0.05)
    kill.kill(cgroup)
    members.remove(cgroup)
    assert not os.path.exists(cgroup)


@pytest.mark.root
def test_real_threaded_members(cgroup: str, sleeper: Sleeper) -> None:
    os.mkdir(f"{cgroup}/threads")
    pid = sleeper(cgroup)
    Path(cgroup, "threads/cgroup.type").write_text("threaded")
    Path(cgroup, "threads/cgroup.threads").write_text(str(pid))
    assert members.processes(f"{cgroup}/threads") == [pid]
    kill.kill(f"{cgroup}/threads")
    assert wait_for(cgroup, "populated", 0, 5)
