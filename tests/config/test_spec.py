"""The records of the whole specification."""

import copy
import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given

from pyruntime.config.linux import Linux
from pyruntime.config.load import read_config
from pyruntime.config.process import Process, User
from pyruntime.config.resources import Resources
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError
from tests import strategies
from tests.config.documents import GONE, TYPICAL, changed, everything


@given(strategies.configs)
def test_what_is_read_is_written_back_and_read_again(document: "dict[str, object]") -> None:
    first = read_config(json.dumps(document).encode())
    assert Config.read(first.to_json(), "") == first
    assert Config.read(json.loads(json.dumps(first.to_json())), "").to_json() == first.to_json()


@given(strategies.processes)
def test_a_process_survives_alone(document: "dict[str, object]") -> None:
    assert Process.read(document, "process").to_json() == document


@given(strategies.json_values)
def test_any_json_is_read_or_refused(document: object) -> None:
    for record in (Config, Process, Resources, Linux):
        try:
            record.read(document, "")
        except ConfigError:
            continue


def test_everything_of_the_spec_is_kept() -> None:
    assert Config.read(everything(), "").to_json() == everything()


def test_a_minimal_document() -> None:
    config = Config.read({"ociVersion": "1.0.0"}, "")
    assert (config.root, config.process, config.mounts, config.hostname) == (None, None, [], "")
    assert config.linux == Linux()
    assert config.hooks.prestart == []
    assert config.linux.namespace("pid") is None


def test_the_user_is_root_when_absent() -> None:
    user = Process.read({"cwd": "/"}, "process").user
    assert (user.uid, user.gid, user.umask, user.additionalGids) == (0, 0, None, [])


def test_an_id_that_is_not_there_is_0() -> None:
    user = Process.read({"cwd": "/", "user": {"uid": 5}}, "process").user
    assert (user.uid, user.gid) == (5, 0)
    assert User.read({}, "process.user").uid == 0


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("process", "nonewprivileges"),
        ("process", "Rlimits"),
        ("linux", "MASKEDPATHS"),
        ("linux.resources.memory", "Limit"),
        ("root", "readOnly"),
    ],
)
def test_what_confines_does_so_in_any_case(path: str, key: str) -> None:
    """runc's reader does not tell upper from lower case; a setting that it obeys is not lost here."""
    document = copy.deepcopy(TYPICAL)
    folder: Any = document
    for step in path.split("."):
        folder = folder[step]
    right = next(each for each in folder if each.lower() == key.lower())
    folder[key] = folder.pop(right)
    assert Config.read(document, "") == Config.read(TYPICAL, "")


def test_the_smaller_documents_are_read_so_too() -> None:
    assert Process.read({"CWD": "/", "NoNewPrivileges": True}, "process").noNewPrivileges
    assert Resources.read({"Pids": {"LIMIT": 5}}, "resources").to_json() == {"pids": {"limit": 5}}


def test_other_systems_parts_are_ignored() -> None:
    parts = {name: {"nonsense": [1]} for name in ("vm", "solaris", "windows", "zos", "freebsd", "unheardOf")}
    assert Config.read({**TYPICAL, **parts}, "") == Config.read(TYPICAL, "")


