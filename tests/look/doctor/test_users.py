"""What containers without root take, and each fix by carrying it out."""

import os
import pwd
import re
import shlex
import subprocess
from types import SimpleNamespace

import pytest

from pyruntime.look.doctor import cgroups, users
from pyruntime.look.doctor.verdict import FAIL, OK, UNKNOWN, WARN
from tests.look.doctor.facts import Host, levels, only


@pytest.fixture
def user(host: Host) -> Host:
    """A host on which we are an ordinary user."""
    host.patch.setattr(os, "geteuid", lambda: 1000)
    host.patch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_name="me"))
    host.patch.setattr(users, "_RANGES", (f"{host.root}/subuid", f"{host.root}/subgid"))
    host.patch.setattr(users, "_LINGER", f"{host.root}/linger")
    host.patch.setattr(users.proc, "status", lambda _: {"NoNewPrivs": "0"})
    return host


def test_root_is_told_that_it_does_not_know(host: Host) -> None:
    host.patch.setattr(os, "geteuid", lambda: 0)
    found = only(users.ordinary())
    assert (found.level, found.fix) == (UNKNOWN, "ask as that user")
    assert [*users.ranges(), *users.directory(), *users.lingering(), *cgroups.delegated()] == []
    host.patch.setattr(os, "geteuid", lambda: 1000)
    assert list(users.ordinary()) == []


def test_helpers_that_are_missing(user: Host) -> None:
    found = list(users.helpers())
    assert levels(found) == [FAIL, FAIL]
    assert "apt install uidmap" in found[0].fix


def test_a_helper_without_rights_and_its_fix(user: Host) -> None:
    user.install("newuidmap", "newgidmap")
    before = list(users.helpers())
    assert levels(before) == [FAIL, FAIL]
    for verdict in before:
        subprocess.run(shlex.split(verdict.fix), env={"PATH": "/usr/bin:/bin"}, check=True, timeout=10)
    assert levels(users.helpers()) == [OK, OK]


def test_helpers_by_capabilities(user: Host) -> None:
    user.install("newuidmap", "newgidmap")
    user.patch.setattr(os, "getxattr", lambda *_: b"x")
    assert levels(users.helpers()) == [OK, OK]


def test_helpers_where_rights_are_not_gained(user: Host) -> None:
    user.install("newuidmap", "newgidmap")
    user.patch.setattr(os, "getxattr", lambda *_: b"x")
    user.patch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_NOSUID))
    assert levels(users.helpers()) == [FAIL, FAIL]
    user.patch.undo()
    user.patch.setattr(users.proc, "status", lambda _: {"NoNewPrivs": "1"})
    assert next(iter(users.helpers())).text.startswith("no_new_privs is set around us")


@pytest.mark.parametrize(
    ("line", "level"),
    [("me:100000:65536", OK), ("1000:1:65536", OK), ("me:1:1000", WARN), ("you:1:65536", FAIL), ("me:x:y", FAIL)],
)
def test_ranges_of_ids_and_their_fix(user: Host, line: str, level: str) -> None:
    for name in ("subuid", "subgid"):
        user.put(name, f"# a comment\n{line}\n")
    found = list(users.ranges())
    assert levels(found) == [level, level]
    for verdict in found if level != OK else ():
        added = re.fullmatch(r"as root: usermod --add-subuids (\d+)-(\d+) --add-subgids (\d+)-(\d+) me", verdict.fix)
        assert added is not None
        for name, first, last in (("subuid", *added.groups()[:2]), ("subgid", *added.groups()[2:])):
            user.put(name, f"me:{first}:{int(last) - int(first) + 1}\n")
    assert levels(users.ranges()) == [OK, OK]


def test_no_file_of_ranges(user: Host) -> None:
    assert levels(users.ranges()) == [FAIL, FAIL]


def test_a_user_without_a_name(user: Host) -> None:
    def nobody(_: int) -> None:
        raise KeyError

    user.patch.setattr(pwd, "getpwuid", nobody)
    user.boot()
    assert only(users.lingering()).fix == "loginctl enable-linger 1000"
    assert "for 1000" in next(iter(users.ranges())).text


@pytest.mark.parametrize(
    ("value", "writable", "level", "fix"),
    [
        (None, True, FAIL, "export XDG_RUNTIME_DIR=/run/user/1000"),
        ("/run/user/1000", False, FAIL, "log in as this user"),
        ("/run/user/1000", True, OK, ""),
    ],
)
def test_the_runtime_directory(user: Host, value: "str | None", writable: bool, level: str, fix: str) -> None:
    if value is None:
        user.patch.delenv("XDG_RUNTIME_DIR", raising=False)
    else:
        user.patch.setenv("XDG_RUNTIME_DIR", value)
    user.patch.setattr(os, "access", lambda *_: writable)
    found = only(users.directory())
    assert (found.level, fix in found.fix) == (level, True)


def test_lingering(user: Host) -> None:
    assert list(users.lingering()) == []  # without systemd nobody ends anything
    user.boot()
    found = only(users.lingering())
    assert (found.level, found.fix) == (WARN, "loginctl enable-linger me")
    user.put("linger/me", "")
    assert only(users.lingering()).level == OK
