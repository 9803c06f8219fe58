"""`doctor`: verdicts from what lies on a host, on hosts made of folders, and on this one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyruntime.cgroup.systemd import manager
from pyruntime.engine.engines import Answer
from pyruntime.engine.wasmtime import Wasmtime
from pyruntime.look.doctor import callers, cgroups, kernel, needs, security, show, users, wasm
from pyruntime.look.doctor.verdict import FAIL, OK, UNKNOWN, WARN, Verdict, fail, ok, unknown, warn
from pyruntime.report.paint import Paint
from tests.plan.made import document

NOBODY = 65534


def levels(found: "Any") -> "list[str]":
    return [verdict.level for verdict in found]


@pytest.fixture
def us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that is us, found by PATH, beside the programs of engines."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("pyruntime", "dockerd", "containerd", "crio", "podman"):
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "argv", [str(folder / "pyruntime")])
    return folder / "pyruntime"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (None, [OK, FAIL]),
        ({"runtimes": {"x": {"path": "/usr/bin/crun"}}}, [OK, FAIL]),
        ({"runtimes": {"py": {"path": "US"}}}, [OK, OK]),
    ],
)
def test_docker_is_told_by_its_daemon_json(
    us: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: "dict[str, Any] | None", expected: "list[str]"
) -> None:
    file = tmp_path / "daemon.json"
    if settings is not None:
        file.write_text(json.dumps(settings).replace("US", str(us)))
    monkeypatch.setattr(callers, "_DOCKER", str(file))
    found = list(callers.docker())
    assert levels(found)[:2] == expected
    assert str(us) in found[1].text + found[1].fix or "--runtime py" in found[1].text


def test_a_daemon_json_that_is_none_is_unknown(us: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "daemon.json").write_text("{")
    monkeypatch.setattr(callers, "_DOCKER", str(tmp_path / "daemon.json"))
    assert levels(callers.docker()) == [OK, UNKNOWN]


def test_a_configuration_names_us_or_does_not(us: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    monkeypatch.setattr(callers, "_CRIO", (str(tmp_path / "crio.conf"), str(folder / "*")))
    monkeypatch.setattr(callers, "_BOOTED", str(tmp_path / "no-systemd"))
    assert levels(callers.crio()) == [OK, FAIL]
    (folder / "50.conf").write_text(f'[crio.runtime.runtimes.p]\n#runtime_path = "{us}"\n')
    assert levels(callers.crio()) == [OK, FAIL]
    (folder / "50.conf").write_text(f'[crio.runtime.runtimes.p]\nruntime_path = "{us}"\n')
    assert levels(callers.crio()) == [OK, OK]
    monkeypatch.setattr(callers, "_PODMAN", (str(tmp_path / "none.conf"),))
    assert levels(callers.podman()) == [OK, WARN]


def test_the_driver_needs_a_systemd_that_answers(us: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for it by themselves is told why it would be refused, and what to do."""
    monkeypatch.setattr(callers, "_BOOTED", str(tmp_path))
    monkeypatch.setattr(manager, "_SYSTEM", (str(tmp_path / "bus"),))
    monkeypatch.setattr(manager, "user_sockets", lambda *_: [str(tmp_path / "bus")])
    monkeypatch.setattr(callers, "_DOCKER", str(tmp_path / "none.json"))
    for check in (callers.docker, callers.crio, callers.podman):
        last = list(check())[-1]
        assert last.level == FAIL
        assert f"{tmp_path}/bus: nobody listens there" in last.text
        assert "cgroupfs driver" in last.fix


def test_an_engine_that_is_not_here_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers.shutil, "which", lambda *_, **__: None)
    for check in (callers.docker, callers.containerd, callers.crio, callers.podman, callers.kubernetes):
        assert levels(check()) == [FAIL]


def test_switches_of_user_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_PROC_SYS", str(tmp_path))
    (tmp_path / "user").mkdir()
    (tmp_path / "kernel").mkdir()
    assert levels(kernel.user_namespaces()) == [OK]
    (tmp_path / "user/max_user_namespaces").write_text("0\n")
    (tmp_path / "kernel/apparmor_restrict_unprivileged_userns").write_text("1\n")
    assert levels(kernel.user_namespaces()) == [FAIL, WARN]


