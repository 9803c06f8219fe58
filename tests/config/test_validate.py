"""What must hold between the values of a configuration, and what pyruntime says it cannot do."""

import pytest
from hypothesis import given

from pyruntime.config.process import Process
from pyruntime.config.resources import Resources
from pyruntime.config.rules.process import validate_process
from pyruntime.config.rules.sysctl import canonical, owner
from pyruntime.config.spec import Config
from pyruntime.config.validate import RULES, validate, validate_resources
from pyruntime.errors import ConfigError
from tests import strategies
from tests.config.documents import GONE, TYPICAL, changed, everything

NAMESPACES = ["pid", "network", "ipc", "uts", "mount", "cgroup", "user", "time"]


def without(kind: str) -> "list[dict[str, str]]":
    return [{"type": name} for name in NAMESPACES if name != kind]


def joined(kind: str) -> "list[dict[str, str]]":
    return [*without(kind), {"type": kind, "path": "/proc/1/ns/x"}]


def mapping(container: int, host: int, size: int) -> "dict[str, int]":
    return {"containerID": container, "hostID": host, "size": size}


def read(*changes: "tuple[str, object]") -> Config:
    document = everything()
    for path, value in changes:
        document = changed(document, path, value)
    return Config.read(document, "")


@pytest.mark.parametrize("document", [TYPICAL, everything()], ids=["typical", "everything"])
def test_good_documents_pass(document: "dict[str, object]") -> None:
    validate(Config.read(document, ""))


