"""conmon, and Podman beside it."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.callers import (
    Caller,
    ConsoleSocket,
    Ended,
    Streams,
    bare_int,
    only_error,
    parent_of,
    read_terminal,
    wait_exit,
)


class Conmon(Caller):
    """conmon as Podman starts it: pipes that everybody may open, one variable in the environment."""

    env = {"XDG_RUNTIME_DIR": "/run/user/0"}
    flags: "tuple[str, ...]" = ()

    @property
    def log(self) -> Path:
        return self.bundle.path / "oci-log"

    @property
    def pid_file(self) -> Path:
        return self.bundle.path / "pidfile"

    def arguments(self) -> "list[str]":
        return [f"--root={self.root}", *self.flags, "--log-format=json", "--log", str(self.log)]

    def detached(self, *words: str, **options: object) -> "tuple[int, Streams]":
        """A call whose stdio is the container's; returns its exit status and our ends of the pipes."""
        streams = Streams(0o777)
        process = self.popen(*self.arguments(), *words, **streams.arguments(), **options)
        streams.handed()
        return process.wait(30), streams

    def create(self, *options: str, **more: object) -> "tuple[int, Streams]":
        words = ["create", "--bundle", str(self.bundle.path), "--pid-file", str(self.pid_file), *options, self.id]
        return self.detached(*words, **more)

    def exec(self, process: "dict[str, object]", *options: str) -> "tuple[int, Streams]":
        spec = self.bundle.path / "exec.json"
        spec.write_text(json.dumps(process))
        words = ["--pid-file", str(self.bundle.path / "exec.pid"), "--process", str(spec), "--detach"]
        return self.detached("exec", *words, *options, self.id)

    def podman(self, *words: str) -> Ended:
        """A call that Podman makes itself."""
        return self.call(*self.arguments(), *words)


class NoCgroups(Conmon):
    """--cgroups=disabled."""

    flags = ("--cgroup-manager", "disabled")


@pytest.fixture
def conmon(caller: "Callable[..., Conmon]") -> Conmon:
    return caller(Conmon)


def started(conmon: Conmon, *options: str, **more: object) -> "tuple[int, Streams]":
    rc, streams = conmon.create(*options, **more)
    if rc:
        raise AssertionError(streams.read())
    assert conmon.podman("start", conmon.id) == (0, "", "")
    return bare_int(conmon.pid_file), streams


def test_a_container_with_an_almost_empty_environment(conmon: Conmon) -> None:
    conmon.bundle.sh("env; cat; echo late >&2; exit 9").write()
    pid, streams = started(conmon)
    assert parent_of(pid) == os.getpid()
    streams.feed(b"fed\n")
    assert wait_exit(pid) == 9
    out, err = streams.read()
    assert "XDG_RUNTIME_DIR" not in out
    assert (out.endswith("fed\n"), err) == (True, "late\n")
    assert conmon.podman("delete", "--force", conmon.id) == (0, "", "")
    assert not conmon.log.exists() or conmon.log.read_text() == ""


def test_another_user_may_reopen_its_streams(conmon: Conmon) -> None:
    conmon.bundle.sh("echo one > /dev/stdout; echo two > /proc/self/fd/2")
    conmon.bundle.process["user"] = {"uid": 1000, "gid": 1000}
    conmon.bundle.write()
    pid, streams = started(conmon)
    assert wait_exit(pid) == 0
    assert streams.read() == ("one\n", "two\n")
    conmon.podman("delete", "--force", conmon.id)


def test_without_cgroups(caller: "Callable[..., Conmon]") -> None:
    conmon = caller(NoCgroups)
    conmon.bundle.process["args"] = ["sleep", "60"]
    conmon.bundle.write()
    pid, streams = started(conmon)
    assert conmon.id not in Path(f"/proc/{pid}/cgroup").read_text()
    assert conmon.podman("kill", conmon.id, "9").rc == 0
    assert wait_exit(pid) == 137
    streams.read()
    assert conmon.podman("delete", "--force", conmon.id).rc == 0


def test_preserved_descriptors(conmon: Conmon) -> None:
    conmon.bundle.sh("echo through >&3; ls /proc/self/fd | wc -l").write()
    reader, writer = os.pipe()
    rc, streams = conmon.create("--preserve-fds", "1", fds=(writer,))
    assert rc == 0
    os.close(writer)
    assert conmon.podman("start", conmon.id).rc == 0
    assert wait_exit(bare_int(conmon.pid_file)) == 0
    with open(reader) as stream:
        assert stream.read() == "through\n"
    out, _ = streams.read()
    assert out == "5\n", "0, 1, 2, 3 and the directory that ls reads"
    conmon.podman("delete", "--force", conmon.id)


def test_a_preserved_descriptor_that_is_not_there(conmon: Conmon) -> None:
    rc, streams = conmon.create("--preserve-fds", "1")
    assert rc == 1
    assert "--preserve-fds 1: descriptor 3 is not open" in streams.read()[1]
    assert not conmon.pid_file.exists()


def test_a_failed_create_leaves_one_json_value(conmon: Conmon) -> None:
    conmon.bundle.process["args"] = ["nope"]
    conmon.bundle.process["capabilities"]["bounding"].append("CAP_OF_NOBODY")
    conmon.bundle.write()
    rc, streams = conmon.create()
    out, err = streams.read()
    message = only_error(conmon.log)
    assert (rc, out) == (1, "")
    assert "executable file not found in $PATH" in message
    assert err == f"{message}\n", "the container's stderr is where conmon reads the reason"
    assert not conmon.pid_file.exists()
    assert not (conmon.root / conmon.id).exists()


