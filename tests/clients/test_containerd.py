"""The containerd shim, through go-runc."""

import json
import os
import signal
import struct
import termios
from collections.abc import Callable, Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.clients.callers import ConsoleSocket, Streams, bare_int, own_cgroup, parent_of, read_terminal, wait_exit
from tests.clients.shim import Failed, Finished, Missing, Shim
from tests.system.harness import Bundle, wait_until
from tests.system.leaks import cgroup2_mount


@pytest.fixture
def shim(caller: "Callable[..., Shim]") -> Shim:
    return caller(Shim)


@pytest.fixture
def sleeper(shim: Shim) -> "Iterator[Shim]":
    """A shim whose task runs `sleep`."""
    shim.bundle.process["args"] = ["sleep", "60"]
    shim.bundle.write()
    pid = shim.create()
    shim.ask("start", shim.id)
    yield shim
    if shim.root.exists() and shim.id in os.listdir(shim.root):
        shim.delete("--force")
        wait_exit(pid)


def test_a_task_lives_and_ends(shim: Shim) -> None:
    shim.bundle.sh("read word; echo got $word; echo oops >&2; exit 7").write()
    streams = Streams()
    pid = shim.create(streams)
    assert parent_of(pid) == os.getpid(), "init must be the subreaper's"
    path = own_cgroup(pid)
    assert path.endswith(f"/{shim.id}")
    assert str(pid) in Path(f"{cgroup2_mount()}{path}/cgroup.procs").read_text().split()
    assert shim.state()["status"] == "created"
    assert shim.ask("start", shim.id) == ""
    streams.feed(b"this\n")
    assert wait_exit(pid) == 7
    assert streams.read() == ("got this\n", "oops\n")
    assert shim.ask("delete", shim.id) == ""
    assert not shim.log.exists() or shim.log.read_text() == ""


def test_state_holds_what_is_read(sleeper: Shim) -> None:
    state = sleeper.state()
    assert (state["id"], state["status"]) == (sleeper.id, "running")
    assert state["pid"] == bare_int(sleeper.pid_file)
    assert (state["bundle"], state["rootfs"]) == (str(sleeper.bundle.path), str(sleeper.bundle.rootfs))
    assert state["created"].endswith("Z")


def test_a_terminal_is_accepted_after_create_has_returned(shim: Shim, tmp_path: Path) -> None:
    shim.bundle.sh("test -t 0 && test -t 2 && test -c /dev/console && stty size; exit 3").process["terminal"] = True
    shim.bundle.process["consoleSize"] = {"height": 33, "width": 111}
    shim.bundle.write()
    console = ConsoleSocket(tmp_path / "pty.sock")
    pid = shim.create(None, console)
    name, master = console.receive()
    try:
        assert name
        shim.ask("start", shim.id)
        assert read_terminal(master).split() == ["33", "111"]
        assert wait_exit(pid) == 3
    finally:
        os.close(master)
    shim.delete()


def test_a_terminal_can_be_resized(shim: Shim, tmp_path: Path) -> None:
    shim.bundle.sh("read line; stty size").process["terminal"] = True
    shim.bundle.write()
    console = ConsoleSocket(tmp_path / "pty.sock")
    pid = shim.create(None, console)
    _, master = console.receive()
    try:
        shim.ask("start", shim.id)
        ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", 44, 99, 0, 0))
        os.write(master, b"\n")
        assert "44 99" in read_terminal(master)
        assert wait_exit(pid) == 0
    finally:
        os.close(master)
    shim.delete()


def test_pidfds_by_socket(shim: Shim, tmp_path: Path) -> None:
    shim.bundle.process["args"] = ["sleep", "60"]
    shim.bundle.write()
    init, process = ConsoleSocket(tmp_path / "init.sock"), ConsoleSocket(tmp_path / "exec.sock")
    pid = shim.create(None, None, "--pidfd-socket", str(init.path))
    shim.ask("start", shim.id)
    inner = shim.exec({**shim.bundle.process, "args": ["sleep", "61"]}, "exec1", None, None,
                      "--pidfd-socket", str(process.path))  # fmt: skip
    for name, number, waiting in (("setns", inner, process), ("standard", pid, init)):
        payload, pidfd = waiting.receive()
        assert payload == name
        info = Path(f"/proc/self/fdinfo/{pidfd}").read_text()
        assert f"Pid:\t{number}\n" in info
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        assert wait_exit(number) == 137
    shim.delete()


