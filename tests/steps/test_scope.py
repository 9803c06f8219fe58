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


class Ended(Idle):
    """A manager whose unit has ended."""

    result = ""

    def start(self, *_: object) -> None:
        return

    def why(self, _: str) -> str:
        return self.result


@pytest.mark.parametrize(
    ("unit", "above", "result", "ran_out"),
    [
        ("oom_kill 1\n", "oom_kill 5\n", "", True),
        ("oom_kill 0\n", "oom_kill 6\n", "oom-kill", False),  # somebody else's: this one is there to ask
        (None, "oom_kill 5\n", "oom-kill", True),
        (None, "oom_kill 5\n", "exit-code", False),
        (None, "oom_kill 6\n", "", True),  # systemd has forgotten it, the slice has not
    ],
)
def test_a_unit_that_ran_out_of_memory(
    tmp_path: Path, monkeypatch: "pytest.MonkeyPatch", unit: "str | None", above: str, result: str, ran_out: bool
) -> None:
    """It may be gone by the time we ask. What the walker puts behind `memory limit too low?` is a text, or none."""
    monkeypatch.setattr(scope, "Manager", Ended)
    monkeypatch.setattr(Ended, "result", result)
    monkeypatch.setattr(scope.claim, "write", lambda _: None)
    monkeypatch.setattr(scope.fs, "enable_down", lambda *_: None)
    monkeypatch.setattr(StartScope, "_entered", lambda *_: str(tmp_path / "x.scope"))
    monkeypatch.setattr(scope, "container_of", lambda _: None)
    (tmp_path / "x.scope").mkdir()
    (tmp_path / "memory.events").write_text("oom_kill 5\n")
    about = About("/run/bus", False, 252, "/")
    step = StartScope("x", "x.scope", "system.slice", "/x.scope", [], about, Tree("unified", str(tmp_path)), [])
    walker = Walker([])
    walker.values["init_pid"] = 7
    step.run(walker)
    walker.close_fd("cgroup")
    if unit is None:
        (tmp_path / "x.scope").rmdir()
    else:
        (tmp_path / "x.scope" / "memory.events").write_text(unit)
        (tmp_path / "x.scope" / "memory.max").write_text("524288\n")
    (tmp_path / "memory.events").write_text(above)
    check = walker.objects["oom_check"]
    assert callable(check)
    remedy = ": memory.max is 512 KiB, starting takes up to " if unit else ": raise linux.resources.memory.limit"
    assert check().startswith(remedy) if ran_out else check() == ""
