"""What the tests of ordinary users share: the users as fixtures, the whole life of a container, how one is refused."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import harness, leaks
from tests.system.harness import Bundle, Result, Runtime, emptied, new_id
from tests.system.users import UID, Delegated, User, private_etc

Make = Callable[..., Bundle]


@pytest.fixture(scope="module", autouse=True)
def accounts(own_mounts: None, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[None]":
    """The users, for this module."""
    if os.geteuid():
        yield
        return
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv (util-linux)")
    tried = subprocess.run(
        ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "unshare", "-Ur", "true"], check=False
    )
    if tried.returncode:
        pytest.skip("needs a host that lets ordinary users make user namespaces")
    yield from private_etc(tmp_path_factory.mktemp("accounts"))


@pytest.fixture
def user(readable: Path, tmp_path: Path) -> "Iterator[User]":
    """Somebody who owns no cgroup."""
    yield from emptied(User(readable, tmp_path / "user"))


@pytest.fixture
def delegated() -> "Iterator[Delegated]":
    found = Delegated(UID)
    yield found
    found.remove()


@pytest.fixture
def owner(readable: Path, tmp_path: Path, delegated: Delegated) -> "Iterator[User]":
    """Somebody in a cgroup of their own."""
    yield from emptied(User(readable, tmp_path / "owner", cgroup=delegated.leaf))


@pytest.fixture
def helpers() -> None:
    if shutil.which("newuidmap") is None:
        pytest.skip("needs newuidmap and newgidmap (Debian: uidmap)")


def status(result: Result) -> "dict[str, str]":
    """What `cat /proc/self/status` printed."""
    assert result.rc == 0, result
    return {name: value.strip() for name, _, value in (line.partition(":") for line in result.out.splitlines())}


def refused(runtime: Runtime, bundle: Bundle, *words: str) -> None:
    """One line that holds the words, and nothing is left; nothing was made, where no step is named."""
    result = runtime.run(bundle)
    assert result.rc == 1, result
    assert len(result.err.splitlines()) == 1, result
    for word in words:
        assert word in result.err, result
    assert runtime.containers() == []


def live(runtime: User, bundle: Bundle, uid: int, cgroup: bool) -> None:
    """Every verb once."""
    name = new_id()
    bundle.process["args"] = ["sleep", "60"]
    assert runtime.create(bundle, id=name).rc == 0
    assert runtime.status(name) == "created"
    assert name in runtime("list", "-q").out.split()
    pid = runtime.state(name)["pid"]
    assert runtime("start", name).rc == 0
    harness.wait_until(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes(), "the program runs")
    assert Path(f"/proc/{pid}").stat().st_uid == uid
    result = runtime("exec", name, "sh", "-c", "id -u; readlink /proc/self/ns/pid; readlink /proc/self/ns/user")
    kinds = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("pid", "user")]
    assert result.out.split() == ["0", *kinds], result
    result = runtime("exec", "--detach", "--pid-file", runtime.folder / "pid", name, "sleep", "61")
    assert result.rc == 0, result
    second = int((runtime.folder / "pid").read_text())
    assert Path(f"/proc/{second}").stat().st_uid == uid
    assert f"{pid}" in runtime("ps", name).out
    for verb, status in (("pause", "paused"), ("resume", "running")):
        result = runtime(verb, name)
        if cgroup:
            assert (result.rc, runtime.status(name)) == (0, status), result
        else:
            assert result.rc == 1
    result = runtime("events", "--stats", name)
    assert result.rc == 0 if cgroup else "no cgroup of its own" in result.err, result
    assert runtime("kill", name, "KILL").rc == 0
    harness.wait_until(lambda: _reaped(second), "the second process has ended with init")  # init waits for that
    runtime.wait_for(name, "stopped")
    assert runtime("delete", name).rc == 0


def _reaped(pid: int) -> bool:
    leaks.reap()
    return not os.path.exists(f"/proc/{pid}")