def test_exec_beside_the_task(sleeper: Shim) -> None:
    streams = Streams()
    process = {**sleeper.bundle.process, "args": ["sh", "-c", "hostname; cat; exit 5"]}
    pid = sleeper.exec(process, streams=streams)
    assert parent_of(pid) == os.getpid()
    assert own_cgroup(pid).endswith(f"/{sleeper.id}")
    streams.feed(b"fed\n")
    assert wait_exit(pid) == 5
    assert streams.read() == ("inside\nfed\n", "")


def test_exec_with_a_terminal(sleeper: Shim, tmp_path: Path) -> None:
    console = ConsoleSocket(tmp_path / "exec.sock")
    process = {**sleeper.bundle.process, "args": ["sh", "-c", "test -t 0 && echo yes"], "terminal": True}
    pid = sleeper.exec(process, console=console)
    _, master = console.receive()
    try:
        assert read_terminal(master) == "yes\n"
        assert wait_exit(pid) == 0
    finally:
        os.close(master)


def test_exec_of_a_missing_program(sleeper: Shim) -> None:
    with pytest.raises(Failed, match=r"exec failed: .*executable file not found in \$PATH"):
        sleeper.exec({**sleeper.bundle.process, "args": ["nope"]})
    assert sleeper.state()["status"] == "running"
    assert not (sleeper.bundle.path / "exec1.pid").exists()


def test_pids(sleeper: Shim) -> None:
    pid = sleeper.exec({**sleeper.bundle.process, "args": ["sleep", "61"]})
    assert sleeper.pids() == sorted([pid, bare_int(sleeper.pid_file)])
    os.kill(pid, signal.SIGKILL)
    assert wait_exit(pid) == 137
    assert sleeper.pids() == [bare_int(sleeper.pid_file)]


def test_signals_by_number(sleeper: Shim) -> None:
    pid = bare_int(sleeper.pid_file)
    sleeper.kill(signal.SIGKILL)
    assert wait_exit(pid) == 137
    assert sleeper.state()["status"] == "stopped"
    with pytest.raises(Finished):
        sleeper.kill(signal.SIGTERM)
    sleeper.kill(signal.SIGKILL, everyone=True)
    sleeper.delete()
    with pytest.raises(Missing):
        sleeper.kill(signal.SIGKILL)
    with pytest.raises(Missing):
        sleeper.delete()


def test_a_zombie_is_stopped_before_the_shim_reaps_it(shim: Shim) -> None:
    pid = shim.create()
    shim.ask("start", shim.id)
    wait_until(lambda: shim.state()["status"] == "stopped", "the zombie is seen as stopped")
    assert shim.state()["pid"] == 0
    with pytest.raises(Finished):
        shim.kill(signal.SIGTERM)
    shim.delete()
    assert wait_exit(pid) == 0


def test_kill_all_reaches_the_survivors_of_a_shared_pid_namespace(shim: Shim) -> None:
    shim.bundle.without("pid").sh("sleep 62 & exit 0").write()
    pid = shim.create()
    shim.ask("start", shim.id)
    assert wait_exit(pid) == 0
    (left,) = shim.pids()
    shim.kill(signal.SIGKILL, everyone=True)
    assert wait_exit(left) == 137
    assert shim.pids() == []
    shim.delete()


def test_pause_and_resume(sleeper: Shim) -> None:
    assert sleeper.ask("pause", sleeper.id) == ""
    assert sleeper.state()["status"] == "paused"
    with pytest.raises(Failed, match="cannot exec in a paused container"):
        sleeper.exec(sleeper.bundle.process)
    assert sleeper.ask("resume", sleeper.id) == ""
    assert sleeper.state()["status"] == "running"
    with pytest.raises(Failed, match="container not paused"):
        sleeper.ask("resume", sleeper.id)


def test_update_from_stdin(sleeper: Shim) -> None:
    folder = Path(cgroup2_mount() + own_cgroup(bare_int(sleeper.pid_file)))
    sizes = sorted(path.name for path in folder.glob("hugetlb.*.max") if "rsvd" not in path.name)
    if not sizes:
        pytest.skip("needs a controller in the v2 tree that has limits: hugetlb")
    size = sizes[0].split(".")[1]
    resources = {"hugepageLimits": [{"pageSize": size, "limit": 1 << 30}]}
    assert sleeper.ask("update", "--resources=-", sleeper.id, input=json.dumps(resources).encode()) == ""
    assert (folder / sizes[0]).read_text() == f"{1 << 30}\n"


def test_an_update_that_cannot_be_names_the_controller(sleeper: Shim) -> None:
    folder = Path(cgroup2_mount() + own_cgroup(bare_int(sleeper.pid_file)))
    if (folder / "memory.max").exists():
        pytest.skip("this host's v2 tree has the memory controller")
    with pytest.raises(Failed, match="memory controller"):
        sleeper.ask("update", "--resources=-", sleeper.id, input=b'{"memory":{"limit":67108864}}')
    assert sleeper.state()["status"] == "running"


