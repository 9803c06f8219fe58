"""Sixty ways to misspell a configuration: each is found, where it is, and what was meant is named."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pyruntime.look.lint import lint, show
from tests.plan.made import EVERY, document, namespaces


def sound() -> "dict[str, Any]":
    """A configuration without a fault, with something of everything."""
    return document(
        hostname="box",
        annotations={"com.example.key": "value"},
        mounts=[
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind", "ro"]},
        ],
        hooks={"poststart": [{"path": "/bin/true"}]},
        process={
            "env": ["PATH=/bin"],
            "terminal": False,
            "noNewPrivileges": True,
            "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}],
            "oomScoreAdj": 100,
            "user": {"uid": 0, "gid": 0, "umask": 18, "additionalGids": [5]},
        },
        linux={
            "namespaces": namespaces(*EVERY),
            "cgroupsPath": "/box",
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
            "rootfsPropagation": "slave",
            "sysctl": {"net.ipv4.ip_forward": "1"},
            "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}],
            "resources": {
                "memory": {"limit": 67108864, "reservation": 33554432},
                "cpu": {"quota": 50000, "period": 100000, "shares": 512, "cpus": "0"},
                "pids": {"limit": 100},
                "devices": [{"allow": False, "access": "rwm"}],
            },
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{"names": ["mkdir", "keyctl"], "action": "SCMP_ACT_ERRNO"}],
            },
        },
    )


RENAMED = [  # where, the key as it should be, the key as it was written
    ("", "hostname", "hostame"),
    ("", "mounts", "mount"),
    ("", "process", "proccess"),
    ("", "annotations", "anotations"),
    ("", "hooks", "hook"),
    ("", "root", "Root"),
    ("root", "path", "Path"),
    ("process", "env", "environment"),
    ("process", "args", "arg"),
    ("process", "cwd", "CWD"),
    ("process", "capabilities", "capabilites"),
    ("process", "rlimits", "rlimit"),
    ("process", "noNewPrivileges", "noNewPrivilege"),
    ("process", "terminal", "terminals"),
    ("process", "oomScoreAdj", "oom_score_adj"),
    ("process", "user", "users"),
    ("process.user", "additionalGids", "additionalGIDs"),
    ("process.user", "umask", "umaks"),
    ("process.user", "gid", "GID"),
    ("process.capabilities", "bounding", "bouding"),
    ("process.capabilities", "effective", "efective"),
    ("hooks", "poststart", "postStart"),
    ("linux", "namespaces", "namespace"),
    ("linux", "resources", "resource"),
    ("linux", "cgroupsPath", "cgroupPath"),
    ("linux", "maskedPaths", "maskPaths"),
    ("linux", "readonlyPaths", "readOnlyPaths"),
    ("linux", "rootfsPropagation", "rootfs_propagation"),
    ("linux", "sysctl", "sysctls"),
    ("linux", "seccomp", "secomp"),
    ("linux.resources", "memory", "memmory"),
    ("linux.resources", "cpu", "CPU"),
    ("linux.resources", "pids", "pid"),
    ("linux.resources", "devices", "device"),
    ("linux.resources.memory", "limit", "limits"),
    ("linux.resources.memory", "reservation", "reservations"),
    ("linux.resources.cpu", "quota", "quta"),
    ("linux.resources.cpu", "shares", "share"),
    ("linux.seccomp", "defaultAction", "default_action"),
    ("linux.seccomp", "syscalls", "syscall"),
]
CHANGED = [  # where, the wrong value, what the finding must name
    ("process.capabilities.bounding[0]", "CAP_NET_BIND", "CAP_NET_BIND_SERVICE"),
    ("process.capabilities.bounding[0]", "SYS_ADMIN", "CAP_SYS_ADMIN"),
    ("process.capabilities.effective[0]", "CAP_KIL", "CAP_KILL"),
    ("process.rlimits[0].type", "RLIMIT_NOFILES", "RLIMIT_NOFILE"),
    ("process.terminal", "false", "did you mean false?"),
    ("process.args", "/bin/true", '["/bin/true"]'),
    ("process.user.uid", "0", "(= 0?)"),
    ("mounts[2].options[1]", "readonly", '"ro"'),
    ("mounts[2].options[0]", "rbnd", '"rbind"'),
    ("mounts[1].options[0]", "nosiud", '"nosuid"'),
    ("mounts[1].options[2]", "sise=64k", '"size=…"'),
    ("linux.namespaces[0].type", "pids", '"pid"'),
    ("linux.namespaces[1].type", "net", '"network"'),
    ("linux.rootfsPropagation", "slaves", '"slave"'),
    ("linux.resources.memory.limit", "64M", "67108864"),
    ("linux.resources.memory.limit", 64, "67108864"),
    ("linux.resources.pids.limit", "100", "(= 100?)"),
    ("linux.seccomp.defaultAction", "SCMP_ACT_ALOW", "SCMP_ACT_ALLOW"),
    ("linux.seccomp.syscalls[0].names[0]", "mkdirr", "mkdir"),
    ("linux.seccomp.architectures[0]", "SCMP_ARCH_X8664", "SCMP_ARCH_X86_64"),
]


def steps(path: str) -> "list[str | int]":
    """`a[0].b` as the keys to follow."""
    words = path.replace("[", ".").replace("]", "").split(".")
    return [int(word) if word.isdigit() else word for word in words if word]


def at(value: Any, path: str) -> Any:
    for step in steps(path):
        value = value[step]
    return value


def check(tmp_path: Path, value: "dict[str, Any]") -> lint.Report:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(value, indent=2))
    return lint.document(str(file))


def test_the_sound_one_has_nothing(tmp_path: Path) -> None:
    assert check(tmp_path, sound()).found == []
    assert len(RENAMED) + len(CHANGED) == 60


@pytest.mark.parametrize(("where", "right", "wrong"), RENAMED, ids=[f"{w}.{k}" for w, _, k in RENAMED])
def test_a_misspelt_key(tmp_path: Path, where: str, right: str, wrong: str) -> None:
    value = sound()
    folder = at(value, where)
    folder[wrong] = folder.pop(right)
    report = check(tmp_path, value)
    full = f"{where}.{wrong}".lstrip(".")
    told = [item.problem for item in report.found if item.path == full]
    assert len(told) == 1
    assert told[0].startswith("in force here " if wrong.lower() == right.lower() else "unknown key, ")
    assert told[0].endswith(f"; did you mean {where}{'.' * bool(where)}{right}?")
    assert show.status(report) == 1
    line = (tmp_path / "config.json").read_text().splitlines()[report.places[full] - 1]
    assert line.strip().startswith(f'"{wrong}"')


FOREIGN = [
    ("process", "cwd", "workingDir"),
    ("process", "args", "command"),
    ("process", "args", "entrypoint"),
    ("process", "terminal", "tty"),
    ("process", "noNewPrivileges", "no_new_privs"),
    ("process", "noNewPrivileges", "noNewPrivs"),
    ("process", "capabilities", "caps"),
    ("process.user", "additionalGids", "groups"),
    ("root", "readonly", "ro"),
    ("linux", "resources", "limits"),
    ("linux.resources.memory", "swap", "memorySwap"),
    ("linux.resources.pids", "limit", "max"),
    ("linux.seccomp", "architectures", "archs"),
    ("mounts[1]", "destination", "target"),
    ("mounts[1]", "source", "src"),
    ("mounts[1]", "options", "opts"),
]


@pytest.mark.parametrize(("where", "right", "foreign"), FOREIGN, ids=[f"{w}.{k}" for w, _, k in FOREIGN])
def test_the_word_of_another_tool(tmp_path: Path, where: str, right: str, foreign: str) -> None:
    value = sound()
    folder = at(value, where)
    folder[foreign] = folder.pop(right, None)
    report = check(tmp_path, value)
    told = [item.problem for item in report.found if item.path == f"{where}.{foreign}"]
    assert len(told) == 1
    assert told[0].endswith(f"did you mean {where}.{right}?")


@pytest.mark.parametrize(("where", "wrong", "named"), CHANGED, ids=[f"{w}={v}" for w, v, _ in CHANGED])
def test_a_wrong_value(tmp_path: Path, where: str, wrong: Any, named: str) -> None:
    value = sound()
    keys = steps(where)
    holder = value
    for step in keys[:-1]:
        holder = holder[step]  # type: ignore[index]
    holder[keys[-1]] = wrong  # type: ignore[index]
    report = check(tmp_path, value)
    told = [item.problem for item in report.found if item.path == where]
    assert len(told) == 1
    assert named in told[0]
    assert show.status(report) == 1


def test_a_misspelt_key_that_must_be_there_is_told_once(tmp_path: Path) -> None:
    value = copy.deepcopy(sound())
    value["process"]["Cwd"] = value["process"].pop("cwd")
    assert [item.path for item in check(tmp_path, value).found] == ["process.Cwd"]


def test_a_key_in_two_cases_is_an_error(tmp_path: Path) -> None:
    value = sound()
    value["process"]["NONEWPRIVILEGES"] = False
    value["linux"]["resources"]["Cpu"] = {"Shares": "many"}
    found = [(item.path, item.problem) for item in check(tmp_path, value).found if item.level == "error"]
    twice = "is there twice, in upper and lower case: also as"
    assert found == [
        ("process.NONEWPRIVILEGES", f"{twice} process.noNewPrivileges; remove one of them"),
        ("linux.resources.Cpu.Shares", f"{twice} linux.resources.cpu.shares; remove one of them"),
        ("linux.resources.Cpu.Shares", 'expected an integer from 0 to 18446744073709551615, got "many"'),
    ]


def test_objects_that_are_joined_are_warned_of(tmp_path: Path) -> None:
    value = sound()
    value["linux"]["resources"]["CPU"] = {"Mems": "0"}
    report = check(tmp_path, value)
    joined = "joined with linux.resources.cpu, as runc does; others take one of the two"
    assert ("linux.resources.CPU", joined) in [(item.path, item.problem) for item in report.found]
    assert {item.level for item in report.found} == {"warning"}


@pytest.mark.parametrize("key", ["uid", "gid"])
def test_an_id_that_is_not_there_is_doubted(tmp_path: Path, key: str) -> None:
    value = sound()
    del value["process"]["user"][key]
    found = [(item.path, item.problem) for item in check(tmp_path, value).found]
    assert found == [(f"process.user.{key}", "missing, taken as 0; the specification wants it written")]