def test_a_kernel_that_lacks_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_answer", lambda name, _: 38 if name in ("clone3", "openat2") else 22)
    assert sorted(levels(kernel.calls())) == sorted([FAIL, WARN])
    monkeypatch.setattr(kernel, "_answer", lambda name, _: 1 if name == "openat2" else 22)
    assert levels(kernel.calls()) == [OK, WARN]


def test_the_calls_are_refused_and_do_nothing() -> None:
    before = os.listdir("/proc/self/fd")
    answers = [kernel._answer(name, arguments) for name, (arguments, _) in kernel._CALLS.items()]
    assert 0 not in answers
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(("root", "level"), [("rootfs", FAIL), ("ext4", OK), (None, FAIL)])
def test_the_root(monkeypatch: pytest.MonkeyPatch, root: "str | None", level: str) -> None:
    mounts = [{"destination": "/proc", "type": "proc"}, *([{"destination": "/", "type": root}] if root else [])]
    monkeypatch.setattr(kernel.proc, "mounts", lambda _: mounts)
    assert levels(kernel.root()) == [level]


@pytest.mark.parametrize(
    ("line", "size"), [("me:100000:65536", 65536), ("1000:1:10", 10), ("you:1:10", 0), ("me:x:y", 0), ("", 0)]
)
def test_ranges_of_ids(tmp_path: Path, line: str, size: int) -> None:
    file = tmp_path / "subuid"
    file.write_text(f"# a comment\n{line}\n")
    assert users._range(str(file), ("me", "1000")) == size
    assert users._range(str(tmp_path / "none"), ("me", "1000")) == 0


def test_engines_of_wasm(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Answer("wasmtime", "", None, "engine wasmtime: not there")
    monkeypatch.setattr(wasm.engines, "survey", lambda: [absent, absent])
    assert levels(wasm.found()) == [WARN, WARN, FAIL]
    assert levels(wasm.optional()) == [WARN, WARN, WARN]
    able = Answer("wasmtime", "50.0.1", Wasmtime().abilities())
    monkeypatch.setattr(wasm.engines, "survey", lambda: [able, absent])
    assert levels(wasm.found()) == [OK, OK]


def test_every_purpose_is_examined_here(launcher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(launcher)])
    for purpose in needs.PURPOSES:
        found = needs.examine(purpose, "/")
        assert len(found) > 8
        assert all(verdict.fix for verdict in found if verdict.level == FAIL)
    assert levels(cgroups.mode())
    assert levels(security.seccomp())


@pytest.mark.parametrize(
    ("verdicts", "status", "last"),
    [
        ([ok("a"), warn("b")], 0, "every need is met"),
        ([ok("a"), fail("b", "c")], 1, "1 of 2 needs unmet"),
        ([unknown("a"), ok("b")], 2, "1 of 2 could not be looked at"),
        ([unknown("a"), fail("b", "c")], 1, "1 of 2 needs unmet"),
    ],
)
def test_the_exit_status(verdicts: "list[Verdict]", status: int, last: str) -> None:
    assert needs.status(verdicts) == status
    assert show.text(verdicts, "", Paint(-1)).splitlines()[-1] == last
    assert show.document(verdicts, "")["status"] == status


def run(launcher: Path, *words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = ["/usr/bin/python3", "-IBSXutf8", str(launcher), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


def test_the_verb(launcher: Path) -> None:
    told = run(launcher, "doctor", "--json", "--for", "wasm")
    found = json.loads(told.stdout)
    assert (told.returncode, found["for"]) == (found["status"], "wasm")
    assert {entry["verdict"] for entry in found["verdicts"]} <= {"ok", "warning", "failed", "unknown"}
    wrong = run(launcher, "doctor", "--for", "windows")
    assert wrong.returncode == 1
    assert "expected one of containerd, crio, docker" in wrong.stderr


def test_a_bundle_that_is_not_there_is_a_need(launcher: Path, tmp_path: Path) -> None:
    assert f"FAIL  {tmp_path}/none: No such file" in run(launcher, "doctor", "-b", f"{tmp_path}/none").stdout
    (tmp_path / "config.json").write_text(json.dumps(document()))
    told = " ".join(run(launcher, "doctor", "-b", str(tmp_path)).stdout.split())  # lines are as wide as a screen
    assert f"{tmp_path}: programs can be executed" in told
