"""exec under systemd: a process that systemd did not move is told, and does not run without its limits."""

import os
from pathlib import Path

import pytest

from pyruntime.cgroup.systemd.manager import About
from pyruntime.cgroup.tree import Tree
from pyruntime.errors import Error
from pyruntime.state.store import Container
from pyruntime.steps import scope
from pyruntime.steps.scope import AttachToUnit, StartScope
from pyruntime.walk.walker import Walker


class Idle:
    """A manager that says yes and does nothing."""

    def __init__(self, address: str, user: bool) -> None:
        self.asked: "list[tuple[str, str, int]]" = []

    def attach(self, unit: str, below: str, pid: int) -> None:
        self.asked.append((unit, below, pid))

    def close(self) -> None:
        return


@pytest.mark.parametrize("members", ["4 7\n", "4 77\n"])
def test_who_was_not_moved_does_not_run(tmp_path: Path, monkeypatch: "pytest.MonkeyPatch", members: str) -> None:
    monkeypatch.setattr(scope, "Manager", Idle)
    (tmp_path / "cgroup.procs").write_text(members.replace(" ", "\n"))
    container = Container("/run/x", "c", -1, {"cgroup_paths": {"": str(tmp_path)}, "pyruntime": {}})
    step, walker = AttachToUnit("x", container, "x.scope", "/run/bus", True), Walker([])
    walker.values.update(outside=1, stage_pid=7)
    walker.fds["cgroup"] = os.open(tmp_path, os.O_RDONLY)
    try:
        if "77" in members:
            with pytest.raises(Error, match="has not taken the process of exec"):
                step.run(walker)
        else:
            step.run(walker)
    finally:
        os.close(walker.fds["cgroup"])


class Killed(Idle):
    """A manager whose unit ran out of memory."""

    def start(self, *_: object) -> None:
        return

    def why(self, _: str) -> str:
        return "oom-kill"


def test_a_unit_that_ran_out_of_memory_is_told_in_words(tmp_path: Path, monkeypatch: "pytest.MonkeyPatch") -> None:
    """What the walker puts behind `memory limit too low?` is a text, whoever found out."""
    monkeypatch.setattr(scope, "Manager", Killed)
    monkeypatch.setattr(scope.claim, "write", lambda _: None)
    monkeypatch.setattr(scope.fs, "enable_down", lambda *_: None)
    monkeypatch.setattr(StartScope, "_entered", lambda *_: str(tmp_path))
    monkeypatch.setattr(scope, "container_of", lambda _: None)
    (tmp_path / "memory.max").write_text("524288\n")
    about = About("/run/bus", False, 252, "/")
    step = StartScope("x", "x.scope", "system.slice", "/x", [], about, Tree("unified", str(tmp_path)), [])
    walker = Walker([])
    walker.values["init_pid"] = 7
    step.run(walker)
    walker.close_fd("cgroup")
    check = walker.objects["oom_check"]
    assert callable(check)
    assert check().startswith(": memory.max is 512 KiB, starting takes up to ")
    monkeypatch.setattr(Killed, "why", lambda *_: "exit-code")
    assert check() == ""