def test_a_failed_create_without_log_speaks_on_stderr(conmon: Conmon) -> None:
    conmon.bundle.process["args"] = ["nope"]
    conmon.bundle.write()
    words = "create", "--bundle", str(conmon.bundle.path), "--pid-file", str(conmon.pid_file), conmon.id
    ended = conmon.call(f"--root={conmon.root}", *words)
    assert (ended.rc, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert "executable file not found" in ended.err


def test_exec_and_its_pid_file(conmon: Conmon) -> None:
    conmon.bundle.process["args"] = ["sleep", "60"]
    conmon.bundle.write()
    init, streams = started(conmon)
    rc, inner = conmon.exec({**conmon.bundle.process, "args": ["sh", "-c", "cat; exit 4"]})
    assert rc == 0
    pid = bare_int(conmon.bundle.path / "exec.pid")
    assert parent_of(pid) == os.getpid()
    inner.feed(b"x")
    assert (wait_exit(pid), inner.read()) == (4, ("x", ""))
    (conmon.bundle.path / "exec.pid").unlink()
    rc, inner = conmon.exec({**conmon.bundle.process, "args": ["/nope"]})
    assert rc == 255
    assert "no such file or directory" in inner.read()[1]
    assert not (conmon.bundle.path / "exec.pid").exists(), "a missing pid file is how conmon knows"
    assert "no such file or directory" in only_error(conmon.log)
    assert conmon.podman("kill", conmon.id, "9").rc == 0
    assert wait_exit(init) == 137
    streams.read()
    conmon.podman("delete", "--force", conmon.id)


def test_exec_with_a_terminal(conmon: Conmon, tmp_path: Path) -> None:
    conmon.bundle.process["args"] = ["sleep", "60"]
    conmon.bundle.write()
    init, streams = started(conmon)
    console = ConsoleSocket(tmp_path / "attach")
    process = {**conmon.bundle.process, "args": ["sh", "-c", "stty size"], "terminal": True}
    process["consoleSize"] = {"height": 20, "width": 70}
    rc, inner = conmon.exec(process, "--console-socket", str(console.path))
    assert rc == 0
    _, master = console.receive()
    assert read_terminal(master).strip() == "20 70"
    os.close(master)
    assert wait_exit(bare_int(conmon.bundle.path / "exec.pid")) == 0
    assert inner.read() == ("", "")
    conmon.podman("delete", "--force", conmon.id)
    assert wait_exit(init) == 137
    streams.read()


def test_pause_kill_resume_delete(conmon: Conmon) -> None:
    conmon.bundle.process["args"] = ["sleep", "60"]
    conmon.bundle.write()
    pid, streams = started(conmon)
    assert conmon.podman("pause", conmon.id) == (0, "", "")
    assert conmon.podman("kill", conmon.id, str(signal.SIGTERM.value)).rc == 0
    assert conmon.podman("resume", conmon.id) == (0, "", "")
    assert conmon.podman("kill", "--all", conmon.id, "9") == (0, "", "")
    assert wait_exit(pid) == 137
    late = conmon.podman("kill", conmon.id, "9")
    assert late.rc == 1
    assert "container not running" in late.err
    assert conmon.podman("delete", "--force", conmon.id) == (0, "", "")
    assert conmon.podman("delete", "--force", conmon.id) == (0, "", "")
    streams.read()


def test_a_paused_container_can_be_removed(conmon: Conmon) -> None:
    conmon.bundle.process["args"] = ["sleep", "60"]
    conmon.bundle.write()
    pid, streams = started(conmon)
    conmon.podman("pause", conmon.id)
    assert conmon.podman("delete", "--force", conmon.id) == (0, "", "")
    assert wait_exit(pid) == 137
    streams.read()


def test_update_from_a_file(conmon: Conmon) -> None:
    conmon.bundle.process["args"] = ["sleep", "60"]
    conmon.bundle.write()
    pid, streams = started(conmon)
    file = conmon.bundle.path / "resources.json"
    file.write_text("{}")
    assert conmon.podman("update", f"--resources={file}", conmon.id) == (0, "", "")
    file.unlink()
    gone = conmon.podman("update", f"--resources={file}", conmon.id)
    assert (gone.rc, "resources.json" in gone.err) == (1, True)
    conmon.podman("delete", "--force", conmon.id)
    assert wait_exit(pid) == 137
    streams.read()


@pytest.mark.parametrize("verb", ["checkpoint", "restore"])
def test_checkpointing_is_not_promised(conmon: Conmon, verb: str) -> None:
    assert conmon.call(verb, "--help", env={}).rc != 0


def test_pod_restore_is_probed_with_a_missing_value(conmon: Conmon) -> None:
    ended = conmon.call("restore", "--lsm-mount-context", merged=True, env={})
    assert ended.rc != 0
    assert "flag needs an argument" in ended.out


def test_version_is_text(conmon: Conmon) -> None:
    ended = conmon.call("--version", env={})
    assert (ended.rc, ended.err) == (0, "")
    assert ended.out.startswith("pyruntime version ")
