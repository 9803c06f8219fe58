"""Steps that can be run without a container around them."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyruntime.config.hooks import Hook
from pyruntime.config.process import Scheduler
from pyruntime.errors import Error
from pyruntime.kernel import sched
from pyruntime.steps.base import HOST, INIT, Step
from pyruntime.steps.devices import LinkDevices
from pyruntime.steps.hooks import RunHook, environment, run_hook
from pyruntime.steps.identity import BuildEnvironment
from pyruntime.steps.pidfile import WritePidFile
from pyruntime.steps.program import FindProgram
from pyruntime.steps.scheduling import SetScheduler
from pyruntime.steps.sysctl import sysctl_path
from pyruntime.walk.walker import Walker


@pytest.fixture
def walker(tmp_path: Path) -> "Iterator[Walker]":
    """A walker whose root is an empty directory."""
    (tmp_path / "root").mkdir()
    made = Walker([])
    made.fds["root"] = os.open(tmp_path / "root", os.O_RDONLY | os.O_DIRECTORY)
    yield made
    made.close_fd("root")


def test_a_step_that_says_nothing_is_a_bug() -> None:
    with pytest.raises(SystemError):
        Step("x").describe()
    with pytest.raises(SystemError):
        Step("x").run(Walker([]))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("kernel", "kernel"),
    ],
)
def test_where_a_sysctl_is(name: str, path: str) -> None:
    assert sysctl_path(name) == path


def env_of(walker: Walker, entries: "list[str]", uid: int = 0) -> "dict[bytes, bytes]":
    BuildEnvironment("process.env", entries, uid).run(walker)
    env = walker.objects["env"]
    assert isinstance(env, dict)
    return env


def test_the_environment_is_the_configs(walker: Walker) -> None:
    assert env_of(walker, ["A=1", "B=x=y", "A=2", "HOME=/h"]) == {b"A": b"2", b"B": b"x=y", b"HOME": b"/h"}
    assert env_of(walker, ["B=\udcff", "HOME=/"])[b"B"] == b"\xff"
    assert env_of(walker, ["NEW_LINE=\n", "EMPTY="]) == {b"NEW_LINE": b"\n", b"EMPTY": b"", b"HOME": b"/"}


@pytest.mark.parametrize(("uid", "home"), [(0, b"/root"), (7, b"/srv/seven"), (8, b"/"), (9, b"/")])
def test_home_comes_from_the_containers_passwd(walker: Walker, tmp_path: Path, uid: int, home: bytes) -> None:
    (tmp_path / "root" / "etc").mkdir()
    lines = ["root:x:0:0::/root:/bin/sh", "seven:x:7:7::/srv/seven:", "eight:x:8:8:::", "broken:x:9"]
    (tmp_path / "root" / "etc" / "passwd").write_text("\n".join(lines))
    assert env_of(walker, [], uid)[b"HOME"] == home


def test_a_passwd_that_is_a_fifo_hangs_nobody(walker: Walker, tmp_path: Path) -> None:
    (tmp_path / "root" / "etc").mkdir()
    os.mkfifo(tmp_path / "root" / "etc" / "passwd")
    assert env_of(walker, [])[b"HOME"] == b"/"


def test_links_of_dev_stay_inside_and_old_ones_stay(walker: Walker, tmp_path: Path) -> None:
    dev = tmp_path / "root" / "dev"
    dev.mkdir()
    (dev / "fd").symlink_to("elsewhere")
    (dev / "ptmx").touch()
    LinkDevices("rule", [("/dev/fd", "/proc/self/fd"), ("/dev/ptmx", "pts/ptmx"), ("/dev/core", "/proc/kcore")]).run(
        walker
    )
    assert {path.name: os.readlink(path) for path in dev.iterdir()} == {
        "fd": "elsewhere", "ptmx": "pts/ptmx", "core": "/proc/kcore",
    }  # fmt: skip


def found(walker: Walker, program: str) -> str:
    FindProgram("process.args[0]", program).run(walker)
    return walker.texts["program"]


def test_programs_are_found_as_a_shell_would(walker: Walker, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.touch(mode=0o755)
    walker.objects["env"] = {b"PATH": f"/nowhere:{tmp_path}".encode()}
    assert found(walker, "tool") == str(tool)
    assert found(walker, str(tool)) == str(tool)
    with pytest.raises(Error, match=r'exec: "none": executable file not found in \$PATH'):
        found(walker, "none")
    with pytest.raises(Error, match="no such file or directory"):
        found(walker, "/nowhere/none")
    with pytest.raises(Error, match="directory"):
        found(walker, str(tmp_path))


def test_a_program_without_an_x_bit(walker: Walker, tmp_path: Path) -> None:
    (tmp_path / "data").touch(mode=0o644)
    walker.objects["env"] = {b"PATH": str(tmp_path).encode()}
    for name in ("data", str(tmp_path / "data")):
        with pytest.raises(Error, match="permission denied: mode is 0644, needs an x bit"):
            found(walker, name)


def test_the_pid_file_is_whole_or_absent(walker: Walker, tmp_path: Path) -> None:
    walker.values["init_pid"] = 4711
    step = WritePidFile("--pid-file", str(tmp_path / "pid"))
    (tmp_path / ".pid").write_text("left over")
    step.run(walker)
    assert (tmp_path / "pid").read_text() == "4711"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pid", "root"]
    step.undo(walker)
    step.undo(walker)
    assert not (tmp_path / "pid").exists()
    with pytest.raises(Error, match="cannot write the pid file /nowhere/pid"):
        WritePidFile("--pid-file", "/nowhere/pid").run(walker)


def hook(script: str, **more: Any) -> Hook:
    return Hook.read({"path": "/bin/sh", "args": ["sh", "-c", script], **more}, "hooks.prestart[0]")


STATE: "dict[str, object]" = {"ociVersion": "1.2.0", "id": "box", "status": "creating", "pid": 0, "annotations": {}}


def test_a_hook_gets_the_state_and_its_own_environment(walker: Walker, tmp_path: Path) -> None:
    walker.values["init_pid"] = 42
    script = f"cat > {tmp_path}/state; /usr/bin/env > {tmp_path}/env; pwd > {tmp_path}/cwd"
    made = hook(script, env=["A=1"])
    RunHook("hooks.prestart[0]", HOST, made, STATE, cwd=str(tmp_path)).run(walker)
    assert (tmp_path / "state").read_text() == '{"ociVersion":"1.2.0","id":"box","status":"creating","pid":42}'
    assert "A=1" in (tmp_path / "env").read_text().split()
    assert "HOME" not in (tmp_path / "env").read_text()
    assert (tmp_path / "cwd").read_text() == f"{tmp_path}\n"


def test_a_failing_hook_is_quoted() -> None:
    with pytest.raises(Error) as raised:
        run_hook("hooks.createRuntime[2]", hook("echo out; echo err >&2; exit 3"), STATE)
    assert raised.value.text == "error running createRuntime hook #2: exit status 3, stdout: out, stderr: err (/bin/sh)"


def test_a_hook_that_is_killed_or_missing() -> None:
    with pytest.raises(Error, match="signal 9"):
        run_hook("hooks.prestart[0]", hook("kill -9 $$"), STATE)
    with pytest.raises(Error, match="hook #0.*no such file"):
        run_hook("hooks.prestart[0]", Hook.read({"path": "/nowhere"}, ""), STATE)


def test_a_hook_has_its_time_and_no_more() -> None:
    with pytest.raises(Error, match="hook ran past specified timeout of 1"):
        run_hook("hooks.prestart[0]", hook("sleep 60", timeout=1), STATE)


def test_a_hook_that_reads_nothing_and_prints_much() -> None:
    run_hook("hooks.prestart[0]", hook("yes | head -c 1000000"), {**STATE, "annotations": {"a": "x" * 1_000_000}})


def test_entries_of_an_environment() -> None:
    assert environment(["A=1", "B=", "C=x=y", "A=2"]) == {b"A": b"2", b"B": b"", b"C": b"x=y"}


def test_lanes_have_two_names() -> None:
    assert (HOST, INIT) == ("host", "init")


@pytest.mark.parametrize(
    ("policy", "what"), [("SCHED_DEADLINE", "remove linux.resources.cpu.cpus"), ("SCHED_FIFO", "takes CAP_SYS_NICE")]
)
def test_a_scheduler_that_is_not_permitted_says_what_it_takes(
    policy: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "")

    monkeypatch.setattr(sched, "set_attributes", refuse)
    step = SetScheduler("process.scheduler", Scheduler(policy=policy))
    with pytest.raises(Error, match=f"process.scheduler: error setting scheduler: operation not permitted; .*{what}"):
        step.run(Walker([step]))
