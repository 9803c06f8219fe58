"""Names of sysctls: what is taken belongs to a namespace of the container's, however it is spelt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.config.rules.sysctl import canonical, owner
from pyruntime.config.spec import Config
from pyruntime.config.validate import validate
from pyruntime.errors import ConfigError
from pyruntime.steps.sysctl import same_setting, sysctl_path

EVERY = ["pid", "network", "ipc", "uts", "mount", "user"]
MAPS = [{"containerID": 0, "hostID": 1000, "size": 1}]
IPC = {"msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"}


def config(name: str, kinds: "list[str]") -> Config:
    maps = MAPS if "user" in kinds else []
    linux = {"namespaces": [{"type": kind} for kind in kinds], "uidMappings": maps, "gidMappings": maps}
    document = {"ociVersion": "1.2.0", "root": {"path": "r"}, "process": {"cwd": "/", "args": ["a"]}}
    return Config.read({**document, "linux": {**linux, "sysctl": {name: "1"}}}, "")


def taken(name: str, kinds: "list[str]") -> bool:
    try:
        validate(config(name, kinds))
    except ConfigError as error:
        assert error.path.startswith("linux.sysctl")  # noqa: PT017
        return False
    return True


TABLE = [
    *((f"kernel.{name}", "ipc") for name in sorted(IPC)),
    ("fs.mqueue.msg_max", "ipc"),
    ("fs/mqueue/queues_max", "ipc"),
    ("net.ipv4.ip_forward", "network"),
    ("net/ipv4/conf/eth0.100/forwarding", "network"),
    ("net.ipv4.conf.eth0/100.forwarding", "network"),
    ("kernel.domainname", "uts"),
    ("user.max_user_namespaces", "user"),
]


@pytest.mark.parametrize(("name", "kind"), TABLE)
def test_each_needs_its_own_kind_of_namespace(name: str, kind: str) -> None:
    assert owner(canonical(name)) == kind
    assert taken(name, EVERY)
    assert not taken(name, [each for each in EVERY if each != kind])


@pytest.mark.parametrize(
    "name",
    [
        "kernel.core_pattern", "kernel.hostname", "kernel.shmmax2", "kernel.msgmax.x", "kernel", "fs.mqueue",
        "fs.nr_open",
        "fs.mqueue/../nr_open", "net", "net.", "netx.y", "vm.overcommit_memory", "net/../kernel/core_pattern",
        "net.ipv4/../../kernel/core_pattern", "net//ipv4", "/net/ipv4/ip_forward", "net/ipv4/", ".net.ipv4.x",
        "kernel/../net/core", "user.", "net.//.kernel", "net./.kernel", "", ".", "/", "..", "dev.cdrom.debug",
    ],
)  # fmt: skip
def test_what_is_the_hosts_is_refused(name: str) -> None:
    assert not taken(name, EVERY)


@given(st.text(alphabet="./netkrlfsmquipxcod_", max_size=24) | st.text(max_size=12))
def test_whatever_the_name_the_file_lies_where_the_namespace_is(name: str) -> None:
    """The path that is opened has no empty part, no dots for parts, and begins in a folder of its namespace."""
    try:
        if not taken(name, EVERY):
            return
    except ConfigError:  # no text for the kernel at all
        return
    parts = sysctl_path(name).split("/")
    assert not {"", ".", ".."} & set(parts)
    kind = owner(canonical(name))
    assert {"network": parts[0] == "net", "user": parts[0] == "user", "uts": parts == ["kernel", "domainname"],
            "ipc": parts[:2] == ["fs", "mqueue"] or (len(parts) == 2 and parts[0] == "kernel" and parts[1] in IPC),
            }[kind]  # fmt: skip


@given(st.lists(st.text(alphabet="ab.", min_size=1, max_size=4), min_size=1, max_size=5))
def test_both_ways_of_reading_a_name_agree(parts: "list[str]") -> None:
    """Rules judge the canonical name, the step opens the path."""
    name = "net/" + "/".join(parts)
    assert sysctl_path(name) == name == canonical(name).translate({46: "/", 47: "."})
    dotted = name.translate({46: "/", 47: "."})
    assert canonical(dotted) == dotted
    assert sysctl_path(dotted) == name


@pytest.mark.parametrize(
    ("asked", "found", "same"),
    [
        ("4096", "4096\n", True),
        ("250 32000 100 128", "250\t32000\t100\t128\n", True),
        ("0x1000", "4096\n", True),
        ("010", "8\n", True),
        ("010", "10\n", False),
        ("a.b", "a.b\n", True),
        ("", "\n", True),
        ("4096", "8192\n", False),
        ("4096", "4096\t1\n", False),
        ("a", "(none)\n", False),
    ],
)
def test_what_the_kernel_shows_is_what_was_written(asked: str, found: str, same: bool) -> None:
    assert same_setting(asked, found) is same
