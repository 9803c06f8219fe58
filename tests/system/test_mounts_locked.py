"""What the host took from a mount, a container in a user namespace can't take back, whoever starts it.

The kernel locks it (mount_namespaces(7)); the table is that of runc's integration suite, and more.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Result, Runtime, mount
from tests.system.refusing import wrapped
from tests.system.remounted import Remounted
from tests.system.users import User, own

CALLERS = ("root", "root, by mount(2)", "a user")
WORDS = {"ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "nosymfollow"}
MANY = "ro,noexec,nosymfollow,nodiratime"
KEPT = [  # how the source is mounted, the options, what the bind mount has
    (MANY, "bind", "ro noexec nosymfollow nodiratime relatime"),
    (MANY, "bind,dev", "ro noexec nodiratime relatime"),
    ("ro", "bind,nosuid,nodev,rprivate", "ro nosuid nodev"),
    ("rw,nodev,nosuid,noexec,noatime", "bind,ro", "ro nodev nosuid noexec noatime"),
    ("rw,nodev,nosymfollow", "bind,ro,symfollow", "ro nodev"),
    ("rw,nodev,nosymfollow", "bind,rw", "nodev"),
    ("rw,nodev", "bind,rw,nodev,nosuid", "nodev nosuid"),
    ("nodev,nosuid,noatime", "bind,ro,exec", "ro nodev nosuid noatime"),
    ("strictatime", "bind", ""),
    ("relatime", "bind", "relatime"),
    ("nodiratime", "bind", "nodiratime relatime"),
    ("noatime,nodiratime", "bind", "noatime nodiratime"),
    ("noatime,nodiratime", "bind,norelatime", "noatime nodiratime"),
    ("noatime", "bind,noatime", "noatime"),
    ("relatime", "bind,relatime", "relatime"),
    ("strictatime", "bind,strictatime", ""),
    ("nodiratime", "bind,nodiratime", "nodiratime relatime"),
    ("strictatime", "bind,nostrictatime", ""),
    ("nodiratime", "bind,diratime", "nodiratime relatime"),
    ("nodiratime", "bind,norelatime", "nodiratime relatime"),
    ("relatime", "bind,norelatime", "relatime"),
    ("noatime", "bind,atime", "noatime"),
    ("noatime,nodiratime", "bind,atime", "noatime nodiratime"),
    # No flag of the mount is taken back, and the file system stays as it is.
    ("rw,superblock=ro", "bind,rw", ""),
]
ATIMES = "the kind of access times"
REFUSED = [  # how the source is mounted, the options, what is locked
    ("ro", "bind,rw,nosuid,nodev,rprivate", "ro"),
    ("nodev,nosuid,noatime", "bind,dev,suid,exec,atime", "nosuid, nodev"),
    ("noexec", "bind,exec", "noexec"),
    ("nosuid,nodev", "rbind,ro,suid", "nosuid"),
    ("ro,nodev", "bind,rw,relatime", f"ro, {ATIMES}"),
    ("nodiratime", "bind,strictatime", ATIMES),
    ("relatime", "bind,strictatime", ATIMES),
    ("noatime", "bind,strictatime", ATIMES),
    ("nodiratime", "bind,noatime", ATIMES),
    ("relatime", "bind,noatime", ATIMES),
    ("relatime", "bind,nodiratime", ATIMES),
    ("strictatime", "bind,relatime", ATIMES),
    ("strictatime", "bind,noatime", ATIMES),
    ("strictatime", "bind,nodiratime", ATIMES),
    ("noatime", "bind,relatime", ATIMES),
]
RECURSIVE = [("ro", "rbind,rrw"), ("nosuid", "rbind,rsuid"), ("noatime", "rbind,rstrictatime")]


@pytest.fixture(params=CALLERS)
def rt(request: pytest.FixtureRequest, launcher: Path, readable: Path, tmp_path: Path) -> "Iterator[Runtime]":
    """pyruntime, as each of the callers."""
    if request.param == "a user":
        runtime: Runtime = User(readable, tmp_path / "user")
    else:
        way = "mount(2)" if "mount(2)" in request.param else "all calls"
        runtime = Runtime(wrapped(way, launcher, tmp_path), tmp_path / "rt")
    yield runtime
    assert not runtime.containers()


def by_mount_call(rt: Runtime) -> bool:
    return Path(rt.command("state")[0]).name == "wrapped"


def run(rt: Runtime, bundle: Bundle, *command: str) -> Result:
    """In a user namespace."""
    bundle.process["args"] = list(command)
    if isinstance(rt, User):
        own(bundle)
        bundle.config["mounts"] = [each for each in bundle.config["mounts"] if each["type"] not in ("sysfs", "cgroup")]
    else:
        bundle.user_namespace()
    return rt.run(bundle)


def bind(bundle: Bundle, place: str, options: str, source: Path) -> None:
    bundle.config["mounts"].append(mount(place, "bind", options.split(","), str(source)))


def test_what_is_not_asked_for_is_kept(rt: Runtime, bundle: Bundle, remounted: Remounted) -> None:
    for number, (have, asked, _) in enumerate(KEPT):
        bind(bundle, f"/mnt/{number}", asked, remounted(have))
    result = run(rt, bundle, "cat", "/proc/self/mountinfo")
    assert result.rc == 0, result
    found = {fields[4]: set(fields[5].split(",")) for fields in map(str.split, result.out.splitlines())}
    for number, (have, asked, seen) in enumerate(KEPT):
        assert found[f"/mnt/{number}"] & WORDS == set(seen.split()), (have, asked)


@pytest.mark.parametrize(("have", "asked", "locked"), REFUSED)
def test_what_is_locked_is_refused(
    rt: Runtime, bundle: Bundle, remounted: Remounted, have: str, asked: str, locked: str
) -> None:
    source = remounted(have)
    bind(bundle, "/mnt", asked, source)
    result = run(rt, bundle, "echo", "started")
    assert (result.rc, result.out) == (1, ""), result
    said = f"].options: cannot clear locked flags of {source} ({locked}): operation not permitted in a user namespace; "
    assert said in result.err


@pytest.fixture
def nested(remounted: Remounted) -> "Iterator[Callable[[Path], Path]]":
    """Makes a folder with the given one mounted on `below`, which covers a file."""
    made: "list[Path]" = []

    def make(source: Path) -> Path:
        outer = remounted("rw")
        made.append(outer / "below")
        made[-1].mkdir()
        (made[-1] / "covered").touch()
        subprocess.run(["mount", "--bind", source, made[-1]], check=True)
        return outer

    yield make
    for place in made:
        subprocess.run(["umount", place], check=True)


Nested = Callable[[Path], Path]


@pytest.mark.parametrize(("have", "asked"), RECURSIVE)
def test_what_is_locked_below_is_refused(
    rt: Runtime, bundle: Bundle, remounted: Remounted, nested: Nested, have: str, asked: str
) -> None:
    bind(bundle, "/mnt", asked, nested(remounted(have)))
    result = run(rt, bundle, "echo", "started")
    assert (result.rc, result.out) == (1, ""), result
    if by_mount_call(rt):
        assert "recursive attributes such as rro need Linux 5.12" in result.err
    else:
        assert "cannot clear locked flags of the mounts at and below /mnt: operation not permitted" in result.err


def test_a_remount_of_what_is_locked_is_refused(rt: Runtime, bundle: Bundle, remounted: Remounted) -> None:
    bind(bundle, "/mnt", "bind", remounted("ro"))
    bundle.config["mounts"].append({"destination": "/mnt", "type": "", "source": "", "options": ["remount", "rw"]})
    result = run(rt, bundle, "echo", "started")
    assert (result.rc, result.out) == (1, ""), result
    assert "cannot clear locked flags of the mount at /mnt: operation not permitted in a user namespace" in result.err


def test_from_inside_nothing_is_taken_back(rt: Runtime, bundle: Bundle, remounted: Remounted, nested: Nested) -> None:
    """Neither flags nor what is below a mount, by who has CAP_SYS_ADMIN in the container."""
    source = remounted("ro,nosuid,nodev,noexec")
    bind(bundle, "/outer", "rbind", nested(source))
    bind(bundle, "/mnt", "bind", source)
    bundle.process["capabilities"] = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "permitted", "effective")}
    script = (
        "for word in rw suid dev exec; do mount -o remount,bind,$word /mnt 2>/dev/null && echo $word; done; "
        "umount /outer/below 2>/dev/null && echo uncovered; ls /outer/below; echo asked"
    )
    result = run(rt, bundle, "sh", "-c", script)
    assert result.out == "asked\n", result


def test_a_bind_that_would_uncover_is_refused(
    rt: Runtime, bundle: Bundle, remounted: Remounted, nested: Nested
) -> None:
    outer = nested(remounted("rw"))
    bind(bundle, "/mnt", "bind", outer)
    result = run(rt, bundle, "echo", "started")
    assert (result.rc, result.out) == (1, ""), result
    assert f"].source {outer}: invalid argument; " in result.err
    assert "use rbind" in result.err