BAD = [
    ("ociVersion", GONE, ": expected a string, got nothing: the key is missing"),
    ("ociVersion", 1, ": expected a string, got 1"),
    ("root", "rootfs", ': expected an object, got "rootfs"'),
    ("root.path", GONE, ": expected a string, got nothing"),
    ("root.readonly", "yes", ': expected true or false, got "yes"'),
    ("process", [], ": expected an object, got a list"),
    ("process.cwd", GONE, ": Cwd property must not be empty"),
    ("process.cwd", 1, ": expected a string, got 1"),
    ("process.args", "sh", ': expected a list, got "sh"'),
    ("process.args[0]", None, ": expected a string, got null"),
    ("process.args[0]", "a\0b", ": "),
    ("process.env[1]", 5, ": expected a string, got 5"),
    ("process.terminal", 1, ": expected true or false, got 1"),
    ("process.consoleSize", {"height": 5}, "process.consoleSize.width: expected an integer"),
    ("process.user.uid", "root", ': expected an integer from 0 to 4294967294, got "root"'),
    ("process.user.uid", 2**32 - 1, ": expected an integer from 0 to 4294967294, got 4294967295"),
    ("process.user.gid", -1, ": expected an integer from 0 to 4294967294, got -1"),
    ("process.user.umask", 512, ": expected an integer from 0 to 511, got 512"),
    ("process.user.additionalGids[0]", True, ": expected an integer"),
    ("process.capabilities", ["CAP_KILL"], ": expected an object, got a list"),
    ("process.capabilities.bounding[0]", "", ": expected a string that is not empty"),
    ("process.rlimits[0].type", "NOFILE", ": wrong rlimit value: NOFILE; expected one of RLIMIT_"),
    ("process.rlimits[0].type", 7, ": expected a string, got 7"),
    ("process.rlimits[0].soft", -1, ": expected an integer from 0 to 18446744073709551615"),
    ("process.rlimits[0].hard", GONE, ": expected an integer"),
    ("process.oomScoreAdj", 1001, ": expected an integer from -1000 to 1000, got 1001"),
    ("process.scheduler.policy", "FIFO", ': expected one of "SCHED_OTHER"'),
    ("process.scheduler.flags[0]", "RESET", ': expected one of "SCHED_FLAG_RESET_ON_FORK"'),
    ("process.ioPriority.class", "BE", ': expected one of "IOPRIO_CLASS_RT"'),
    ("process.execCPUAffinity.initial", "all", ': expected a list of CPUs such as "0-3'),
    ("hostname", ["x"], ": expected a string, got a list"),
    ("mounts", {}, ": expected a list, got an object"),
    ("mounts[1]", "x", ': expected an object, got "x"'),
    ("mounts[1].destination", GONE, ": expected a string, got nothing"),
    ("mounts[1].options", "ro", ': expected a list, got "ro"'),
    ("mounts[1].options[1]", 3, ": expected a string, got 3"),
    ("mounts[1].uidMappings", [{}], "mounts[1].uidMappings[0].containerID: expected an integer"),
    ("annotations", [], ": expected an object, got a list"),
    ("annotations", {"a.b": 1}, 'annotations["a.b"]: expected a string, got 1'),
    ("hooks.createRuntime[0].path", GONE, ": expected a string"),
    ("hooks.createRuntime[0].timeout", 0, ": expected an integer from 1 to"),
    ("linux.namespaces[0].type", "net", ': expected one of "pid", "network"'),
    ("linux.namespaces[0].type", GONE, ": expected one of"),
    ("linux.uidMappings[0].size", 2**32, ": expected an integer from 0 to 4294967295"),
    ("linux.timeOffsets.monotonic.secs", "5", ': expected an integer'),
    ("linux.devices[0].type", "a", ': expected one of "c", "b", "u", "p", got "a"'),
    ("linux.devices[0].path", "fuse", ': expected an absolute path, got "fuse"'),
    ("linux.devices[0].fileMode", "0666", ': expected an integer'),
    ("linux.rootfsPropagation", "master", ': expected one of "", "shared"'),
    ("linux.sysctl", {"net.x": 1}, 'linux.sysctl["net.x"]: expected a string, got 1'),
    ("linux.maskedPaths[0]", {}, ": expected a string, got an object"),
    ("linux.personality.domain", "linux", ': expected one of "LINUX", "LINUX32"'),
    ("linux.netDevices.eth0.name", 23, 'linux.netDevices["eth0"].name: expected a string, got 23'),
    ("linux.intelRdt.memBwSchema", "0=10", ': expected one line that begins with "MB:"'),
    ("linux.memoryPolicy.mode", "BIND", ': expected one of "MPOL_DEFAULT"'),
    ("linux.memoryPolicy.flags[0]", "", ': expected one of "MPOL_F_NUMA_BALANCING"'),
    ("linux.memoryPolicy", {}, 'linux.memoryPolicy.mode: expected one of "MPOL_DEFAULT"'),
    ("linux.resources.memory.limit", "64M", ": expected bytes as a number, got \"64M\" (= 67108864?)"),
    ("linux.resources.memory.limit", 1.5, ": expected bytes as a number, got 1.5"),
    ("linux.resources.memory.disableOOMKiller", 0, ": expected true or false"),
    ("linux.resources.cpu.shares", -2, ": expected an integer from 0"),
    ("linux.resources.cpu.cpus", 0, ": expected a string, got 0"),
    ("linux.resources.pids.limit", "10", ': expected an integer'),
    ("linux.resources.blockIO.weight", 65536, ": expected an integer from 0 to 65535"),
    ("linux.resources.blockIO.throttleReadBpsDevice[0].major", GONE, ": expected an integer from -9223372036854775808"),
    ("linux.resources.hugepageLimits[0].pageSize", "64kB", ": expected a page size"),
    ("linux.resources.hugepageLimits[0].pageSize", "0MB", ": expected a page size such as"),
    ("linux.resources.hugepageLimits[0].pageSize", "MB", ": expected a page size such as"),
    ("linux.resources.network.priorities[0].name", "", ": expected a string that"),
    ("linux.resources.rdma.mlx5_1.hcaHandles", "x", 'linux.resources.rdma["mlx5_1"].hcaHandles: expected an integer'),
    ("linux.resources.unified", {"memory.high": 5}, 'linux.resources.unified["memory.high"]: expected a string'),
    ("linux.resources.devices[0].access", "", ": expected one to three of the letters"),
    ("linux.resources.devices[0].access", "RX", ': expected one to three of the letters "r", "w" and "m", got "RX"'),
    ("linux.resources.devices[0].access", 7, ': expected one to three of the letters "r", "w" and "m", got 7'),
    ("linux.resources.devices[0].access", "r\0", ': "r\\x00" holds a NUL character'),
    ("linux.resources.devices[0].allow", GONE, ": expected true or false, got nothing"),
    ("linux.resources.devices[0].type", "p", ': expected one of "a", "b", "c", got "p"'),
    ("linux.seccomp.defaultAction", "ALLOW", ': expected one of "SCMP_ACT_KILL"'),
    ("linux.seccomp.architectures[0]", "amd64", ': expected one of "SCMP_ARCH_X86"'),
    ("linux.seccomp.flags[0]", "LOG", ': expected one of "SECCOMP_FILTER_FLAG_TSYNC"'),
    ("linux.seccomp.syscalls[0].names", [], ": expected the name of at least one"),
    ("linux.seccomp.syscalls[0].names", "read", ": expected a list"),
    ("linux.seccomp.syscalls[0].action", GONE, ": expected one of"),
    ("linux.seccomp.syscalls[1].args[0].op", "EQ", ': expected one of "SCMP_CMP_NE"'),
    ("linux.seccomp.syscalls[1].args[0].value", GONE, ": expected an integer"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "words"), BAD, ids=[f"{row[0]}-{n}" for n, row in enumerate(BAD)])
