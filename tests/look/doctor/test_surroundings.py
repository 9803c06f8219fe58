"""Where we are: a root that is none, a container around us, a bundle on a mount with flags."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pyruntime.look.doctor import surroundings
from pyruntime.look.doctor.verdict import FAIL, OK, WARN
from tests.look.doctor.facts import levels, only


@pytest.mark.parametrize(
    ("root", "level", "fix"),
    [("rootfs", FAIL, "--no-pivot"), ("ext4", OK, ""), ("overlay", OK, ""), (None, FAIL, "chroot")],
)
def test_the_root(monkeypatch: pytest.MonkeyPatch, root: "str | None", level: str, fix: str) -> None:
    """An initramfs, a chroot, and what can be replaced."""
    mounts = [{"destination": "/proc", "type": "proc"}, *([{"destination": "/", "type": root}] if root else [])]
    monkeypatch.setattr(surroundings.proc, "mounts", lambda _: mounts)
    found = only(surroundings.root())
    assert (found.level, fix in found.fix) == (level, True)


FIRST = {"user": surroundings._FIRST_USER, "pid": surroundings._FIRST_PID, "mount": 1}


@pytest.mark.parametrize(
    ("own", "host", "mark", "said"),
    [
        ({}, {}, False, []),
        ({}, {}, True, []),  # an image became a machine's disk: the mark is no container
        ({"pid": 5}, {"pid": 5}, False, ["inside a container: "]),
        ({"mount": 2}, {}, True, ["inside a container with the host's processes"]),
        ({"mount": 2}, {}, False, []),
        ({"mount": 2}, {"mount": None}, True, []),  # not to be seen: nothing is said
        ({"user": 5}, {}, False, ["inside a user namespace with 1000 uids"]),
        ({"user": 5, "pid": 5}, {}, True, ["inside a user namespace", "inside a container: "]),
        ({"user": None, "pid": None}, {}, False, []),
    ],
)
def test_nesting(
    monkeypatch: pytest.MonkeyPatch, own: "dict[str, Any]", host: "dict[str, Any]", mark: bool, said: "list[str]"
) -> None:
    spaces = {"self": {**FIRST, **own}, 1: {**FIRST, **host}}
    monkeypatch.setattr(surroundings.proc, "namespaces", spaces.__getitem__)
    monkeypatch.setattr(surroundings.proc, "id_map", lambda *_: [{"containerID": 0, "hostID": 1, "size": 1000}])
    monkeypatch.setattr(os.path, "exists", lambda path: mark and path == "/.dockerenv")
    found = list(surroundings.nesting())
    assert levels(found) == [WARN] * len(said)
    assert all(verdict.text.startswith(words) for verdict, words in zip(found, said, strict=True))


@pytest.mark.root
def test_nesting_as_the_kernel_tells_it(launcher: Path) -> None:
    """In namespaces of one's own the numbers are others: not a word of it is by the names of files."""
    ours = ["/usr/bin/python3", "-IBSXutf8", str(launcher), "doctor"]
    wrap = ["unshare", "--pid", "--fork", "--mount-proc", "--user", "--map-root-user"]
    outside = subprocess.run(ours, capture_output=True, text=True, check=False, timeout=60).stdout
    inside = subprocess.run([*wrap, *ours], capture_output=True, text=True, check=False, timeout=60).stdout
    assert "warn  inside a user namespace with 1 uids" in inside
    assert "warn  inside a container: " in inside
    if os.stat("/proc/self/ns/pid").st_ino == surroundings._FIRST_PID:
        assert "inside a container" not in outside


@pytest.mark.parametrize(
    ("places", "level"),
    [(["/proc"], None), (["/proc", "/proc/sys/fs/binfmt_misc"], None), (["/proc", "/proc/kcore", "/proc/keys"], FAIL)],
)
def test_a_masked_proc(monkeypatch: pytest.MonkeyPatch, places: "list[str]", level: "str | None") -> None:
    monkeypatch.setattr(surroundings.proc, "mounts", lambda _: [{"destination": place} for place in places])
    found = list(surroundings.masked_proc())
    assert levels(found) == ([level] if level else [])
    assert not found or found[0].text.startswith("/proc/kcore and 1 more covered")


@pytest.mark.root
def test_a_masked_proc_is_refused_by_the_kernel() -> None:
    """The statement itself: the same mount is refused with a cover and taken without."""
    nested = "unshare --user --map-root-user --mount --pid --fork mount -t proc proc /mnt"
    for cover, status in (("true", 0), ("mount --bind /dev/null /proc/kcore", 32)):
        command = ["unshare", "--mount", "sh", "-c", f"{cover} && exec {nested}"]
        assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == status


@pytest.mark.root
@pytest.mark.parametrize(
    ("options", "expected"),
    [("rw", ["ok"]), ("noexec", ["FAIL"]), ("nosuid", ["warn", "ok"]), ("nosuid,noexec", ["warn", "FAIL"])],
)
def test_the_file_system_of_a_bundle(tmp_path: Path, launcher: Path, options: str, expected: "list[str]") -> None:
    doctor = f"/usr/bin/python3 -IBSXutf8 {launcher} doctor -b {tmp_path}"
    inner = f"mount -t tmpfs -o {options} tmpfs {tmp_path} && exec {doctor}"
    wrap = ["unshare", "--mount", "sh", "-c", inner]
    done = subprocess.run(wrap, capture_output=True, text=True, check=False, timeout=60)
    assert [line.split()[0] for line in done.stdout.splitlines() if str(tmp_path) in line] == expected


def test_a_bundle_that_is_not_there(tmp_path: Path) -> None:
    found = only(surroundings.bundles(str(tmp_path / "none")))
    assert (found.level, found.text) == (FAIL, f"{tmp_path}/none: No such file or directory")
