"""Devices of the host: not opened, not read, not made, unless a rule says so."""

import os
from collections.abc import Callable

import pytest

from tests.system.harness import Bundle, Runtime

DENY = {"allow": False, "access": "rwm"}
HOST = {"mem": ("c", 1, 1), "kmsg": ("c", 1, 11), "loop0": ("b", 7, 0), "sda": ("b", 8, 0), "uinput": ("c", 10, 223)}
CAPABILITIES = ["CAP_MKNOD", "CAP_SYS_RAWIO", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SYSLOG"]


def tried(bundle: Bundle) -> Bundle:
    """Nodes of the host lie in the rootfs already, and its root makes more, as the default rules allow."""
    (bundle.rootfs / "nodes").mkdir()
    script = "try() { (: < $1) 2>&1 && echo opened; (: >> $1) 2>&1 && echo opened; head -c 1 $1 2>&1; }; "
    for name, (kind, major, minor) in HOST.items():
        mode = 0o666 | (0o020000 if kind == "c" else 0o060000)
        os.mknod(bundle.rootfs / "nodes" / name, mode, os.makedev(major, minor))
        script += f"mknod /tmp/{name} {kind} {major} {minor}; try /tmp/{name}; try /nodes/{name}; "
    bundle.process["capabilities"] = {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")}
    return bundle.sh(script)


@pytest.mark.parametrize(
    "resources",
    [
        {"devices": [DENY]},
        {"devices": []},
        {},
        {
            "devices": [
                {"allow": False, "access": "rwm"},
                {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"},
            ]
        },
    ],
    ids=["deny all", "empty", "absent", "one allowed"],
)
def test_denied_unless_a_rule_allows(
    rt: Runtime, make: "Callable[..., Bundle]", resources: "dict[str, object]"
) -> None:
    bundle = tried(make())
    bundle.linux["resources"] = resources
    result = rt.run(bundle)
    lines = result.out.splitlines()
    assert len(lines) == 6 * len(HOST), result
    assert all(line.endswith("Operation not permitted") for line in lines), lines


def test_a_letter_that_is_no_kind_of_access(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """It gives nothing, takes all there is, and the log says so."""
    bundle = make().sh("(: < /kmsg) 2>&1; (: >> /kmsg) 2>&1; (: < /mem) 2>&1; (: >> /mem) 2>&1 && echo opened")
    for name, minor in (("kmsg", 11), ("mem", 1)):
        os.mknod(bundle.rootfs / name, 0o20666, os.makedev(1, minor))
    bundle.process["capabilities"] = {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")}
    kmsg = {"allow": False, "type": "c", "major": 1, "minor": 11, "access": "ra"}
    memory = {"allow": True, "type": "c", "major": 1, "minor": 1, "access": "wa"}
    bundle.linux["resources"] = {"devices": [{"allow": True, "type": "c", "access": "w"}, kmsg, memory]}
    result = rt.run(bundle)
    refused = [line.endswith("Operation not permitted") for line in result.out.splitlines()[:4]]
    assert refused in ([True, True, True], [True, True, True, False]), result  # the kernel may have no such device
    assert 'devices[1].access: "a": no such kind of access; the rule denies all of them' in result.err.replace("\\", "")
    assert 'devices[2].access: "a": no such kind of access; ignored' in result.err.replace("\\", "")


def test_a_rule_gives_what_it_names_and_no_more(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """A node outside of what every container gets, for reading alone."""
    bundle = make().sh("(: < /kmsg) 2>&1 && echo opened; (: >> /kmsg) 2>&1; (: < /mem) 2>&1")
    for name, minor in (("kmsg", 11), ("mem", 1)):
        os.mknod(bundle.rootfs / name, 0o20666, os.makedev(1, minor))
    bundle.process["capabilities"] = {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")}
    rule = {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}
    bundle.linux["resources"] = {"devices": [DENY, rule]}
    lines = rt.run(bundle).out.splitlines()
    assert lines[0] == "opened"
    assert [line.endswith("Operation not permitted") for line in lines[1:]] == [True, True], lines


@pytest.mark.parametrize(("path", "found"), [("/dev/zero", "another"), ("/etc/hostname", "a file")])
def test_a_node_of_another_device_is_not_bound(rt: Runtime, bundle: Bundle, path: str, found: str) -> None:
    """In a user namespace nodes are bound by their names on the host, where such a name may be of anything."""
    bundle.linux["devices"] = [{"path": path, "type": "c", "major": 1, "minor": 3}]
    bundle.user_namespace()
    result = rt.run(bundle)
    assert result.rc == 1, found
    assert f"linux.devices[0]: {path} of the host is not the device c 1:3" in result.err


def test_a_fifo_is_the_containers_own(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("stat", "-c", "%F %a", "/fifo")
    bundle.linux["devices"] = [{"path": "/fifo", "type": "p", "fileMode": 0o620}]
    bundle.user_namespace()
    assert rt.run(bundle).out == "fifo 620\n"