def test_bad_values_are_refused_with_their_path(path: str, value: object, words: str) -> None:
    """Words that begin with a colon stand after the path that was changed, others tell another path themselves."""
    with pytest.raises(ConfigError) as caught:
        Config.read(changed(everything(), path, value), "")
    assert str(caught.value).startswith(path + words if words.startswith(":") else words)


def test_empty_and_null_parts_written_by_go_programs_are_taken() -> None:
    document = changed(everything(), "linux.seccomp", {"defaultAction": "", "syscalls": None})
    for path in ("process.capabilities", "mounts[0].options", "linux.resources.pids.limit", "hooks", "linux.sysctl"):
        document = changed(document, path, None)
    document = changed(document, "linux.resources.devices[0].type", "")
    config = Config.read(document, "")
    assert config.linux.seccomp is not None
    assert config.linux.seccomp.empty()
    assert config.linux.resources is not None
    assert config.linux.resources.devices[0].type == "a"


def test_a_profile_with_a_default_action_is_not_empty() -> None:
    config = Config.read(everything(), "")
    assert config.linux.seccomp is not None
    assert not config.linux.seccomp.empty()


def test_nothing_heavy_is_imported() -> None:
    root = pathlib.Path(__file__).parents[2]
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r}); before = set(sys.modules)\n"
        "from pyruntime.config import load, validate\n"
        f"validate.validate(load.read_config({json.dumps(TYPICAL).encode()!r}))\n"
        "print(*sorted(n for n in set(sys.modules) - before if not n.startswith('pyruntime')))"
    )
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"_json", "posix"}
