"""created, running, paused, stopped: which command does what to a container in which state."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import harness, leaks
from tests.system.harness import Bundle, Runtime, new_id


@pytest.fixture
def name() -> str:
    return new_id()


@pytest.fixture
def created(rt: Runtime, make: "Callable[..., Bundle]", name: str) -> "Iterator[str]":
    """A created container of `sleep`, taken away afterwards."""
    assert rt.create(make("sleep", "60"), id=name).rc == 0
    yield name
    rt("delete", "--force", name)


@pytest.fixture
def running(rt: Runtime, created: str) -> str:
    assert rt("start", created).rc == 0
    return created


@pytest.fixture
def stopped(rt: Runtime, running: str) -> str:
    assert rt("kill", running, "KILL").rc == 0
    rt.wait_for(running, "stopped")
    return running


def test_whole_life(rt: Runtime, make: "Callable[..., Bundle]", name: str) -> None:
    bundle = make("sh", "-c", "echo started; exec sleep 60")
    result = rt.create(bundle, id=name)
    assert (result.rc, result.out, result.err) == (0, "", "")
    assert rt.status(name) == "created"
    assert result.out == ""
    for verb, status in (("start", "running"), ("kill", "stopped")):
        done = rt(verb, name, *(["KILL"] if verb == "kill" else []))
        assert (done.rc, done.out, done.err) == (0, "", "")
        rt.wait_for(name, status)
    assert result.out == "started\n"
    assert (rt("delete", name).rc, rt.containers()) == (0, [])
    assert "does not exist" in rt("state", name).err


def test_state_document(rt: Runtime, make: "Callable[..., Bundle]", name: str) -> None:
    bundle = make("sleep", "60")
    bundle.config["annotations"] = {"org.example": 'a"b\\c/é\n'}
    assert rt.create(bundle, id=name).rc == 0
    result = rt("state", name)
    state = json.loads(result.out)
    assert list(state) == ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"]
    assert result.out.startswith('{\n  "ociVersion"')
    assert state["id"] == name
    assert state["status"] == "created"
    assert state["bundle"] == str(bundle.path)
    assert state["rootfs"] == str(bundle.rootfs)
    assert state["annotations"] == bundle.config["annotations"]
    when = time.strptime(state["created"].partition(".")[0], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(when) - time.timezone - time.time()) < 60
    assert state["created"].endswith("Z")
    assert Path(f"/proc/{state['pid']}/ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
    rt("kill", name, "9")
    rt.wait_for(name, "stopped")
    assert rt.state(name)["pid"] == 0
    assert rt("delete", name).rc == 0


def test_init_is_the_callers_child_and_in_its_cgroup(rt: Runtime, make: "Callable[..., Bundle]", name: str) -> None:
    """Engines wait for init themselves, and look for its cgroup as soon as `create` is back."""
    bundle = make("sleep", "60")
    pid_file = bundle.path / "pid"
    assert rt.create(bundle, "--pid-file", pid_file, id=name).rc == 0
    text = pid_file.read_text()
    assert text.isdigit()
    assert int(text) == rt.state(name)["pid"]
    status = Path(f"/proc/{text}/status").read_text()
    assert f"PPid:\t{os.getpid()}\n" in status
    (line,) = [line for line in Path(f"/proc/{text}/cgroup").read_text().splitlines() if line.startswith("0::")]
    assert line.endswith(f"/{name}")
    assert sorted(os.listdir(bundle.path)) == ["config.json", "pid", "rootfs"]
    assert rt("delete", "--force", name).rc == 0


def test_relative_bundle_and_pid_file(rt: Runtime, make: "Callable[..., Bundle]", name: str, tmp_path: Path) -> None:
    bundle = make("sleep", "60").write()
    result = rt("create", "--bundle", bundle.path.name, "--pid-file", "pid", name, cwd=tmp_path)
    assert result.rc == 0, result
    assert int((tmp_path / "pid").read_text()) == rt.state(name)["pid"]
    assert rt("delete", "--force", name).rc == 0


def test_a_bundle_behind_a_link_is_where_the_link_leads(
    rt: Runtime, make: "Callable[..., Bundle]", name: str, tmp_path: Path
) -> None:
    bundle = make("sleep", "60").write()
    (tmp_path / name).symlink_to(bundle.path)
    for words in (("create", "--bundle", tmp_path / name, name), ("run", "--detach", tmp_path / name)):
        result = rt(*words)
        assert result.rc == 0, result
        state = rt.state(name)
        assert (state["bundle"], state["rootfs"]) == (str(bundle.path), str(bundle.rootfs))
        assert rt("delete", "--force", name).rc == 0
    assert str(bundle.rootfs) in rt("explain", "--json", tmp_path / name).out
    assert rt("check", tmp_path / name).rc == rt("check", bundle.path).rc


def test_bundle_is_the_current_directory(rt: Runtime, bundle: Bundle) -> None:
    bundle.write()
    assert rt("run", new_id(), cwd=bundle.path).rc == 0


def test_created_init_holds_no_descriptor_of_the_host(rt: Runtime, created: str) -> None:
    pid = rt.state(created)["pid"]
    held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    allowed = (
        str(rt.folder / "call"),
        "/dev/null",
        f"{rt.root}/{created}/exec.fifo",
        "anon_inode:",
        "pipe:",
        "socket:",
    )
    assert {path for path in held if not path.startswith(allowed)} == set()
    assert Path(f"/proc/{pid}/environ").stat().st_uid == 0


def test_start_twice(rt: Runtime, running: str) -> None:
    result = rt("start", running)
    assert result.rc == 1
    assert "cannot start an already running container" in result.err
    assert rt.status(running) == "running"


def test_start_of_a_stopped_one(rt: Runtime, stopped: str) -> None:
    result = rt("start", stopped)
    assert result.rc == 1
    assert "cannot start a container that has stopped" in result.err


def test_start_when_init_was_killed(rt: Runtime, created: str) -> None:
    os.kill(rt.state(created)["pid"], signal.SIGKILL)
    rt.wait_for(created, "stopped")
    result = rt("start", created)
    assert result.rc == 1
    assert "cannot start a container that has stopped" in result.err
    assert rt("delete", created).rc == 0


def test_delete_of_a_created_one(rt: Runtime, created: str) -> None:
    assert rt("delete", created).rc == 0
    assert rt.containers() == []


def test_delete_of_a_running_one(rt: Runtime, running: str) -> None:
    result = rt("delete", running)
    assert result.rc == 1
    assert f"cannot delete container {running} that is not stopped: running" in result.err
    assert rt.status(running) == "running"
    assert rt("delete", "--force", running).rc == 0


def test_delete_of_an_unknown_one(rt: Runtime, name: str) -> None:
    assert (rt("delete", name).rc, rt("delete", "--force", name).rc) == (1, 0)


def test_delete_twice(rt: Runtime, stopped: str) -> None:
    assert [rt("delete", stopped).rc, rt("delete", stopped).rc] == [0, 1]


@pytest.mark.parametrize("word", ["TERM", "SIGTERM", "sigterm", "15"])
def test_kill_by_any_name(rt: Runtime, make: "Callable[..., Bundle]", name: str, word: str) -> None:
    bundle = make("sh", "-c", "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.01; done")
    result = rt.create(bundle, id=name)
    assert rt("start", name).rc == 0
    harness.wait_until(lambda: "ready" in result.out, "the trap is set")
    assert rt("kill", name, word).rc == 0
    rt.wait_for(name, "stopped")
    assert result.out == "ready\ngot it\n"
    assert rt("delete", name).rc == 0


def test_kill_of_a_stopped_one(rt: Runtime, stopped: str) -> None:
    result = rt("kill", stopped)
    assert result.rc == 1
    assert "container not running" in result.err
    assert rt("kill", "--all", stopped, "KILL").rc == 0


def test_shared_pid_namespace_leaves_nothing_running(rt: Runtime, make: "Callable[..., Bundle]", name: str) -> None:
    """Without a private pid namespace the kernel kills nobody when init goes: KILL and delete do."""
    bundle = make("sh", "-c", "sleep 61 & sleep 62 & exec sleep 63").without("pid")
    assert rt.create(bundle, id=name).rc == 0
    assert rt("start", name).rc == 0
    group = Path(leaks.cgroup2_mount() + f"/{name}/cgroup.procs")
    harness.wait_until(lambda: len(group.read_text().split()) == 3, "three processes")
    os.kill(rt.state(name)["pid"], signal.SIGKILL)
    rt.wait_for(name, "stopped")
    assert len(group.read_text().split()) == 2
    assert rt("delete", name).rc == 0


def test_kill_reaches_everyone_in_a_shared_pid_namespace(rt: Runtime, make: "Callable[..., Bundle]", name: str) -> None:
    bundle = make("sh", "-c", "sleep 61 & exec sleep 63").without("pid")
    assert rt.create(bundle, id=name).rc == 0
    assert rt("start", name).rc == 0
    group = Path(leaks.cgroup2_mount() + f"/{name}/cgroup.procs")
    harness.wait_until(lambda: len(group.read_text().split()) == 2, "two processes")
    assert rt("kill", name, "KILL").rc == 0
    harness.wait_until(lambda: group.read_text() == "", "nobody is left")
    assert rt("delete", name).rc == 0


def test_nested_cgroups_of_the_container_are_removed(rt: Runtime, make: "Callable[..., Bundle]", name: str) -> None:
    group = "/sys/fs/cgroup/a/b"
    script = f"mkdir -p {group}; sleep 61 & echo $! > {group}/cgroup.procs; echo ready; exec sleep 63"
    bundle = make("sh", "-c", script)
    bundle.linux["namespaces"].append({"type": "cgroup"})
    bundle.config["mounts"][-1]["options"] = ["rw"]
    result = rt.create(bundle, id=name)
    assert rt("start", name).rc == 0
    harness.wait_until(lambda: "ready" in result.out, "the groups are made")
    assert Path(f"{leaks.cgroup2_mount()}/{name}/a/b").is_dir(), result
    assert rt("delete", "--force", name).rc == 0


def test_paused_container(rt: Runtime, running: str) -> None:
    assert rt("pause", running).rc == 0
    assert rt.status(running) == "paused"
    refusals = ((["start", running], 1), (["exec", running, "true"], 255), (["delete", running], 1))
    for words, rc in refusals:
        result = rt(*words)
        assert (result.rc, "paused" in result.err) == (rc, True), result
    assert rt("resume", running).rc == 0
    assert rt.status(running) == "running"
    assert "not paused" in rt("resume", running).err


def test_paused_container_is_deleted_by_force(rt: Runtime, running: str) -> None:
    assert rt("pause", running).rc == 0
    result = rt("delete", "--force", running)
    assert (result.rc, result.seconds < 5) == (0, True)


def test_run_gives_the_exit_status(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    for script, status in (("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)):
        bundle = make("sh", "-c", f"{script}; sleep 1").without("pid")
        assert rt.run(bundle).rc == status


def test_run_keeps_if_asked(rt: Runtime, bundle: Bundle, name: str) -> None:
    assert rt.run(bundle, "--keep", id=name).rc == 0
    assert rt.status(name) == "stopped"
    assert rt("delete", name).rc == 0


def test_run_detached(rt: Runtime, make: "Callable[..., Bundle]", name: str) -> None:
    bundle = make("sh", "-c", "echo here; exec sleep 60")
    result = rt.run(bundle, "--detach", "--pid-file", bundle.path / "pid", id=name)
    assert result.rc == 0
    assert rt.status(name) == "running"
    assert Path(f"/proc/{(bundle.path / 'pid').read_text()}/comm").exists()
    harness.wait_until(lambda: result.out == "here\n", "it has written")
    assert rt("delete", "--force", name).rc == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_run_forwards_signals(rt: Runtime, make: "Callable[..., Bundle]", number: int) -> None:
    name = signal.Signals(number).name[3:]
    bundle = make("sh", "-c", f"trap 'echo {name}; exit 9' {name}; echo ready; while :; do sleep 0.01; done").write()
    process, base = rt.popen("run", "--bundle", bundle.path, new_id())
    harness.wait_until(lambda: "ready" in base.with_suffix(".out").read_text(), "the trap is set")
    process.send_signal(number)
    assert process.wait(20) == 9
    assert base.with_suffix(".out").read_text() == f"ready\n{name}\n"


def test_exec_in_a_running_container(rt: Runtime, running: str) -> None:
    result = rt("exec", "--env", "A=b", "--cwd", "/tmp", running, "sh", "-c", "echo $A $PWD; exit 5")
    assert (result.rc, result.out, result.err) == (5, "b /tmp\n", "")


def test_exec_of_a_missing_program(rt: Runtime, running: str) -> None:
    result = rt("exec", running, "no-such")
    assert result.rc == 255
    assert "executable file not found in $PATH" in result.err


def test_exec_in_a_stopped_container(rt: Runtime, stopped: str) -> None:
    result = rt("exec", stopped, "true")
    assert result.rc == 255
    assert "cannot exec in a stopped container" in result.err


def test_a_reused_pid_is_left_alone(rt: Runtime, stopped: str) -> None:
    """The recorded pid belongs to this very test now; the start time says that it is not the container's."""
    path = rt.root / stopped / "state.json"
    state = json.loads(path.read_text())
    state["init_process_pid"] = os.getpid()
    path.write_text(json.dumps(state))
    assert rt.status(stopped) == "stopped"
    assert "container not running" in rt("kill", stopped, "KILL").err
    assert rt("delete", "--force", stopped).rc == 0


