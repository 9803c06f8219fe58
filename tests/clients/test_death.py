"""Callers let us die with them, of SIGKILL at any moment: `delete --force` clears what is left."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.callers import die_with_parent, wait_exit
from tests.clients.shim import Shim

_LONGEST = 0.15  # seconds; a create is done well before
_ROUNDS = 12


class Victim(Shim):
    """A shim that dies in the middle of a call."""

    def die_during(self, *words: str, after: float) -> None:
        """Start a process that makes this call, kill that process after so many seconds, and see the call die too."""
        reader, writer = os.pipe()
        middle = os.fork()
        if not middle:
            self._make_the_call(list(words), writer)
        os.close(writer)
        time.sleep(after)
        os.kill(middle, signal.SIGKILL)
        os.waitpid(middle, 0)
        with open(reader) as pipe:
            runtime = pipe.read()
        try:
            os.waitpid(int(runtime or middle), 0)
        except ChildProcessError:  # it had ended before, or was never begun
            return

    def _make_the_call(self, words: "list[str]", report: int) -> None:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        shim = os.getpid()
        runtime = os.fork()
        if runtime:
            os.write(report, str(runtime).encode())
            os.waitpid(runtime, 0)
            signal.pause()
        die_with_parent()
        if os.getppid() != shim:  # it was killed before the kernel knew that we want to hear of it
            os._exit(126)
        os.execve(self.binary, [self.binary, *self.prefix(), *words], self.env)


def moments(seed: int) -> "list[float]":
    """Moments all over the call, so that each part of it is met sooner or later."""
    chance = random.Random(seed)
    return [(index + chance.random()) * _LONGEST / _ROUNDS for index in range(_ROUNDS)]


@pytest.fixture
def victim(caller: "Callable[..., Victim]") -> Victim:
    victim = caller(Victim)
    victim.bundle.process["args"] = ["sleep", "3600"]
    victim.bundle.write()
    return victim


def clear(victim: Victim) -> None:
    """What the next shim does."""
    ended = victim.clean_up()
    assert ended.rc == 0, ended
    assert not (victim.root / victim.id).exists()


def reap_all_but(init: int) -> None:
    """End and collect what has come to us as the subreaper: unreaped, it would hold the container's pid namespace."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while others := {int(word) for word in children.read_text().split()} - {init}:
        for pid in others:
            os.kill(pid, signal.SIGKILL)
            wait_exit(pid)


@pytest.mark.parametrize("verb", ["create", "run"])
def test_death_while_a_container_is_made(victim: Victim, verb: str) -> None:
    words = [verb, "--bundle", str(victim.bundle.path), "--pid-file", str(victim.pid_file), victim.id]
    for moment in moments(len(verb)):
        victim.die_during(*words, after=moment)
        clear(victim)


def test_death_while_a_container_with_a_user_namespace_is_made(victim: Victim) -> None:
    victim.bundle.user_namespace().write()
    for folder in (victim.bundle.path, *victim.bundle.path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o001)
    words = ["create", "--bundle", str(victim.bundle.path), "--pid-file", str(victim.pid_file), victim.id]
    for moment in moments(1):
        victim.die_during(*words, after=moment)
        clear(victim)


def test_death_while_a_container_is_started(victim: Victim) -> None:
    for moment in moments(2)[: _ROUNDS // 2]:
        victim.create()
        victim.die_during("start", victim.id, after=moment)
        clear(victim)


def test_death_while_a_container_is_deleted(victim: Victim) -> None:
    for moment in moments(3)[: _ROUNDS // 2]:
        victim.create()
        victim.die_during("delete", "--force", victim.id, after=moment)
        clear(victim)


def test_death_while_a_command_is_executed(victim: Victim) -> None:
    init = victim.create()
    victim.ask("start", victim.id)
    for moment in moments(4)[: _ROUNDS // 2]:
        victim.die_during("exec", victim.id, "sleep", "61", after=moment)
        assert victim.state()["status"] == "running", "an exec that dies leaves the container as it is"
        reap_all_but(init)
    clear(victim)


def test_init_outlives_the_shim(victim: Victim) -> None:
    """The parent-death signal is the command's alone: a container goes on when shim and command are gone."""
    words = ["create", "--bundle", str(victim.bundle.path), "--pid-file", str(victim.pid_file), victim.id]
    middle = subprocess.Popen(["/bin/sh", "-c", '"$@"; exit $?', "sh", victim.binary, *victim.prefix(), *words],
                              preexec_fn=die_with_parent)  # fmt: skip
    assert middle.wait(30) == 0
    assert victim.ask("start", victim.id) == ""
    assert victim.state()["status"] == "running"
    clear(victim)
