"""BuildKit."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.callers import Caller, Ended, bare_int, only_error
from tests.system.harness import wait_until

_STATUS_POLL, _PID_POLL = 0.1, 0.01  # seconds


class Buildkit(Caller):
    """One step of a build."""

    @property
    def log(self) -> Path:
        return self.bundle.path / "runc-log.json"

    def prefix(self) -> "list[str]":
        return ["--root", str(self.root), "--log", str(self.log), "--log-format", "json"]

    def run_words(self, *flags: str) -> "list[str]":
        return [*self.prefix(), "run", "--bundle", str(self.bundle.path), *flags, self.id]

    def ask(self, *words: str) -> Ended:
        return self.call(*self.prefix(), *words, merged=True)

    def poll_until_running(self) -> "dict[str, object]":
        """state every 100 ms; before the container is there it fails, and that is no end."""
        for _ in range(100):
            ended = self.ask("state", self.id)
            found: "dict[str, object]" = json.loads(ended.out) if ended.rc == 0 else {}
            if found.get("status") == "running":
                return found
            time.sleep(_STATUS_POLL)
        raise AssertionError("never running")


@pytest.fixture
def buildkit(caller: "Callable[..., Buildkit]") -> Buildkit:
    return caller(Buildkit)


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137)])
@pytest.mark.parametrize("flags", [[], ["--no-pivot"]])
def test_a_steps_status(buildkit: Buildkit, script: str, status: int, flags: "list[str]") -> None:
    # In a second process, for the first of a pid namespace cannot kill itself.
    buildkit.bundle.sh(f"cat; echo oops >&2; sh -c '{script}'; exit $?").write()
    ended = buildkit.call(*buildkit.run_words(*flags), input=b"fed")
    assert (ended.rc, ended.out) == (status, "fed")
    assert ended.err.startswith("oops\n")
    assert not (buildkit.root / buildkit.id).exists(), "run deletes what it made"


def test_a_kept_step_is_deleted_by_its_caller(buildkit: Buildkit) -> None:
    buildkit.bundle.sh("exit 3").write()
    assert buildkit.call(*buildkit.run_words("--keep")).rc == 3
    assert json.loads(buildkit.ask("state", buildkit.id).out)["status"] == "stopped"
    assert buildkit.ask("delete", buildkit.id) == (0, "", "")
    again = buildkit.ask("delete", buildkit.id)
    assert again.rc == 1
    assert "does not exist" in again.out


def test_state_exec_and_kill_beside_the_foreground(buildkit: Buildkit) -> None:
    buildkit.bundle.process["args"] = ["sleep", "60"]
    buildkit.bundle.write()
    step = buildkit.popen(*buildkit.run_words("--keep"), stdin=subprocess.DEVNULL)
    found = buildkit.poll_until_running()
    assert (found["bundle"], found["rootfs"]) == (str(buildkit.bundle.path), str(buildkit.bundle.rootfs))
    spec, pid_file = buildkit.bundle.path / "process.json", buildkit.bundle.path / "exec.pid"
    spec.write_text(json.dumps({**buildkit.bundle.process, "args": ["sh", "-c", "read word; exit 6"]}))
    words = ["exec", "--process", str(spec), "--pid-file", str(pid_file), buildkit.id]
    with buildkit.popen(*buildkit.prefix(), *words, stdin=subprocess.PIPE) as inner:
        for _ in range(1000):
            if pid_file.exists():
                break
            time.sleep(_PID_POLL)
        # Whenever the file is there its content is whole.
        assert Path(f"/proc/{bare_int(pid_file)}").exists()
        assert inner.poll() is None
        inner.communicate(b"x\n", 30)
    assert inner.returncode == 6
    assert buildkit.ask("kill", buildkit.id, "9") == (0, "", "")
    assert step.wait(30) == 137
    assert buildkit.ask("delete", buildkit.id) == (0, "", "")


def test_a_step_that_cannot_run(buildkit: Buildkit) -> None:
    buildkit.bundle.process["args"] = ["/nope"]
    buildkit.bundle.write()
    ended = buildkit.call(*buildkit.run_words())
    assert (ended.rc, ended.out) == (1, "")
    assert "no such file or directory" in only_error(buildkit.log)
    assert not (buildkit.root / buildkit.id).exists()


def test_killing_the_command_gently_ends_the_step(buildkit: Buildkit) -> None:
    buildkit.bundle.sh("trap 'exit 8' TERM; touch /ready; while :; do sleep 0.05; done").write()
    step = buildkit.popen(*buildkit.run_words(), stdin=subprocess.DEVNULL)
    buildkit.poll_until_running()
    wait_until((buildkit.bundle.rootfs / "ready").exists, "the trap is set")
    step.terminate()
    assert step.wait(30) == 8


def test_parallel_polls_of_a_short_life(buildkit: Buildkit) -> None:
    """Whatever moment a poll meets, its answer is a state or says that there is none."""
    buildkit.bundle.sh("until [ -e /seen ] || [ $((i += 1)) -gt 1000 ]; do sleep 0.02; done; sleep 0.1").write()
    step = buildkit.popen(*buildkit.run_words(), stdin=subprocess.DEVNULL)
    seen: "set[str]" = set()
    while step.poll() is None:
        ended = buildkit.call("--root", str(buildkit.root), "state", buildkit.id)
        if ended.rc:
            assert "does not exist" in ended.err or "half made or half deleted" in ended.err, ended
        else:
            seen.add(json.loads(ended.out)["status"])
        if "running" in seen:
            (buildkit.bundle.rootfs / "seen").touch()
        assert "Traceback" not in ended.err
        assert "internal error" not in ended.err
    assert step.returncode == 0
    assert "running" in seen
    assert seen <= {"creating", "created", "running", "stopped"}


def test_others_pause_resume_and_delete_what_runs_in_the_foreground(buildkit: Buildkit) -> None:
    buildkit.bundle.process["args"] = ["sleep", "60"]
    buildkit.bundle.write()
    step = buildkit.popen(*buildkit.run_words(), stdin=subprocess.DEVNULL)
    buildkit.poll_until_running()
    assert buildkit.ask("pause", buildkit.id) == (0, "", "")
    assert buildkit.ask("resume", buildkit.id) == (0, "", "")
    assert buildkit.ask("delete", "--force", buildkit.id) == (0, "", "")
    assert step.wait(30) == 137
    assert not (buildkit.root / buildkit.id).exists()
