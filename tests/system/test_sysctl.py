"""`linux.sysctl` on a real kernel: in the container's namespace and nowhere else, whatever lies over its /proc."""

from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, mount

ASKED = {
    "kernel.msgmax": "4096",
    "kernel.sem": "251 32001 101 129",
    "kernel/shmmax": "0x100000",
    "kernel.domainname": "example.org",
    "fs.mqueue.msg_max": "20",
    "net.ipv4.ip_forward": "1",
    "net.ipv4.ping_group_range": "0 5",
    "net.ipv4.ip_local_reserved_ports": "1000,1001,1002",
}
SHOWN = ["4096", "251\t32001\t101\t129", "1048576", "example.org", "20", "1", "0\t5", "1000-1002"]
FILES = [Path("/proc/sys") / name.replace(".", "/") for name in ASKED]


def test_they_are_in_force_inside_and_not_outside(rt: Runtime, bundle: Bundle) -> None:
    before = [file.read_text() for file in FILES]
    bundle.sh("cat " + " ".join(map(str, FILES))).linux["sysctl"] = ASKED
    result = rt.run(bundle)
    assert (result.rc, result.err) == (0, "")
    assert result.out.splitlines() == SHOWN
    assert [file.read_text() for file in FILES] == before


def test_of_a_user_namespace(rt: Runtime, bundle: Bundle) -> None:
    file = "/proc/sys/user/max_net_namespaces"
    before = Path(file).read_text()
    bundle.sh(f"cat {file}").user_namespace().linux["sysctl"] = {"user.max_net_namespaces": "5"}
    result = rt.run(bundle)
    assert (result.rc, result.out) == (0, "5\n")
    assert Path(file).read_text() == before


def test_a_cover_over_proc_is_not_written_to(rt: Runtime, bundle: Bundle) -> None:
    canary = bundle.path / "forged" / "sys" / "kernel" / "msgmax"
    canary.parent.mkdir(parents=True)
    canary.write_text("untouched")
    bundle.config["mounts"] = [entry for entry in bundle.config["mounts"] if entry["destination"] != "/proc"]
    bundle.config["mounts"] += [
        mount("/proc", "bind", ["rbind"], str(bundle.path / "forged")),
        mount("/real", "proc"),
    ]
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    bundle.sh("cat /real/sys/kernel/msgmax").linux["sysctl"] = {"kernel.msgmax": "4096"}
    result = rt.run(bundle)
    assert (result.rc, result.out) == (0, "4096\n")
    assert canary.read_text() == "untouched"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("kernel.msgmax", "many", "invalid argument"),
        ("net.ipv4.no_such_setting", "1", "this kernel has no such setting"),
        ("kernel.sem", "1 2 3", "the kernel has made"),
    ],
)
def test_what_the_kernel_does_not_take_stops_the_start(
    rt: Runtime, bundle: Bundle, name: str, value: str, words: str
) -> None:
    bundle.sh("echo RAN").linux["sysctl"] = {name: value}
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert f'linux.sysctl["{name}"] = "{value}": ' in result.err.replace('\\"', '"')
    assert words in result.err
