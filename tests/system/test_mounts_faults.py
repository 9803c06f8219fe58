"""mount(2) in place of the new mount API, with calls that fail and one that lies."""

import shutil
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, new_id
from tests.system.refusing import wrapped
from tests.system.test_fault_injection import KINDS, Faults

CALLS = ("mount", "pivot_root", "umount2", "mkdirat", "readlinkat", "fchdir", "fstatfs")


@pytest.fixture(autouse=True)
def strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace, to make system calls fail")


@pytest.fixture
def rt(launcher: Path, tmp_path: Path) -> Runtime:
    """pyruntime of this tree, where none of the new calls is let through."""
    return Runtime(wrapped("old calls", launcher, tmp_path), tmp_path / "rt")


def asked(bundle: Bundle, kind: str) -> Bundle:
    """Something of everything but recursive attributes, which mount(2) has not."""
    KINDS[kind](bundle)
    for entry in bundle.config["mounts"]:
        entry["options"] = [word.replace("rro", "ro") for word in entry.get("options", [])]
    return bundle


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", KINDS)
def test_run(rt: Runtime, bundle: Bundle, kind: str, name: str) -> None:
    faults = Faults(rt, asked(bundle, kind))
    faults.sweep(name, lambda inject: faults.run(inject, new_id()), [])


def test_a_remount_that_is_not_done_is_noticed(rt: Runtime, bundle: Bundle) -> None:
    """The kernel says yes to a remount and changes nothing: nothing runs, or (a cgroup mount) it is read-only still."""
    faults = Faults(rt, asked(bundle, "plain"))
    status, undisturbed, _ = faults.run("mount:delay_enter=1", new_id())
    assert status == 0
    calls: "dict[str, int]" = {}
    remounts, refused = [], 0
    for line in faults.log.read_text().splitlines():
        pid = line.split()[0]
        calls[pid] = calls.get(pid, 0) + 1
        if "MS_REMOUNT" in line and "MS_RDONLY" in line:
            remounts.append(calls[pid])
    assert len(remounts) > 5
    for number in remounts:
        status, printed, injected = faults.run(f"mount:retval=0:when={number}", new_id())
        assert injected
        faults.judge(f"remount {number}", status, printed, undisturbed)
        refused += not printed
    assert refused > 5
    assert rt.containers() == []
