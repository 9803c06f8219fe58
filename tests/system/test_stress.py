"""Many containers, many commands at once, commands killed at any moment: nothing is lost and nothing stays."""

import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system import harness, leaks
from tests.system.harness import Bundle, Runtime, new_id

SECONDS = 60


@pytest.mark.slow
def test_200_runs_in_a_row(rt: Runtime, bundle: Bundle) -> None:
    bundle.write()
    before = leaks.snapshot()
    for _ in range(200):
        assert rt("run", "--bundle", bundle.path, new_id()).rc == 0
    leaks.assert_nothing_left(before)


def test_40_runs_at_once(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("sh", "-c", "echo here").write()
    started = [rt.popen("run", "--bundle", bundle.path, new_id()) for _ in range(40)]
    codes = [process.wait(SECONDS) for process, _ in started]
    assert codes == [0] * 40, "".join(base.with_suffix(".err").read_text() for _, base in started)
    assert [base.with_suffix(".out").read_text() for _, base in started] == ["here\n"] * 40


def test_20_creates_of_one_id(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle, name = make("sleep", "60").write(), new_id()
    started = [rt.popen("create", "--bundle", bundle.path, name) for _ in range(20)]
    codes = [process.wait(SECONDS) for process, _ in started]
    assert sorted(codes) == [0] + [1] * 19
    for code, (_, base) in zip(codes, started, strict=True):
        assert code == 0 or "container with given ID already exists" in base.with_suffix(".err").read_text()
    assert rt.status(name) == "created"
    assert rt("delete", "--force", name).rc == 0


def test_commands_that_race_on_one_id(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """Whatever order they come in, each ends with a verdict of its own and the last word is `delete --force`."""
    bundle, name = make("sleep", "60").write(), new_id()
    verbs = (["create", "--bundle", bundle.path], ["start"], ["state"], ["kill"], ["delete", "--force"], ["delete"])
    started = []
    for turn in range(48):
        verb, *flags = verbs[turn % len(verbs)]
        started.append(rt.popen(str(verb), *flags, name))
        if turn % 6 == 5:
            started[-1][0].wait(SECONDS)
    for process, base in started:
        process.wait(SECONDS)
        text = base.with_suffix(".err").read_text()
        assert process.returncode in (0, 1), text
        assert text.count("\n") == process.returncode, text
        assert "internal error" not in text
    assert rt("delete", "--force", name).rc == 0


def _trace(rt: Runtime, folder: Path, words: "list[str]", nth: int = 0) -> "list[str]":
    """Run a command under strace, killed at its nth system call if that is not 0; returns the calls it made."""
    log = folder / "strace"
    kill = ["-e", f"inject=all:signal=KILL:when={nth}"] if nth else []
    with open(folder / "strace.err", "wb") as err:
        subprocess.run(
            ["strace", "-o", str(log), *kill, *words],
            timeout=SECONDS, stdin=subprocess.DEVNULL, stdout=err, stderr=err, check=False,
        )  # fmt: skip
    return log.read_text(errors="replace").splitlines()


def _points(calls: "list[str]", begin: str, count: int) -> "list[int]":
    """Numbers of system calls, spread evenly from the first one that matches `begin` to the last."""
    first = next((number for number, line in enumerate(calls, 1) if re.search(begin, line)), None)
    assert first, f"no call like {begin}"
    last = len(calls)
    return sorted({first + (last - first) * turn // (count - 1) for turn in range(count)})


# verb -> the first call that changes something, how many moments to try
CAMPAIGNS = {
    "create": (r"^mkdir\(", 24),
    "run": (r"^mkdir\(", 24),
    "start": (r"exec\.fifo", 8),
    "kill": (r"pidfd_open|state\.json", 6),
    "delete": (r"state\.json", 14),
    "exec": (r"state\.json", 12),
}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("verb", CAMPAIGNS)
def test_killed_at_any_system_call(rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path, verb: str) -> None:
    """One `delete --force` makes good whatever a killed command has left."""
    bundle = make("true" if verb == "run" else "sleep", "60").write()
    begin, count = CAMPAIGNS[verb]
    points = [0]
    while points:
        nth = points.pop(0)
        name = new_id()
        before = leaks.snapshot()
        words = _prepare(rt, bundle, verb, name)
        calls = _trace(rt, tmp_path, words, nth)
        if not nth:
            points = _points(calls, begin, count)
        done = rt("delete", "--force", name)
        assert (done.rc, done.err, done.out) == (0, "", ""), f"after {verb} was killed at call {nth}: {calls[-2:]}"
        assert rt.containers() == [], f"after {verb} was killed at call {nth}: {calls[-2:]}"
        try:
            leaks.assert_nothing_left(before)
        except AssertionError as error:
            raise AssertionError(f"after {verb} was killed at call {nth}, {calls[-2:]}: {error}") from None


def _prepare(rt: Runtime, bundle: Bundle, verb: str, name: str) -> "list[str]":
    """Bring a container to where `verb` is next; returns the command."""
    if verb in ("create", "run"):
        return rt.command(verb, "--bundle", bundle.path, name)
    assert rt("create", "--bundle", bundle.path, name).rc == 0
    if verb in ("kill", "exec"):
        assert rt("start", name).rc == 0
    arguments = {"kill": ["KILL"], "exec": ["true"]}.get(verb, [])
    return rt.command(verb, name, *arguments)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_interrupted_create_cleans_up_itself(rt: Runtime, make: "Callable[..., Bundle]", number: int) -> None:
    """A hook holds the creation at a known point; then the command is asked to stop."""
    bundle = make("sleep", "60")
    flag = bundle.path / "in-hook"
    bundle.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"touch {flag}; exec sleep 20"], "env": []}]
    }
    name = new_id()
    bundle.write()
    process, base = rt.popen("create", "--bundle", bundle.path, name)
    harness.wait_until(flag.exists, "the hook runs")
    process.send_signal(number)
    assert process.wait(SECONDS) == 128 + number
    assert f"signal {int(number)}" in base.with_suffix(".err").read_text()
    assert base.with_suffix(".err").read_text().count("\n") == 1
    assert rt.containers() == []