def test_update_rejects_what_is_no_json(sleeper: Shim) -> None:
    with pytest.raises(Failed, match="stdin"):
        sleeper.ask("update", "--resources=-", sleeper.id, input=b"{")


@pytest.mark.parametrize("started", [False, True])
def test_clean_up_of_a_dead_shims_task(shim: Shim, started: bool) -> None:
    shim.bundle.process["args"] = ["sleep", "60"]
    shim.bundle.write()
    pid = shim.create()
    if started:
        shim.ask("start", shim.id)
    assert shim.clean_up().rc == 0
    assert wait_exit(pid) == 137
    assert shim.clean_up() == (0, "", ""), "a second clean-up finds nothing and is content"


def test_clean_up_without_bundle(shim: Shim, make: "Callable[..., Bundle]") -> None:
    shim.bundle.process["args"] = ["sleep", "60"]
    shim.bundle.write()
    pid = shim.create()
    (shim.bundle.path / "config.json").unlink()
    assert shim.clean_up().rc == 0
    assert wait_exit(pid) == 137


def test_errors_are_decoded_from_the_log(shim: Shim) -> None:
    shim.bundle.process["args"] = ["/nope"]
    shim.bundle.write()
    with pytest.raises(Failed, match='exec: "/nope": stat /nope: no such file or directory'):
        shim.create()
    assert not shim.pid_file.exists()
    with pytest.raises(Failed, match="does not exist"):
        shim.ask("start", shim.id)
    assert shim.log.read_text().count("\n") == 2, "one line a failure"


def test_an_id_in_use(sleeper: Shim) -> None:
    with pytest.raises(Failed, match="container with given ID already exists"):
        sleeper.create()
    assert sleeper.state()["status"] == "running"


def test_a_second_start(sleeper: Shim) -> None:
    with pytest.raises(Failed, match="cannot start an already running container"):
        sleeper.ask("start", sleeper.id)


def test_delete_of_a_running_task_changes_nothing(sleeper: Shim) -> None:
    with pytest.raises(Failed, match="that is not stopped: running"):
        sleeper.delete()
    assert sleeper.state()["status"] == "running"


def test_features_stand_alone(shim: Shim) -> None:
    ended = shim.call("features", merged=True, env={})
    features = json.loads(ended.out)
    assert (ended.rc, "linux" in features) == (0, True)
    assert features["linux"]["cgroup"]["v2"] is True


def test_features_for_a_user_without_rights(shim: Shim) -> None:
    for folder in Path(shim.binary).resolve().parents:
        if not folder.stat().st_mode & 0o001:
            pytest.skip(f"{folder} is closed to other users")
    ended = shim.call("features", merged=True, env={}, user=65534, group=65534, extra_groups=[])
    assert (ended.rc, json.loads(ended.out)["ociVersionMin"]) == (0, "1.0.0")


def test_a_created_task_can_be_killed_or_deleted(shim: Shim) -> None:
    first = shim.create()
    shim.kill(signal.SIGKILL)
    assert wait_exit(first) == 137
    with pytest.raises(Failed, match="cannot start a container that has stopped"):
        shim.ask("start", shim.id)
    shim.delete()
    second = shim.create()
    shim.delete()
    assert wait_exit(second) == 137


def test_flags_of_debugging_users(shim: Shim) -> None:
    ended = shim.call("--debug", *shim.prefix(), "--rootless=false", "state", shim.id, merged=True)
    assert ended.rc == 1
    assert "does not exist" in ended.out


def test_long_flags_with_one_dash(shim: Shim) -> None:
    words = ["-root", str(shim.root), "-log", str(shim.log), "-log-format=json", "create"]
    streams = Streams()
    process = shim.popen(*words, "-bundle", str(shim.bundle.path), "-pid-file", str(shim.pid_file), "-no-new-keyring",
                         shim.id, **streams.arguments())  # fmt: skip
    streams.handed()
    assert process.wait(30) == 0
    shim.kill(signal.SIGKILL)
    assert wait_exit(bare_int(shim.pid_file)) == 137
    assert streams.read() == ("", "")
    shim.delete()


def test_restore_is_refused_with_its_flags_understood(shim: Shim) -> None:
    path = str(shim.bundle.path)
    with pytest.raises(Failed) as failure:
        shim.ask("restore", "--image-path", path, "--work-path", path, "--detach", "--pid-file", str(shim.pid_file),
                 "-no-subreaper", "--bundle", path, shim.id)  # fmt: skip
    assert "flag provided but not defined" not in str(failure.value)
    assert "restore" in str(failure.value)
