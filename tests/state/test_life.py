"""Whether a container lives is asked of the kernel: an unproven pid is nobody's."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyruntime.kernel.procfs import boot_id, start_time
from pyruntime.state import claim, life, processes, store
from pyruntime.state.store import FIFO, Container


@pytest.fixture
def sleeper() -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


@pytest.fixture
def container(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> Container:
    """A container whose init only sleeps."""
    made = store.reserve(str(tmp_path / "root"), "x")
    made.data.update(cgroup_paths={}, config={"rootfs": "/r"}, created="2020-01-01T00:00:00Z")
    made.data.update(init_process_pid=sleeper.pid, init_process_start=start_time(sleeper.pid))
    made.own.update(bootId=boot_id(), stage="running", bundle="/b")
    made.save()
    return made


def test_running(container: Container, sleeper: "subprocess.Popen[bytes]") -> None:
    assert life.init_pid(container) == sleeper.pid
    assert life.status(container) == "running"
    assert claim.read(container.dir_fd) == (sleeper.pid, "")
    shown = life.view(container)
    assert list(shown) == ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"]
    assert (shown["pid"], shown["bundle"], shown["rootfs"]) == (sleeper.pid, "/b", "/r")
    container.own["annotations"] = {"a": "b"}
    assert life.view(container)["annotations"] == {"a": "b"}


def test_created_while_the_barrier_stands(container: Container) -> None:
    os.mkfifo(f"{container.path}/{FIFO}")
    assert life.status(container) == "created"


@pytest.mark.parametrize("wrong", ["start", "boot", "pid", "zombie", "no pid"])
def test_a_mismatch_means_stopped(container: Container, sleeper: "subprocess.Popen[bytes]", wrong: str) -> None:
    if wrong == "start":
        container.data["init_process_start"] += 1
    elif wrong == "boot":
        container.own["bootId"] = "another"
    elif wrong == "pid":
        container.data["init_process_pid"] = os.getpid()
    elif wrong == "no pid":
        container.data["init_process_pid"] = 0
    else:
        sleeper.kill()
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert life.status(container) == "stopped"
    assert life.view(container)["pid"] == 0
    assert life.open_init(container) is None


def test_a_signal_through_the_pidfd(container: Container, sleeper: "subprocess.Popen[bytes]") -> None:
    pidfd = life.open_init(container)
    assert pidfd is not None
    assert life.signal(pidfd, signal.SIGTERM)
    assert sleeper.wait(10) == -signal.SIGTERM
    assert not life.signal(pidfd, signal.SIGTERM)


def test_creating_is_who_holds_the_lock(container: Container) -> None:
    container.own["stage"] = "creating"
    container.save()
    other = store.load(container.root, "x")
    assert life.status(other) == "creating"
    container.close()
    assert life.status(other) == "stopped"


def test_frozen(tmp_path: Path) -> None:
    (tmp_path / "cgroup.freeze").write_text("1\n")
    assert life.is_frozen(str(tmp_path))
    (tmp_path / "cgroup.freeze").write_text("0\n")
    assert not life.is_frozen(str(tmp_path))
    assert not life.is_frozen(str(tmp_path / "nowhere"))
    assert not life.is_frozen("")


def test_a_claim_stays_as_it_was_first(container: Container, sleeper: "subprocess.Popen[bytes]") -> None:
    container.data["init_process_pid"] = os.getpid()
    container.save()
    assert claim.read(container.dir_fd) == (sleeper.pid, "")
    sleeper.kill()
    sleeper.wait()
    assert claim.read(container.dir_fd) == (0, "")


def test_a_claim_knows_its_cgroup_by_inode(tmp_path: Path, container: Container) -> None:
    cgroup = tmp_path / "cgroup"
    cgroup.mkdir()
    os.unlink(f"{container.path}/claim")
    container.data["cgroup_paths"] = {"": str(cgroup)}
    container.save()
    assert claim.read(container.dir_fd)[1] == str(cgroup)
    cgroup.rename(tmp_path / "kept")  # so that its inode is not given out again at once
    cgroup.mkdir()
    assert claim.read(container.dir_fd)[1] == ""


def test_descendants() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = processes.descendants(child.pid)
        assert child.pid in found
        assert len(found) == 2
        for pid in found:
            os.kill(pid, signal.SIGKILL)
    assert processes.descendants(child.pid) == []


def test_holders(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with path.open() as file, subprocess.Popen(["sleep", "60"], stdin=file) as child:
        assert processes.holders(os.stat(path)) == [child.pid]
        child.kill()
    assert processes.holders(os.stat(path)) == []
