"""The kernel: its calls and its namespaces, and each fix by carrying it out."""

import os
from pathlib import Path

import pytest

from pyruntime.look.doctor import kernel
from pyruntime.look.doctor.verdict import FAIL, OK, WARN
from tests.look.doctor.facts import levels, only, released

ENOSYS, EPERM, EINVAL = 38, 1, 22


def answering(patch: pytest.MonkeyPatch, **answers: int) -> None:
    patch.setattr(kernel, "_answer", lambda name, _: answers.get(name, EINVAL))


def test_calls_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch)
    found = only(kernel.calls())
    assert (found.level, "clone3, pidfd_open" in found.text) == (OK, True)


@pytest.mark.parametrize(
    ("release", "call", "level", "said", "fix"),
    [
        ("4.19.0", "clone3", FAIL, "no clone3, which Linux 5.3 has", "a kernel from 5.3 on"),
        ("5.4.0", "openat2", WARN, "no openat2, which Linux 5.6 has; an older way", "a kernel from 5.6 on"),
        ("6.1.0", "clone3", FAIL, "has clone3, and a filter around us says", "seccomp profile"),
        ("5.10.0-x", "openat2", WARN, "has openat2, and a filter around us says", "seccomp profile"),
    ],
)
def test_calls_that_are_not(
    monkeypatch: pytest.MonkeyPatch, release: str, call: str, level: str, said: str, fix: str
) -> None:
    answering(monkeypatch, **{call: ENOSYS})
    released(monkeypatch, release)
    found = only(kernel.calls())
    assert (found.level, said in found.text, fix in found.fix) == (level, True, True)


def test_calls_that_a_filter_forbids(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, openat2=EPERM)
    assert levels(kernel.calls()) == [OK, WARN]


@pytest.mark.parametrize(("rights", "level"), [((0, 0, 0), [OK]), ((1 << 21, 1 << 21, 0), [OK, WARN])])
def test_calls_that_the_kernel_refuses_to_ordinary_users(
    monkeypatch: pytest.MonkeyPatch, rights: "tuple[int, int, int]", level: "list[str]"
) -> None:
    answering(monkeypatch, move_mount=EPERM)
    monkeypatch.setattr(kernel.caps, "capget", lambda: rights)
    assert levels(kernel.calls()) == level


def test_the_calls_are_refused_and_do_nothing() -> None:
    before = os.listdir("/proc/self/fd")
    answers = [kernel._answer(name, arguments) for name, (arguments, _) in kernel._CALLS.items()]
    assert 0 not in answers
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(("lacking", "level"), [("user", FAIL), ("time", OK), ("", OK)])
def test_kinds_of_namespaces(monkeypatch: pytest.MonkeyPatch, lacking: str, level: str) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: not lacking or not path.endswith(f"/{lacking}"))
    found = only(kernel.namespaces())
    assert found.level == level
    assert ("time too" in found.text) == (not lacking)


SWITCHES = [
    ("user/max_user_namespaces", "0", FAIL),
    ("kernel/unprivileged_userns_clone", "0", FAIL),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", WARN),
]


@pytest.mark.parametrize(("name", "value", "level"), SWITCHES)
def test_switches_of_user_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, level: str
) -> None:
    """The fix is the other value of the same switch."""
    monkeypatch.setattr(kernel, "_PROC_SYS", str(tmp_path))
    assert levels(kernel.user_namespaces()) == [OK]
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(f"{value}\n")
    found = only(kernel.user_namespaces())
    assert found.level == level
    words = found.fix.partition(",")[0].split()
    assert words[:2] == ["sysctl", "-w"]
    key, _, better = words[2].partition("=")
    assert key.replace(".", "/") == name
    (tmp_path / name).write_text(better)
    assert levels(kernel.user_namespaces()) == [OK]
