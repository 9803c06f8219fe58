"""Control groups: the tree, its controllers, and what of it was given to a user."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyruntime.cgroup import tree
from pyruntime.look.doctor import cgroups, surroundings
from pyruntime.look.doctor.verdict import FAIL, OK, UNKNOWN, WARN
from tests.look.doctor.facts import Host, levels, only, released
from tests.system import leaks

ALL = "cpu cpuset io memory pids"
WSL = "5.15.153.1-microsoft-standard-WSL2"


@pytest.mark.parametrize(
    ("mode", "release", "level", "fix"),
    [
        ("unified", "6.1.0", OK, ""),
        ("hybrid", "6.1.0", WARN, "boot with systemd.unified_cgroup_hierarchy=1"),
        ("v1", "6.1.0", FAIL, "boot with systemd.unified_cgroup_hierarchy=1"),
        ("hybrid", WSL, WARN, ".wslconfig"),
        ("v1", WSL, FAIL, ".wslconfig"),
        ("unified", WSL, OK, ""),
        ("none", "6.1.0", FAIL, "mount -t cgroup2 cgroup2 /sys/fs/cgroup"),
    ],
)
def test_the_tree(host: Host, mode: str, release: str, level: str, fix: str) -> None:
    released(host.patch, release)
    host.tree(tree.Tree(mode, "/x" if mode in ("unified", "hybrid") else ""))
    found = only(cgroups.mode())
    assert (found.level, fix in found.fix, bool(found.fix)) == (level, True, bool(fix))
    assert levels(surroundings.wsl()) == [OK] * (release == WSL)


def test_a_tree_that_is_mounted_read_only(host: Host) -> None:
    """As containers have it, where every start fails for it."""
    host.tree(tree.Tree("unified", "/proc"))
    assert only(cgroups.mode()).level == OK
    flags = os.statvfs("/proc").f_flag | os.ST_RDONLY
    host.patch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=flags))
    found = only(cgroups.mode())
    assert (found.level, "remount,rw /proc" in found.fix) == (WARN if os.geteuid() else FAIL, True)


@pytest.mark.parametrize(
    ("there", "mode", "level", "fix"),
    [
        (ALL, "unified", OK, ""),
        ("cpu memory", "unified", WARN, "cgroup_disable="),
        ("hugetlb", "hybrid", WARN, "unified_cgroup_hierarchy"),
        (None, "unified", UNKNOWN, "as root"),
    ],
)
def test_controllers(host: Host, there: "str | None", mode: str, level: str, fix: str) -> None:
    host.tree(tree.Tree(mode, f"{host.root}/cg"))
    if there is not None:
        host.put("cg/cgroup.controllers", there)
    found = only(cgroups.controllers())
    assert (found.level, fix in found.fix) == (level, True)


def test_without_a_tree_nothing_is_said_of_controllers(host: Host) -> None:
    host.tree(tree.Tree("none"))
    assert [*cgroups.controllers(), *cgroups.delegated()] == []


DELEGATED = [  # the user's cgroup, its controllers, the top's; and what is said
    ("user", ALL, ALL, OK, ""),
    ("user", "memory pids", ALL, FAIL, "Delegate=cpu cpuset io memory pids"),
    ("user", "hugetlb", "hugetlb", FAIL, "unified_cgroup_hierarchy"),
    ("user", None, ALL, UNKNOWN, "as root"),
    ("", ALL, ALL, FAIL, "log in by a session of systemd"),
]


@pytest.mark.parametrize(("owned", "own", "top", "level", "fix"), DELEGATED)
def test_delegation(host: Host, owned: str, own: "str | None", top: str, level: str, fix: str) -> None:
    host.tree(tree.Tree("unified", f"{host.root}/cg"), "/user/session")
    host.put("cg/cgroup.controllers", top)
    host.put("cg/user/session/cgroup.procs", "")
    host.put("cg/user/cgroup.procs", "")
    if own is not None:
        host.put("cg/user/cgroup.controllers", own)
    host.boot()
    mine = {f"{host.root}/cg/{owned}", f"{host.root}/cg/{owned}/cgroup.procs"} if owned else set()
    host.patch.setattr(os, "geteuid", lambda: 1000)
    host.patch.setattr(os, "access", lambda path, _: path in mine)
    found = only(cgroups.delegated())
    assert (found.level, fix in found.fix) == (level, True)
    assert level not in (OK, FAIL) or not owned or f"delegated to you at {host.root}/cg/user: " in found.text


@pytest.mark.root
def test_a_cgroup_given_by_hand(host: Host) -> None:
    """Where no systemd runs: the command of the fix, on the real tree, and for a process that is there for it."""
    mount = leaks.cgroup2_mount()
    if not mount:
        pytest.skip("needs a cgroup2 tree")
    shell = subprocess.Popen(["/bin/sleep", "60"])
    host.tree(tree.Tree("unified", mount), "/")
    host.patch.setattr(os, "geteuid", lambda: 20773)
    host.patch.setattr(os, "getppid", lambda: shell.pid)
    host.patch.setattr(os, "access", lambda *_: False)
    fix = only(cgroups.delegated()).fix
    place = Path(mount) / "user-20773"
    try:
        subprocess.run(
            ["sh", "-c", fix.removeprefix("as root: ")], env={"PATH": "/usr/bin:/bin"}, check=True, timeout=10
        )
        assert [(place / name).stat().st_uid for name in (".", "cgroup.procs")] == [20773, 20773]
        assert (place / "cgroup.procs").read_text() == f"{shell.pid}\n"
    finally:
        shell.kill()
        shell.wait()
        if place.exists():
            place.rmdir()


def test_the_drop_in_that_delegates(tmp_path: Path) -> None:
    """The command of the fix, up to the reload, writes a file that systemd understands."""
    command = cgroups._DELEGATE.removeprefix("as root: ").partition(" && systemctl")[0]
    subprocess.run(["sh", "-c", command.replace("/etc/systemd", str(tmp_path))], check=True, timeout=10)
    written = (tmp_path / "system/user@.service.d/delegate.conf").read_text()
    assert written == f"[Service]\nDelegate={ALL}\n"
