"""CRI-O."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.clients.callers import Caller, Ended, Streams, bare_int, wait_exit


class Crio(Caller):
    """CRI-O, with the part of conmon that makes the container."""

    env = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": "/run", "CRI_O_EXTERNAL": "true"}

    @property
    def pid_file(self) -> Path:
        return self.bundle.path / "pidfile"

    def create(self) -> "tuple[int, Streams]":
        streams = Streams(0o777)
        words = ["create", "--bundle", str(self.bundle.path), "--pid-file", str(self.pid_file), self.id]
        process = self.popen(f"--root={self.root}", *words, **streams.arguments())
        streams.handed()
        assert process.wait(30) == 0, streams.read()
        return bare_int(self.pid_file), streams

    def ask(self, *words: str, input: bytes = b"", merged: bool = False) -> Ended:
        return self.call("--root", str(self.root), *words, input=input, merged=merged)


@pytest.fixture
def crio(caller: "Callable[..., Crio]") -> "Iterator[Crio]":
    """A running container."""
    crio = caller(Crio)
    crio.bundle.process["args"] = ["sleep", "60"]
    crio.bundle.config["annotations"] = {"io.kubernetes.cri-o.Name": "one"}
    crio.bundle.write()
    pid, streams = crio.create()
    assert crio.ask("start", crio.id) == (0, "", "")
    yield crio
    assert crio.ask("delete", "--force", crio.id) == (0, "", "")
    streams.read()
    if os.path.exists(f"/proc/{pid}"):
        wait_exit(pid)


def state(crio: Crio) -> "dict[str, object]":
    ended = crio.ask("state", crio.id)
    assert (ended.rc, ended.err) == (0, "")
    found: "dict[str, object]" = json.loads(ended.out)
    return found


def test_state_and_its_time(crio: Crio) -> None:
    found = state(crio)
    created = str(found["created"])
    assert created.endswith("Z")
    when = datetime.fromisoformat(created[:26].rstrip("Z") + "+00:00")
    assert abs((datetime.now(when.tzinfo) - when).total_seconds()) < 60
    assert found["annotations"] == {"io.kubernetes.cri-o.Name": "one"}
    assert (type(found["pid"]), found["status"]) == (int, "running")


def test_stop_by_number_and_by_name(crio: Crio) -> None:
    pid = bare_int(crio.pid_file)
    assert crio.ask("kill", crio.id, "15").rc == 0
    assert state(crio)["status"] == "running", "init of a pid namespace ignores what it has no handler for"
    assert crio.ask("kill", crio.id, "KILL") == (0, "", "")
    assert wait_exit(pid) == 137
    assert state(crio)["status"] == "stopped"
    late = crio.ask("kill", crio.id, "KILL", merged=True)
    assert late.rc == 1
    assert "container not running" in late.out


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_a_probe_gets_the_commands_status(crio: Crio, script: str, status: int) -> None:
    file = crio.bundle.path / "probe.json"
    file.write_text(json.dumps({**crio.bundle.process, "args": ["sh", "-c", f"echo o; echo e >&2; {script}"]}))
    assert crio.ask("exec", "--process", str(file), crio.id) == (status, "o\n", "e\n")


def test_a_probe_that_hangs_is_killed_and_leaves_the_container(crio: Crio) -> None:
    file = crio.bundle.path / "probe.json"
    file.write_text(json.dumps({**crio.bundle.process, "args": ["sh", "-c", "echo up; exec sleep 63"]}))
    words = ["--root", str(crio.root), "exec", "--process", str(file), crio.id]
    process = crio.popen(*words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.wait(10) == 143
    assert state(crio)["status"] == "running"


def test_a_probe_that_cannot_run(crio: Crio) -> None:
    file = crio.bundle.path / "probe.json"
    file.write_text(json.dumps({**crio.bundle.process, "args": ["/nope"]}))
    ended = crio.ask("exec", "--process", str(file), crio.id)
    assert (ended.rc, ended.out) == (255, "")
    assert "no such file or directory" in ended.err


def test_a_probe_of_a_dead_container(crio: Crio) -> None:
    crio.ask("kill", crio.id, "KILL")
    wait_exit(bare_int(crio.pid_file))
    file = crio.bundle.path / "probe.json"
    file.write_text(json.dumps(crio.bundle.process))
    ended = crio.ask("exec", "--process", str(file), crio.id)
    assert ended.rc == 255
    assert "cannot exec in a stopped container" in ended.err


def test_update_from_stdin_with_the_dash_apart(crio: Crio) -> None:
    empty: "dict[str, object]" = {"cpu": {}, "memory": {}, "pids": None}
    ended = crio.ask("update", "--resources", "-", crio.id, input=json.dumps(empty).encode())
    assert (ended.rc, ended.out, ended.err) == (0, "", "")


def test_pause_and_resume(crio: Crio) -> None:
    assert crio.ask("pause", crio.id) == (0, "", "")
    assert state(crio)["status"] == "paused"
    assert crio.ask("resume", crio.id) == (0, "", "")
    assert state(crio)["status"] == "running"


def test_an_unknown_container(crio: Crio) -> None:
    for words in (["state"], ["start"], ["kill", "15"]):
        ended = crio.ask(words[0], "nobody", *words[1:])
        assert (ended.rc, ended.out) == (1, "")
        assert "does not exist" in ended.err
    assert crio.ask("delete", "--force", "nobody") == (0, "", "")


def test_features_with_stderr_in_between(crio: Crio) -> None:
    ended = crio.call("features", merged=True, env={"PATH": "/usr/bin"})
    features = json.loads(ended.out)
    assert ended.rc == 0
    assert (features["ociVersionMin"], features["ociVersionMax"][:2]) == ("1.0.0", "1.")
    assert {"ro", "rro", "rbind"} <= set(features["mountOptions"])
    assert "user" in features["linux"]["namespaces"]