def test_a_cgroup_of_others_at_the_same_path_is_left_alone(rt: Runtime, stopped: str) -> None:
    """Ours was removed, and somebody has made one of that name: after a reboot, or by another runtime."""
    path = json.loads((rt.root / stopped / "state.json").read_text())["cgroup_paths"][""]
    os.rmdir(path)
    os.mkdir(path)
    try:
        with subprocess.Popen(["sleep", "60"]) as bystander:
            Path(path, "cgroup.procs").write_text(str(bystander.pid))
            rt("kill", "--all", stopped, "KILL")
            deleted = rt("delete", "--force", stopped)
            assert bystander.poll() is None
            bystander.kill()
        assert deleted.rc == 0, deleted
    finally:
        os.rmdir(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_damaged_state(rt: Runtime, running: str, share: float) -> None:
    path = rt.root / running / "state.json"
    text = path.read_bytes()
    path.write_bytes(text[: int(len(text) * share)])
    result = rt("state", running)
    assert result.rc == 1
    assert result.err.count("\n") == 1
    assert "state" in result.err
    assert "internal error" not in result.err
    assert rt("delete", "--force", running).rc == 0
    assert rt.containers() == []


def test_state_of_somebody_else(rt: Runtime, created: str, tmp_path: Path) -> None:
    """A link, or a folder of another user, could make root act on what that user wrote."""
    (rt.root / "link").symlink_to(rt.root / created)
    result = rt("state", "link")
    assert result.rc == 1
    (rt.root / "link").unlink()
    (rt.root / "foreign").mkdir()
    os.chown(rt.root / "foreign", 12345, 12345)
    assert "belongs to another user" in rt("state", "foreign").err
    (rt.root / "foreign").rmdir()


def test_modes_below_the_root(rt: Runtime, created: str) -> None:
    modes = {path.name: path.lstat().st_mode & 0o777 for path in (rt.root / created).iterdir()}
    assert modes["state.json"] == 0o600
    assert modes["exec.fifo"] & 0o055 in (0, 0o022)
    assert rt.root.stat().st_mode & 0o077 == 0


def test_signals_right_at_the_start_are_forwarded(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """The program speaks, and is signalled at once: before the command has got round to waiting for it."""
    fifo_script = "trap 'exit 9' TERM; echo ready > /fifo; while :; do sleep 0.01; done"
    for _ in range(20):
        bundle = make("sh", "-c", fifo_script).write()
        os.mkfifo(bundle.rootfs / "fifo")
        process, base = rt.popen("run", "--bundle", bundle.path, new_id())
        assert (bundle.rootfs / "fifo").read_text() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 9, base.with_suffix(".err").read_text()


def test_exec_goes_where_init_went_whose_cgroup_is_gone(rt: Runtime, running: str) -> None:
    """As with runc: who has the host's cgroups mounted may move itself, and the empty one is removed."""
    pid, moved = rt.state(running)["pid"], Path(leaks.cgroup2_mount(), f"{running}-moved")
    (own,) = [line[3:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if line.startswith("0::")]
    moved.mkdir()
    (moved / "cgroup.procs").write_text(str(pid))
    Path(f"{leaks.cgroup2_mount()}{own}").rmdir()
    result = rt("exec", running, "true")
    assert result.rc == 0, result
    result = rt("exec", "--cgroup", "/", running, "true")
    assert (result.rc, "no such file or directory" in result.err) == (255, True), result
    assert rt("delete", "--force", running).rc == 0
    harness.wait_until(lambda: (moved / "cgroup.procs").read_text() == "", "nobody is left")
    moved.rmdir()


@pytest.mark.parametrize("path", ["../..", "/../../", "a/../../..", "..", "/a/./.."])
def test_exec_stays_below_the_containers_cgroup(rt: Runtime, running: str, path: str) -> None:
    result = rt("exec", "--cgroup", path, running, "true")
    assert result.rc == 255
    assert "bad sub cgroup path" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("word", ["HUP", "INT", "QUIT", "TERM"])
def test_a_created_init_is_ended_as_pid_1(rt: Runtime, created: str, word: str) -> None:
    """The kernel drops what PID 1 has no handler for, and who stops a created container would wait for nothing."""
    assert rt("kill", created, word).rc == 0
    rt.wait_for(created, "stopped")


def test_the_program_has_the_default_signals_all_the_same(
    rt: Runtime, make: "Callable[..., Bundle]", name: str
) -> None:
    bundle = make("sh", "-c", "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; exec sleep 60")
    result = rt.create(bundle, id=name)
    assert result.rc == 0, result
    assert rt("start", name).rc == 0
    harness.wait_until(lambda: result.out.count("Sig") == 3, "three lines")
    assert {line.split()[1] for line in result.out.splitlines()} == {"0" * 16}, result
    assert rt("delete", "--force", name).rc == 0


def test_kill_of_what_outlives_init_in_a_shared_pid_namespace(
    rt: Runtime, make: "Callable[..., Bundle]", name: str
) -> None:
    assert rt.run(make("sleep", "60").without("pid"), "--detach", id=name).rc == 0
    assert rt("exec", "--detach", name, "sleep", "61").rc == 0
    os.kill(rt.state(name)["pid"], signal.SIGKILL)
    rt.wait_for(name, "stopped")
    assert rt("kill", name, "TERM").rc == 1  # to init, which is gone
    assert rt("kill", name, "KILL").rc == 0
    refused = []
    harness.wait_until(lambda: refused.append(rt("kill", name, "KILL")) or refused[-1].rc == 1, "nobody is left")
    assert "container not running" in refused[-1].err
    assert rt("delete", name).rc == 0


def test_exec_takes_its_process_from_a_pipe(rt: Runtime, running: str) -> None:
    """As a shell gives it for <(COMMAND); what is written late is waited for, and the container does not get it."""
    reader, writer = os.pipe()
    process, base = rt.popen("exec", "--process", f"/dev/fd/{reader}", running, pass_fds=[reader])
    os.close(reader)
    time.sleep(0.2)
    document = {"args": ["ls", "/proc/self/fd"], "cwd": "/", "env": ["PATH=/bin"]}
    os.write(writer, json.dumps(document).encode())
    os.close(writer)
    assert process.wait(30) == 0, base.with_suffix(".err").read_text()
    assert base.with_suffix(".out").read_text().split() == ["0", "1", "2", "3"]  # 3 is that of ls


def test_run_takes_a_folder_for_the_bundle(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """`run BUNDLE`: its name is the id; a name beside a config.json is an id all the same, as engines mean it."""
    folder = make("echo", "ran", name=new_id()).write().path
    assert rt("run", f"{folder}/").out == "ran\n"
    assert rt("run", folder.name, cwd=folder.parent).out == "ran\n"
    (folder / folder.name).mkdir()
    (folder / folder.name / "config.json").write_text("not this one")
    assert rt("run", folder.name, cwd=folder).out == "ran\n"
    assert rt("run", ".", cwd=folder).out == "ran\n"
    for place in (folder / "rootfs", "."):
        said = rt("run", place, cwd=folder / "rootfs").err
        assert "invalid container ID format" in said
        assert "a folder if it is a bundle" in said
    assert rt("create", folder).rc == 0
    assert "already exists" in rt("run", folder).err
    rt("delete", "--force", folder.name)
