"""Buildah with OCI isolation, and conmon-rs."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.callers import Caller, ConsoleSocket, Streams, bare_int, parent_of, read_terminal, wait_exit

_KNOWN = {"creating", "created", "running", "stopped"}  # any other status ends a build


class Buildah(Caller):
    """One RUN instruction."""

    @property
    def pid_file(self) -> Path:
        return self.bundle.path / "pid"

    def create(self, streams: Streams) -> int:
        words = ["create", "--bundle", str(self.bundle.path), "--pid-file", str(self.pid_file), self.id]
        process = self.popen("--root", str(self.root), *words, **streams.arguments())
        streams.handed()
        assert process.wait(30) == 0, streams.read()
        return bare_int(self.pid_file)

    def verb(self, *words: str) -> int:
        return self.call("--root", str(self.root), *words).rc

    def status(self) -> str:
        found = json.loads(self.call("--root", str(self.root), "state", self.id).out)
        assert found["status"] in _KNOWN
        return str(found["status"])

    def poll_until_stopped(self) -> None:
        for _ in range(100):
            if self.status() == "stopped":
                return
            time.sleep(0.1)
        raise AssertionError("never stopped")


class ConmonRs(Buildah):
    """conmon-rs: flags with `=`, a command line in place of a process file."""

    def exec(self, *words: str) -> int:
        process = self.popen(f"--root={self.root}", "exec", *words, stdin=None)
        return process.wait(30)


def test_an_instruction(caller: "Callable[..., Buildah]") -> None:
    buildah = caller(Buildah)
    buildah.bundle.sh("sleep 0.2; echo done; exit 2").write()
    streams = Streams()
    pid = buildah.create(streams)
    assert parent_of(pid) == os.getpid()
    assert buildah.status() == "created"
    assert buildah.verb("start", buildah.id) == 0
    buildah.poll_until_stopped()
    assert wait_exit(pid) == 2
    assert buildah.status() == "stopped"
    assert streams.read() == ("done\n", "")
    assert buildah.verb("delete", buildah.id) == 0
    assert buildah.verb("state", buildah.id) == 1


def test_an_interrupted_instruction(caller: "Callable[..., Buildah]") -> None:
    buildah = caller(Buildah)
    buildah.bundle.process["args"] = ["sleep", "60"]
    buildah.bundle.write()
    streams = Streams()
    pid = buildah.create(streams)
    buildah.verb("start", buildah.id)
    assert buildah.verb("kill", buildah.id, "SIGKILL") == 0
    buildah.poll_until_stopped()
    assert wait_exit(pid) == 137
    assert buildah.verb("delete", buildah.id) == 0
    streams.read()


def test_kill_without_a_signal_terminates(caller: "Callable[..., Buildah]") -> None:
    buildah = caller(Buildah)
    buildah.bundle.without("pid").process["args"] = ["sleep", "60"]
    buildah.bundle.write()
    streams = Streams()
    pid = buildah.create(streams)
    buildah.verb("start", buildah.id)
    assert buildah.verb("kill", buildah.id) == 0
    assert wait_exit(pid) == 143
    assert buildah.verb("delete", buildah.id) == 0
    streams.read()


@pytest.fixture
def conmon_rs(caller: "Callable[..., ConmonRs]") -> "Iterator[ConmonRs]":
    """A running container."""
    conmon = caller(ConmonRs)
    conmon.bundle.process["args"] = ["sleep", "60"]
    conmon.bundle.write()
    streams = Streams()
    pid = conmon.create(streams)
    assert conmon.verb("start", conmon.id) == 0
    yield conmon
    assert conmon.verb("delete", "--force", conmon.id) == 0
    assert wait_exit(pid) == 137
    streams.read()


def test_exec_by_command_line_on_a_terminal(conmon_rs: ConmonRs, tmp_path: Path) -> None:
    console, pid_file = ConsoleSocket(tmp_path / "c.sock"), conmon_rs.bundle.path / "exec.pid"
    words = ["-d", "--tty", f"--console-socket={console.path}", f"--pid-file={pid_file}", conmon_rs.id]
    assert conmon_rs.exec(*words, "sh", "-c", "test -t 1 && echo -n tty; exit 5") == 0
    _, master = console.receive()
    assert read_terminal(master) == "tty"
    os.close(master)
    assert wait_exit(bare_int(pid_file)) == 5


def test_exec_by_command_line_without_terminal(conmon_rs: ConmonRs) -> None:
    pid_file = conmon_rs.bundle.path / "exec.pid"
    assert conmon_rs.exec("-d", f"--pid-file={pid_file}", conmon_rs.id, "sh", "-c", "exit 6") == 0
    pid = bare_int(pid_file)
    assert parent_of(pid) == os.getpid()
    assert wait_exit(pid) == 6
