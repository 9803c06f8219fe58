"""`linux.netDevices`, with veth pairs in a network namespace of the test's own, so that nothing of the host is touched.

pyroute2 is looked for as the command itself looks for it: beside the checkout in .venv, or where the system has it.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyruntime.engine.find import find_package
from pyruntime.errors import Error
from tests.system.harness import Bundle, Result, Runtime, new_id

HAVE = ("10.1.2.3/24", "10.9.9.1 peer 10.9.9.2/32", "fd00::5/64")


def ip(*words: str) -> str:
    """What ip(8) prints."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def network() -> "Iterator[None]":
    """A network namespace for this test alone."""
    try:
        find_package("pyroute2", "package")
    except Error as error:
        pytest.skip(f"needs pyroute2: {error.text}")
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    _libc("unshare", 0x40000000)
    try:
        yield
    finally:
        _libc("setns", before, 0x40000000)
        os.close(before)


def _libc(name: str, *words: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*words):
        raise OSError(ctypes.get_errno(), name)


@pytest.fixture
def pair() -> None:
    """outer0, which is moved, and outer1, its other end."""
    veth("outer0", "outer1")
    for address in HAVE:
        ip("addr", "add", *address.split(), "dev", "outer0")
    ip("addr", "add", "10.7.7.7/24", "dev", "outer0", "scope", "link")
    ip("addr", "add", "10.6.6.6/24", "dev", "outer0", "valid_lft", "1000", "preferred_lft", "1000")
    ip("link", "set", "outer0", "mtu", "1400", "address", "02:00:00:00:00:07", "up")
    ip("link", "set", "outer1", "up")


def veth(one: str, other: str) -> None:
    ip("link", "add", one, "type", "veth", "peer", "name", other)


def moving(
    bundle: Bundle, devices: "dict[str, dict[str, str]]", script: str = "ip addr; cat /sys/class/net/*/mtu"
) -> Bundle:
    bundle.sh(script).linux["netDevices"] = devices
    applet = bundle.rootfs / "bin" / "ip"
    if not applet.is_symlink():
        applet.symlink_to("busybox")
    return bundle


def told(result: Result) -> str:
    """stderr without the log line's own quoting."""
    return result.err.replace('\\"', '"')


def names() -> "list[str]":
    return sorted(line.split()[0].partition("@")[0] for line in ip("-br", "link").splitlines())


@pytest.mark.parametrize(("given", "inside"), [({}, "outer0"), ({"name": "inner"}, "inner"), ({"name": "in%d"}, "in0")])
@pytest.mark.parametrize("user", [False, True], ids=["root", "user namespace"])
def test_a_device_comes_with_what_is_its_own(
    rt: Runtime, bundle: Bundle, pair: None, given: "dict[str, str]", inside: str, user: bool
) -> None:
    if user:
        bundle.user_namespace()
    result = rt.run(moving(bundle, {"outer0": given}))
    assert (result.rc, result.err) == (0, "")
    found = result.out
    assert f" {inside}@" in found
    assert "mtu 1400" in found
    assert "02:00:00:00:00:07" in found
    assert "UP,LOWER_UP" in found.partition(inside)[2].partition(">")[0]
    for address in HAVE:
        assert address in found
    assert "10.7.7.7" not in found, "an address of its link"
    assert "10.6.6.6" not in found, "an address for a time"
    assert "outer0" not in names()


def test_into_a_namespace_that_is_joined(rt: Runtime, bundle: Bundle, pair: None, tmp_path: Path) -> None:
    """Such a one outlives the container, and so does what was moved into it."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
    try:
        path = f"/proc/{holder.pid}/ns/net"
        while os.readlink(path) == os.readlink("/proc/self/ns/net"):
            pass
        for entry in bundle.linux["namespaces"]:
            if entry["type"] == "network":
                entry["path"] = path
        result = rt.run(moving(bundle, {"outer0": {"name": "inner"}}))
        assert (result.rc, result.err) == (0, "")
        assert (
            "10.1.2.3/24"
            in subprocess.run(
                ["nsenter", f"--net={path}", "ip", "addr", "show", "inner"], check=True, capture_output=True, text=True
            ).stdout
        )
        veth("outer0", "other")
        again = rt.run(moving(bundle, {"outer0": {"name": "inner"}}))
        assert again.rc == 1
        assert 'linux.netDevices["outer0"]: inner: file exists; a device of that name is in' in told(again)
        assert "outer0" in names()
        more = rt.run(moving(bundle, {"outer0": {"name": "inner%d"}}))
        assert (more.rc, more.err) == (0, "")
        assert "inner0@" in more.out
    finally:
        holder.kill()
        holder.wait()


def lasting(name: str) -> "list[list[str]]":
    """State and addresses of a device, without what changes with time."""
    lines = [line.split() for line in ip("addr", "show", name).splitlines()]
    return [[word for word in line if word != "tentative"] for line in lines if line[0] != "valid_lft"]


def test_one_that_can_not_move_costs_the_others_nothing(rt: Runtime, bundle: Bundle, pair: None) -> None:
    veth("second", "third")
    before = lasting("outer0")
    result = rt.run(moving(bundle, {"outer0": {"name": "inner"}, "second": {"name": "lo"}}))
    assert (result.rc, result.out) == (1, "")
    assert 'linux.netDevices["second"]: lo: file exists' in told(result)
    assert lasting("outer0") == before
    assert len(before) > len(HAVE)
    assert {"outer0", "second"} <= set(names())


def test_a_missing_device_is_told_before_anything_is_made(rt: Runtime, bundle: Bundle, pair: None) -> None:
    result = rt.run(moving(bundle, {"outer0": {}, "nobody": {}}))
    assert (result.rc, result.out) == (1, "")
    assert 'linux.netDevices["nobody"]: no such device in this network namespace; see ip link' in told(result)
    assert "[step" not in told(result)
    assert "outer0" in names()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda bundle: bundle.without("network"), 'add {"type": "network"} to linux.namespaces'),
        (lambda bundle: bundle.linux["netDevices"].update(other={"name": "outer0"}), "choose another name"),
    ],
)
def test_what_can_not_be_is_refused(
    rt: Runtime, bundle: Bundle, pair: None, change: "Callable[[Bundle], Any]", words: str
) -> None:
    change(moving(bundle, {"outer0": {}}))
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert words in told(result)
    assert "outer0" in names()


def test_rootless_containers_move_none(rt: Runtime, bundle: Bundle, pair: None) -> None:
    moving(bundle, {"outer0": {}})
    result = Runtime(rt.binary, rt.folder, "--rootless", "true").run(bundle, id=new_id())
    assert result.rc == 1
    assert "linux.netDevices: network devices are not supported for rootless containers" in told(result)
    assert "outer0" in names()