GOOD = [
    ("ociVersion", "1.0.2-dev"),
    ("ociVersion", "1.99.0+build.5"),
    ("linux.namespaces", joined("user")),
    ("linux.namespaces", joined("uts")),
    ("linux.resources.memory", {"swap": -1}),
    ("linux.resources.memory", {"limit": -1, "swap": -1}),
    ("linux.resources.memory", {"limit": 5, "swap": 5}),
    ("linux.resources.memory", {"limit": 5, "swap": 0}),
    ("linux.resources.cpu", {"quota": -1, "period": 0, "burst": 5, "idle": 1}),
    ("linux.resources.devices[0].major", -1),
    ("linux.uidMappings", [mapping(1, 0, 5), mapping(0, 5, 1), mapping(6, 6, 2**32 - 7)]),
    ("process.scheduler", {"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3}),
    ("process.scheduler", {"policy": "SCHED_OTHER", "nice": -20, "priority": 0}),
    ("process.execCPUAffinity", {"initial": " 0-3, 7 ", "final": ""}),
    ("process.env[1]", "A=b=c"),
    ("mounts[0].destination", "proc"),
    ("mounts[0].options", ["remount"]),
    ("linux.devices[0]", {"type": "p", "path": "/dev/fifo"}),
    ("linux.intelRdt.closID", "/"),
    ("linux.memoryPolicy", {"mode": "MPOL_PREFERRED"}),
    ("linux.memoryPolicy.nodes", " 0 , 2 - 3"),
    ("linux.netDevices", {"a": {"name": "eth%d"}, "b": {"name": "eth%d"}}),
    ("linux.sysctl", {"user.max_net_namespaces": "5", "kernel.domainname": "d", "fs.mqueue.msg_max": "5"}),
    ("process.capabilities", {"ambient": ["CAP_KILL"]}),
]


@pytest.mark.parametrize(("path", "value"), GOOD)
def test_what_is_unusual_but_right_passes(path: str, value: object) -> None:
    validate(read((path, value)))


BAD = [
    ("ociVersion", "0.5.0-dev", ': expected 1.x, such as "1.3.0", got "0.5.0-dev"'),
    ("ociVersion", "1.0", ': expected 1.x, such as "1.3.0", got "1.0"'),
    ("ociVersion", "2.0.0", ": expected 1.x"),
    ("ociVersion", "1.01.0", ": expected 1.x"),
    ("ociVersion", "1.0.0.0", ": expected 1.x"),
    ("ociVersion", "", ": expected 1.x"),
    ("ociVersion", "1.x.0", ": expected 1.x"),
    ("root", GONE, ": root must be specified"),
    ("root.path", "", ": expected a path, got an empty string"),
    ("process", GONE, ": process property must not be empty"),
    ("process.cwd", "", ": Cwd property must not be empty"),
    ("process.cwd", "tmp", ': Cwd must be an absolute path, got "tmp"'),
    ("process.args", GONE, ": args must not be empty"),
    ("process.args", [], ": args must not be empty"),
    ("process.env[0]", "PATH", ': expected NAME=VALUE, got "PATH"'),
    ("process.env[1]", "=x", ': expected NAME=VALUE, got "=x"'),
    ("process.env[1]", "", ': expected NAME=VALUE, got ""'),
    ("process.rlimits[0].soft", 4096, ": expected at most the hard limit 2048, got 4096"),
    (
        "process.rlimits[1]",
        {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1},
        'process.rlimits[1].type: "RLIMIT_NOFILE" stands twice',
    ),
    (
        "process.scheduler",
        {"policy": "SCHED_OTHER", "nice": 20},
        "process.scheduler.nice: expected an integer from -20",
    ),
    (
        "process.scheduler",
        {"policy": "SCHED_OTHER", "nice": -21},
        "process.scheduler.nice: expected an integer from -20",
    ),
    ("process.scheduler", {"policy": "SCHED_BATCH", "priority": 1}, "process.scheduler.priority: only SCHED_FIFO and"),
    (
        "process.scheduler",
        {"policy": "SCHED_RR"},
        "process.scheduler.priority: SCHED_RR needs one from 1 to 99, got null",
    ),
    ("process.scheduler.priority", 100, ": SCHED_FIFO needs one from 1 to 99, got 100"),
    ("process.scheduler.runtime", 5, ": only SCHED_DEADLINE has one, the policy is SCHED_FIFO"),
    ("process.scheduler.deadline", 5, ": only SCHED_DEADLINE has one"),
    ("process.scheduler.period", 5, ": only SCHED_DEADLINE has one"),
    ("process.ioPriority.priority", 8, ": expected an integer from 0 to 7, got 8"),
    ("process.ioPriority.priority", -1, ": expected an integer from 0 to 7, got -1"),
    ("process.execCPUAffinity.initial", "3-1", ': expected a list of CPUs such as "0-3,7", got "3-1"'),
    ("process.execCPUAffinity.final", "1,,2", ": expected a list of CPUs"),
    ("process.execCPUAffinity.final", "-1", ": expected a list of CPUs"),
    ("process.execCPUAffinity.final", "0-99999999999", ": expected CPUs from 0 to 65535"),
    ("mounts[0].destination", "/./", ": nothing can be mounted over the container's root"),
    ("mounts[1].source", GONE, ": a bind mount needs one"),
    ("mounts[0].type", GONE, ": missing, expected a filesystem"),
    ("mounts[0].uidMappings", [mapping(0, 0, 1)], ": only bind mounts can be id-mapped"),
    ("mounts[1].uidMappings", [mapping(0, 0, 1)], "mounts[1].gidMappings: missing, and uidMappings is there"),
    ("mounts[1].gidMappings", [mapping(0, 0, 1)], "mounts[1].uidMappings: missing, and gidMappings is there"),
    ("annotations", {"": "x"}, ": expected keys that are not empty"),
    ("hooks.createRuntime[0].path", "hook", ': expected an absolute path, got "hook"'),
    ("hooks.createRuntime[0].env[0]", "A", ': expected NAME=VALUE, got "A"'),
    ("hooks.poststop", [{"path": ""}], 'hooks.poststop[0].path: expected an absolute path, got ""'),
    ("linux.devices[0].major", 4096, ": expected an integer from 0 to 4095, got 4096"),
    ("linux.devices[0].minor", -1, ": expected an integer from 0 to 1048575, got -1"),
    ("linux.devices[0].minor", GONE, ": expected an integer from 0 to 1048575, got nothing: the key is missing"),
    ("linux.namespaces[8]", {"type": "pid"}, 'linux.namespaces[8].type: "pid" stands twice in the list'),
    ("linux.namespaces[0].path", "proc/1", ': expected an absolute path, got "proc/1"'),
    ("linux.uidMappings", GONE, ': linux.namespaces has "user" but linux.uidMappings is empty'),
    ("linux.gidMappings", [], ': linux.namespaces has "user" but linux.gidMappings is empty'),
    ("linux.namespaces", without("user"), 'linux.uidMappings: id mappings need a user namespace: add {"type": "user"}'),
    ("linux.uidMappings[0].size", 0, ": expected at least 1, got 0"),
    ("linux.uidMappings[0].size", 2**32 - 1, ": hostID + size is above the last id 4294967294"),
    (
        "linux.gidMappings[1]",
        mapping(99, 5000, 1),
        "linux.gidMappings[1].containerID: 99 overlaps the range of linux.gidM",
    ),
    (
        "linux.gidMappings[1]",
        mapping(100, 900, 101),
        "linux.gidMappings[0].hostID: 1000 overlaps the range of linux.gidMap",
    ),
    ("linux.uidMappings", [mapping(n, n, 1) for n in range(341)], ": expected at most 340 lines, got 341"),
    ("linux.namespaces", without("uts"), "hostname: unable to set hostname without a private UTS namespace: add"),
    ("hostname", "h" * 65, ": expected at most 64 bytes"),
    ("linux.namespaces", without("time"), "linux.timeOffsets: offsets need a time namespace"),
    ("linux.namespaces", joined("time"), "linux.timeOffsets: the time namespace is joined"),
    ("linux.timeOffsets.monotonic.nanosecs", 10**9, ": expected an integer from 0 to 999999999, got 1000000000"),
    ("linux.namespaces", without("mount"), "linux.maskedPaths: unable to restrict sys entries without a private MNT"),
    ("linux.maskedPaths[0]", "proc/kcore", ': expected an absolute path, got "proc/kcore"'),
    ("linux.readonlyPaths[0]", "", ': expected an absolute path, got ""'),
    (
        "linux.namespaces",
        without("network"),
        'linux.netDevices["eth0"]: network devices are moved into a network names',
    ),
    ("linux.netDevices", {"x" * 16: {}}, 'linux.netDevices["xxxxxxxxxxxxxxxx"]: expected an interface name'),
    ("linux.netDevices", {"eth0": {"name": "x%s"}}, 'linux.netDevices["eth0"]: expected at most one "%", as "%d"'),
    ("linux.netDevices", {"eth0": {"name": "%d%d"}}, 'linux.netDevices["eth0"]: expected at most one "%", as "%d"'),
    ("linux.netDevices", {"eth0": {"name": "a/b"}}, 'linux.netDevices["eth0"]: expected an interface name'),
    (
        "linux.sysctl",
        {"kernel.hostname": "x"},
        'linux.sysctl["kernel.hostname"]: sysctl "kernel.hostname" conflicts with "hostname"',
    ),
    (
        "linux.sysctl",
        {"vm.swappiness": "1"},
        'linux.sysctl["vm.swappiness"]: sysctl "vm.swappiness" is not in a separate kernel namespace',
    ),
    ("linux.sysctl", {"net": "1"}, 'linux.sysctl["net"]: sysctl "net" is not in a separate kernel namespace'),
    (
        "linux.sysctl",
        {"kernel/core_pattern": "1"},
        'linux.sysctl["kernel/core_pattern"]: sysctl "kernel/core_pattern" is',
    ),
    ("linux.sysctl", {"net..ipv4": "1"}, 'linux.sysctl["net..ipv4"]: expected a name such as'),
    (
        "linux.sysctl",
        {"net/../kernel/core_pattern": "1"},
        'linux.sysctl["net/../kernel/core_pattern"]: expected a name such',
    ),
    (
        "linux.sysctl",
        {"net.//.kernel.core_pattern": "1"},
        'linux.sysctl["net.//.kernel.core_pattern"]: expected a name such',
    ),
    ("linux.resources.memory.limit", -2, ": expected bytes, or -1 for no limit, got -2"),
    (
        "linux.resources.memory.limit",
        GONE,
        "linux.resources.memory.swap: unable to set swap limit without memory limit",
    ),
    ("linux.resources.memory.swap", 999, ": memory+swap limit should be >= memory limit, got 999 for swap and 1000"),
    ("linux.resources.cpu.idle", 2, ": expected an integer from 0 to 1, got 2"),
    ("linux.resources.cpu.period", 999, ": expected an integer from 1000 to 1000000, got 999"),
    ("linux.resources.cpu.quota", 999, ": expected at least 1000 microseconds"),
    ("linux.resources.cpu.burst", 50001, ": expected at most the quota of 50000, got 50001"),
    ("linux.resources.blockIO.weight", 9, ": expected an integer from 10 to 1000, got 9"),
    ("linux.resources.blockIO.weightDevice[0].weight", 1001, ": expected an integer from 10 to 1000, got 1001"),
    ("linux.resources.blockIO.throttleReadBpsDevice[0].minor", 1 << 20, ": expected an integer from 0 to 1048575"),
    ("linux.resources.unified", {"a/b.c": "1"}, 'linux.resources.unified["a/b.c"]: expected a file name such as'),
    ("linux.resources.unified", {"memory": "1"}, 'linux.resources.unified["memory"]: expected a file name'),
    ("linux.resources.unified", {".high": "1"}, 'linux.resources.unified[".high"]: expected a file name'),
    ("linux.resources.devices[0].major", -2, ": expected an integer from -1 to 4095, got -2"),
    ("linux.seccomp.defaultAction", GONE, ": missing, and there are system calls listed"),
    ("linux.seccomp.defaultAction", "SCMP_ACT_NOTIFY", ": SCMP_ACT_NOTIFY would stop init"),
    (
        "linux.seccomp.syscalls[0].action",
        "SCMP_ACT_NOTIFY",
        "linux.seccomp.listenerPath: needed by SCMP_ACT_NOTIFY in sys",
    ),
    ("linux.seccomp.syscalls[1].args[0].index", 6, ": expected an integer from 0 to 5, got 6"),
    (
        "linux.memoryPolicy",
        {"mode": "MPOL_LOCAL", "nodes": "0-7"},
        "linux.memoryPolicy.nodes: MPOL_LOCAL takes no nodes (mode requires 0 nodes but got 8)",
    ),
    ("linux.memoryPolicy.nodes", "0-9876543210", ": expected memory nodes from 0 to 32767, got"),
    ("linux.memoryPolicy.nodes", "2-1", ": expected a list of memory nodes such as"),
    ("linux.memoryPolicy.nodes", "", ': MPOL_BIND needs some, such as "0-1"'),
    ("linux.intelRdt.closID", "a/b", ': expected one name without "/", or "/" itself, got "a/b"'),
    ("linux.intelRdt.closID", "..", ': expected one name without "/", or "/" itself'),
    ("linux.intelRdt.closID", "info", ': expected one name without "/", or "/" itself'),
    ("linux.intelRdt.schemata[0]", "L3:0=f\nMB:0=9", ": expected one line"),
    ("linux.intelRdt.l3CacheSchema", "L3:0=f\n", ": expected one line"),
    ("linux.netDevices", {"a": {"name": "x"}, "x": {}}, 'linux.netDevices["x"]: another device is "x" inside'),
]


@pytest.mark.parametrize(("path", "value", "words"), BAD, ids=[f"{row[0]}-{n}" for n, row in enumerate(BAD)])
def test_contradictions_are_refused_with_their_path(path: str, value: object, words: str) -> None:
    """Words that begin with a colon stand after the path that was changed, others tell another path themselves."""
    with pytest.raises(ConfigError) as caught:
        validate(read((path, value)))
    assert str(caught.value).startswith(path + words if words.startswith(":") else words)
    assert str(caught.value).isprintable()


def test_every_rule_is_the_reason_of_some_refusal() -> None:
    """With one rule left out, some document of the table passes or fails otherwise: no rule is idle."""
    documents = [(read((path, value)), path + words if words.startswith(":") else words) for path, value, words in BAD]
    for left_out in RULES:
        others = [rule for rule in RULES if rule is not left_out]
        assert any(_first_problem(others, config)[: len(text)] != text for config, text in documents), left_out


def _first_problem(rules: "list[object]", config: Config) -> str:
    try:
        for rule in rules:
            rule(config)  # type: ignore[operator]
    except ConfigError as error:
        return str(error)
    except AttributeError:
        return "a later rule relies on this one"
    return ""


def test_write_cannot_be_notified() -> None:
    changes = [("linux.seccomp.listenerPath", "/s"), ("linux.seccomp.syscalls[0].action", "SCMP_ACT_NOTIFY")]
    validate(read(*changes))
    with pytest.raises(ConfigError, match=r"syscalls\[0\].names: SCMP_ACT_NOTIFY cannot be used for the write syscall"):
        validate(read(*changes, ("linux.seccomp.syscalls[0].names", ["write"])))


def test_a_domain_name_needs_a_namespace_too() -> None:
    with pytest.raises(ConfigError, match=r"^domainname: unable to set domainname without a private UTS namespace"):
        validate(read(("hostname", ""), ("domainname", "d"), ("linux.namespaces", without("uts"))))


@pytest.mark.parametrize("name", ["net.ipv4.ip_forward", "kernel.sem", "user.max_user_namespaces", "kernel.domainname"])
def test_a_sysctl_needs_its_namespace(name: str) -> None:
    kind = owner(name)
    bare = Config.read({"ociVersion": "1.0.0", "root": {"path": "r"}, "process": {"cwd": "/", "args": ["a"]}}, "")
    linux = bare.linux.replace(sysctl={name: "1"})
    with pytest.raises(ConfigError, match=f'sysctl "{name}" is not in a separate kernel namespace.*"{kind}"'):
        validate(bare.replace(linux=linux))
    document = {**linux.to_json(), "namespaces": [{"type": kind, "path": "/ns"}]}
    validate(bare.replace(linux=type(linux).read(document, "linux")))


def test_sysctl_separators() -> None:
    assert canonical("net/ipv4/conf/eth0.1/x") == "net.ipv4.conf.eth0/1.x"
    assert canonical("net.ipv4.conf.eth0/1.x") == "net.ipv4.conf.eth0/1.x"
    assert canonical("kernel") == "kernel"


@given(strategies.configs)
def test_validation_raises_nothing_else(document: "dict[str, object]") -> None:
    config = Config.read(document, "")
    try:
        validate(config)
    except ConfigError as error:
        assert str(error).isprintable()  # noqa: PT017


def test_a_process_of_exec_is_checked_alone() -> None:
    with pytest.raises(ConfigError, match=r"^process.args: args must not be empty"):
        validate_process(Process(cwd="/"), "process")
    validate_process(Process(cwd="/", args=["a"]), "process")


def test_an_update_may_set_swap_alone() -> None:
    swap_alone = Resources.read({"memory": {"swap": 5}}, "resources")
    validate_resources(swap_alone, "resources", update=True)
    with pytest.raises(ConfigError, match=r"^resources.memory.swap: unable to set swap limit without memory limit"):
        validate_resources(swap_alone, "resources")
    with pytest.raises(ConfigError, match=r"^resources.memory.swap: memory\+swap limit should be >= memory limit"):
        validate_resources(Resources.read({"memory": {"swap": 5, "limit": 6}}, ""), "resources", update=True)


@pytest.mark.parametrize("word", ["idmap", "ridmap", "idmap=uids=0-1-1"])
def test_id_maps_of_mounts(word: str) -> None:
    """Taken of a bind mount, with one source of the maps."""
    validate(Config.read(changed(TYPICAL, "mounts[1].options[1]", word), ""))
    with pytest.raises(ConfigError, match=r"^mounts\[0\].options\[0\]: only bind mounts can be id-mapped"):
        validate(Config.read(changed(TYPICAL, "mounts[0].options", [word]), ""))
    both = {"options": ["bind", word], "uidMappings": [mapping(0, 0, 1)], "gidMappings": [mapping(0, 0, 1)]}
    config = Config.read(changed(TYPICAL, "mounts[1]", {"destination": "/a", "source": "/b", **both}), "")
    if "=" in word:
        with pytest.raises(ConfigError, match=r"^mounts\[1\].options\[1\]: maps ids, and so does uidMappings"):
            validate(config)
    else:
        validate(config)


@pytest.mark.parametrize("name", ["uidMappings", "gidMappings"])
def test_lines_of_a_mount_s_maps_are_checked(name: str) -> None:
    maps = {"uidMappings": [mapping(0, 0, 1)], "gidMappings": [mapping(0, 0, 1)], name: [mapping(0, 0, 0)]}
    mount = {"destination": "/a", "source": "/b", "options": ["bind"], **maps}
    with pytest.raises(ConfigError, match=rf"^mounts\[1\].{name}\[0\].size: expected at least 1, got 0"):
        validate(Config.read(changed(TYPICAL, "mounts[1]", mount), ""))
