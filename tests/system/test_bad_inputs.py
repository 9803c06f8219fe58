"""Wrong configurations, wrong root file systems, wrong command lines: one line that names the cause, and nothing made."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Bundle, Result, Runtime, mount, new_id

GONE = object()
DEEP: "Any" = []
for _ in range(70):
    DEEP = [DEEP]
IDS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def put(config: "dict[str, Any]", path: str, value: object) -> None:
    """Set the value at a dotted path (numbers index lists, + appends), or remove it."""
    *way, last = path.split(".")
    here: "Any" = config
    for word in way:
        here = here[int(word)] if isinstance(here, list) else here.setdefault(word, {})
    if last == "+":
        here.append(value)
    elif value is GONE:
        del here[int(last) if isinstance(here, list) else last]
    else:
        here[int(last) if isinstance(here, list) else last] = value


CONFIGS: "list[tuple[str, object, str]]" = [
    # path, value there, words of the error
    ("ociVersion", GONE, "ociVersion: expected a string, got nothing"),
    ("ociVersion", 1, "ociVersion: expected a string, got 1"),
    ("ociVersion", "2.0.0", "ociVersion: expected 1.x"),
    ("ociVersion", "latest", "ociVersion: expected 1.x"),
    ("root", GONE, "root: root must be specified"),
    ("root", "rootfs", "root: expected an object"),
    ("root.path", "", "root.path: expected a path"),
    ("root.path", "no-such", "root.path: invalid rootfs"),
    ("root.path", "config.json", "not a directory"),
    ("root.path", "a\0b", "root.path: "),
    ("root.readonly", "yes", "root.readonly: expected true or false"),
    ("process", GONE, "process property must not be empty"),
    ("process", [], "process: expected an object"),
    ("process.args", [], "process.args: args must not be empty"),
    ("process.args", GONE, "process.args: args must not be empty"),
    ("process.args", "true", "process.args: expected a list"),
    ("process.args", [1], "process.args[0]: expected a string, got 1"),
    ("process.args", ["a\0b"], "process.args[0]"),
    ("process.args", ["no-such"], 'exec: "no-such": executable file not found in $PATH'),
    ("process.args", ["/no/such"], 'exec: "/no/such": stat /no/such: no such file or directory'),
    ("process.args", ["/etc"], "is a directory"),
    ("process.args", ["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
    ("process.cwd", GONE, "process.cwd: Cwd property must not be empty"),
    ("process.cwd", "", "process.cwd: Cwd property must not be empty"),
    ("process.cwd", "tmp", "process.cwd: Cwd must be an absolute path"),
    ("process.cwd", "/etc/passwd", "process.cwd /etc/passwd: not a directory"),
    ("process.cwd", "/etc/passwd/below", "process.cwd"),
    ("process.env", ["NOVALUE"], "process.env[0]: expected NAME=VALUE"),
    ("process.env", ["=x"], "process.env[0]: expected NAME=VALUE"),
    ("process.env", {"A": "b"}, "process.env: expected a list"),
    ("process.user.uid", "root", 'process.user.uid: expected an integer from 0 to 4294967295, got "root"'),
    ("process.user.uid", -1, "process.user.uid: expected an integer"),
    ("process.user.uid", 2**32, "process.user.uid: expected an integer"),
    ("process.user.gid", 1.5, "process.user.gid: expected an integer"),
    ("process.user.gid", True, "process.user.gid: expected an integer"),
    ("process.user.umask", 0o1000, "process.user.umask: expected an integer"),
    ("process.user.additionalGids", [-5], "process.user.additionalGids[0]"),
    ("process.terminal", 1, "process.terminal: expected true or false"),
    ("process.noNewPrivileges", "true", "process.noNewPrivileges: expected true or false"),
    ("process.capabilities", ["CAP_KILL"], "process.capabilities: expected an object"),
    ("process.capabilities.bounding", "CAP_KILL", "process.capabilities.bounding: expected a list"),
    ("process.rlimits.0.type", "RLIMIT_FUN", "wrong rlimit value: RLIMIT_FUN"),
    ("process.rlimits.0.soft", 2000, "process.rlimits[0].soft: expected at most the hard limit 1024, got 2000"),
    ("process.rlimits.0.hard", -1, "process.rlimits[0].hard"),
    ("process.rlimits.+", {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}, "stands twice"),
    ("process.rlimits.+", {"type": "RLIMIT_NPROC"}, "process.rlimits[1]"),
    ("process.oomScoreAdj", 1001, "process.oomScoreAdj: expected an integer from -1000 to 1000"),
    ("process.scheduler", {"policy": "SCHED_FAST"}, "process.scheduler.policy"),
    ("process.scheduler", {"policy": "SCHED_FIFO"}, "process.scheduler.priority"),
    ("process.scheduler", {"policy": "SCHED_OTHER", "nice": 20}, "process.scheduler.nice"),
    ("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 8}, "process.ioPriority.priority"),
    ("process.ioPriority", {"class": "BE"}, "process.ioPriority.class"),
    ("process.apparmorProfile", "docker-default", "apparmor"),
    ("process.selinuxLabel", "a:b:c:d", "selinux"),
    ("hostname", 5, "hostname: expected a string"),
    ("hostname", "x" * 65, "hostname: expected at most 64 bytes"),
    ("domainname", "y" * 65, "domainname: expected at most 64 bytes"),
    ("annotations", {"": "x"}, "annotations: expected keys that are not empty"),
    ("annotations", {"a": 1}, 'annotations["a"]'),
    ("mounts", {}, "mounts: expected a list"),
    ("mounts.0.destination", "", "mounts[0].destination"),
    ("mounts.0.destination", GONE, "mounts[0].destination"),
    ("mounts.+", mount("/", "tmpfs"), "mounts[7].destination"),
    ("mounts.+", mount("/mnt", "bind", ["bind"], "/no/such/source"), "mounts[7].source /no/such/source: no such file"),
    ("mounts.+", mount("/etc/passwd", "bind", ["bind"], "/etc"), "mounts[7]"),
    ("mounts.+", mount("/tmp", "bind", ["bind"], "/etc/hostname"), "mounts[7]"),
    ("mounts.+", mount("/mnt", "bind", ["bind", "size=5"], "/etc"), "mounts[7].options"),
    ("mounts.+", {"destination": "/mnt", "options": ["bind"]}, "mounts[7].source"),
    ("mounts.+", {"destination": "/mnt"}, "mounts[7].type"),
    ("mounts.+", mount("/mnt", "nosuchfs"), "nosuchfs"),
    ("mounts.+", mount("/mnt", "tmpfs", ["nosuchoption"]), "nosuchoption"),
    ("mounts.+", mount("/mnt", "tmpfs", ["size=lots"]), "lots"),
    ("mounts.+", mount("/mnt", "tmpfs", [""]), "mounts[7].options[0]"),
    ("mounts.+", mount("/mnt", "tmpfs", ["a\nb"]), "mounts[7].options[0]"),
    ("mounts.+", mount("/mnt", "proc", ["tmpcopyup"]), "tmpcopyup"),
    ("mounts.+", mount("/proc/sys/kernel", "tmpfs"), "cannot be mounted because it is inside /proc"),
    ("mounts.+", mount("/etc/passwd", "tmpfs"), "mounts[7]"),
    ("mounts.+", mount("/etc/passwd/below", "tmpfs"), "mounts[7]"),
    ("mounts.+", mount("/etc/passwd", "proc"), "must be mounted on ordinary directory"),
    ("mounts.+", {**mount("/mnt", "bind", ["bind"], "/etc"), "uidMappings": IDS, "gidMappings": IDS}, "not supported"),
    ("linux", [], "linux: expected an object"),
    ("linux.namespaces.+", {"type": "pid"}, '"pid" stands twice'),
    ("linux.namespaces.+", {"type": "colour"}, "linux.namespaces[5].type: expected one of"),
    ("linux.namespaces.+", {"type": "user"}, "linux.uidMappings"),
    ("linux.namespaces.1.path", "relative", "linux.namespaces[1].path: expected an absolute path"),
    ("linux.namespaces.1.path", "/no/such", "/no/such"),
    ("linux.namespaces.1.path", "/etc/hostname", "/etc/hostname"),
    ("linux.namespaces.1.path", "/proc/self/ns/uts", "/proc/self/ns/uts"),
    ("linux.namespaces", [{"type": "pid"}], "hostname: unable to set hostname without a private UTS namespace"),
    ("linux.uidMappings", IDS, "linux.uidMappings"),
    ("linux.maskedPaths", ["proc"], "linux.maskedPaths[0]: expected an absolute path"),
    ("linux.readonlyPaths", "all", "linux.readonlyPaths: expected a list"),
    ("linux.rootfsPropagation", "loud", "linux.rootfsPropagation"),
    ("linux.cgroupsPath", "/../up", 'climbs with ".."'),
    ("linux.cgroupsPath", "/", "linux.cgroupsPath"),
    ("linux.cgroupsPath", "/a\nb", "linux.cgroupsPath"),
    ("linux.sysctl", {"kernel.core_pattern": "x"}, "not in a separate kernel namespace"),
    ("linux.sysctl", {"net/../kernel/core_pattern": "x"}, "linux.sysctl"),
    ("linux.sysctl", {"kernel.hostname": "x"}, "conflicts"),
    ("linux.sysctl", {"net.no.such": "1"}, "net.no.such"),
    ("linux.sysctl", {"net.ipv4.ip_forward": "maybe"}, "net.ipv4.ip_forward"),
    ("linux.devices", [{"path": "dev/x", "type": "c", "major": 1, "minor": 3}], "linux.devices[0].path"),
    ("linux.devices", [{"path": "/dev/x", "type": "q"}], "linux.devices[0].type"),
    ("linux.devices", [{"path": "/dev/x", "type": "c"}], "linux.devices[0].major"),
    ("linux.devices", [{"path": "/dev/x", "type": "b", "major": 5000, "minor": 0}], "linux.devices[0].major"),
    ("linux.devices", [{"path": "/etc/passwd", "type": "c", "major": 1, "minor": 3}], "/etc/passwd exists in the rootfs"),
    ("linux.resources.memory", {"limit": "64M"}, "linux.resources.memory.limit"),
    ("linux.resources.memory", {"limit": -2}, "linux.resources.memory.limit"),
    ("linux.resources.memory", {"limit": 1 << 30, "swap": 1 << 20}, "memory+swap limit should be >= memory limit"),
    ("linux.resources.cpu", {"period": 5}, "linux.resources.cpu.period"),
    ("linux.resources.blockIO", {"weight": 5}, "linux.resources.blockIO.weight"),
    ("linux.resources.pids", {"limit": "many"}, "linux.resources.pids.limit"),
    ("linux.resources.devices", [{"allow": "no"}], "linux.resources.devices[0].allow"),
    ("linux.resources.unified", {"../cgroup.procs": "1"}, "linux.resources.unified"),
    ("linux.resources.unified", {"nosuch.max": "1"}, "nosuch"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_NONE"}, "linux.seccomp.defaultAction"),
    ("linux.personality", {"domain": "WINDOWS"}, "linux.personality.domain"),
    ("linux.timeOffsets", {"monotonic": {"secs": 5}}, "linux.timeOffsets"),
    ("linux.intelRdt", {"closID": "a/b"}, "linux.intelRdt.closID"),
    ("linux.mountLabel", "system_u:object_r:x:s0", "selinux"),
    ("hooks", [], "hooks: expected an object"),
    ("hooks", {"prestart": [{"args": ["x"]}]}, "hooks.prestart[0].path"),
    ("hooks", {"createRuntime": [{"path": "hook"}]}, "hooks.createRuntime[0].path: expected an absolute path"),
    ("hooks", {"createRuntime": [{"path": "/no/such/hook"}]}, "createRuntime hook #0"),
    ("hooks", {"createContainer": [{"path": "/bin/false"}]}, "createContainer hook #0: exit status 1"),
    ("hooks", {"startContainer": [{"path": "/no/such/hook"}]}, "startContainer hook #0"),
    ("hooks", {"poststop": [{"path": "/bin/true", "timeout": 0}]}, "hooks.poststop[0].timeout"),
    ("hooks", {"poststop": [{"path": "/bin/true", "env": ["X"]}]}, "hooks.poststop[0].env[0]"),
    ("deep", DEEP, "nested deeper"),
]  # fmt: skip


def refused(rt: Runtime, result: Result, *words: str, rc: int = 1) -> None:
    """One line on stderr that holds the words, nothing on stdout, nothing made."""
    assert result.rc == rc, result
    assert result.err.count("\n") == 1, result
    assert result.err.endswith("\n"), result
    for word in words:
        assert word in result.err.replace('\\"', '"').replace("\\\\", "\\"), result
    assert "Traceback" not in result.err
    assert "internal error" not in result.err
    assert result.out == "", result
    assert rt.containers() == []


@pytest.mark.parametrize(
    ("path", "value", "words"), CONFIGS, ids=lambda value: str(value)[:40] if isinstance(value, str) else None
)
def test_configuration(rt: Runtime, bundle: Bundle, path: str, value: object, words: str) -> None:
    put(bundle.config, path, value)
    refused(rt, rt.run(bundle), words)


def test_create_refuses_as_run_does(rt: Runtime, bundle: Bundle) -> None:
    put(bundle.config, "process.args", ["no-such"])
    refused(rt, rt.create(bundle, id=new_id()), "executable file not found in $PATH")


TEXTS = [
    (b"", "empty"),
    (b"{", "line 1"),
    (b"[]", "expected a JSON object"),
    (b"null", "config cannot be null"),
    (b'{"ociVersion": "1.0.2", "ociVersion": "1.0.3"}', "stands twice"),
    (b'{"a": NaN}', "NaN"),
    (b"{} {}", "line 1"),
    (b'{"a": "\xff"}', "UTF-8"),
    (b"\xef\xbb\xbf{}", "byte order mark"),
    (b'{"a": "line\nbreak"}', "line 1"),
    (b"{'a': 1}", "line 1, column 2"),
    (b" " * (16 * 1024 * 1024 + 1), "16 MiB"),
]


@pytest.mark.parametrize(("text", "words"), TEXTS, ids=[words for _, words in TEXTS])
def test_text_of_config_json(rt: Runtime, bundle: Bundle, text: bytes, words: str) -> None:
    (bundle.path / "config.json").write_bytes(text)
    refused(rt, rt("run", "--bundle", bundle.path, new_id()), words)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _missing(path: Path) -> None:
    assert not path.exists()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


@pytest.mark.parametrize(
    ("make_file", "words"),
    [
        (_fifo, "found a FIFO"),
        (_folder, "found a folder"),
        (_missing, "JSON specification file config.json not found"),
        (_loop, "too many levels of symbolic links"),
        (_socket, "cannot be read"),
    ],
)
def test_file_config_json(rt: Runtime, bundle: Bundle, make_file: "Callable[[Path], None]", words: str) -> None:
    make_file(bundle.path / "config.json")
    refused(rt, rt("run", "--bundle", bundle.path, new_id()), words)


def _link_rootfs(bundle: Bundle) -> None:
    bundle.rootfs.rename(bundle.path / "real")
    bundle.rootfs.symlink_to("real")


def _file_rootfs(bundle: Bundle) -> None:
    bundle.config["root"]["path"] = "plain"
    (bundle.path / "plain").write_text("")


def _link_above(bundle: Bundle) -> None:
    (bundle.path / "link").symlink_to(".")
    bundle.config["root"]["path"] = "link/rootfs"


def _link_at(name: str, target: str) -> "Callable[[Bundle], None]":
    return lambda bundle: (bundle.rootfs / name).symlink_to(target)


def _file_at(name: str) -> "Callable[[Bundle], None]":
    return lambda bundle: (bundle.rootfs / name).write_text("") and None


def _no_mounts(bundle: Bundle) -> None:
    bundle.without("mount")


def _exec_bit(bundle: Bundle) -> None:
    (bundle.rootfs / "script").write_text("#!/bin/sh\n")
    bundle.process["args"] = ["/script"]


def _interpreter(bundle: Bundle) -> None:
    (bundle.rootfs / "script").write_text("#!/no/such/interpreter\n")
    (bundle.rootfs / "script").chmod(0o755)
    bundle.process["args"] = ["/script"]


def _no_format(bundle: Bundle) -> None:
    (bundle.rootfs / "program").write_bytes(b"\0\1\2\3" * 100)
    (bundle.rootfs / "program").chmod(0o755)
    bundle.process["args"] = ["/program"]


def _unmapped(bundle: Bundle) -> None:
    bundle.user_namespace(100000, 10).process["user"] = {"uid": 20, "gid": 0}


def _unmapped_group(bundle: Bundle) -> None:
    bundle.user_namespace(100000, 10).process["user"] = {"uid": 0, "gid": 0, "additionalGids": [11]}


def _overlap(bundle: Bundle) -> None:
    bundle.user_namespace().linux["uidMappings"].append({"containerID": 5, "hostID": 500000, "size": 5})


ROOTFS: "list[tuple[Callable[[Bundle], None], str]]" = [
    (_link_rootfs, "invalid rootfs"),
    (_file_rootfs, "invalid rootfs"),
    (_link_above, "invalid rootfs"),
    (_link_at("proc", "/tmp"), "must be mounted on ordinary directory"),
    (_link_at("sys", "tmp"), "must be mounted on ordinary directory"),
    (_file_at("proc"), "must be mounted on ordinary directory"),
    (_file_at("dev"), "mounts[1]"),
    (_link_at("dev", "dev"), "mounts[1]"),
    (_no_mounts, "add"),
    (_exec_bit, 'exec: "/script": permission denied'),
    (_interpreter, "exec /script: no such file or directory"),
    (_no_format, "exec /program: exec format error"),
    (_unmapped, "process.user"),
    (_unmapped_group, "process.user"),
    (_overlap, "overlaps"),
]


@pytest.mark.parametrize(("change", "words"), ROOTFS, ids=range(len(ROOTFS)))
def test_rootfs(rt: Runtime, bundle: Bundle, change: "Callable[[Bundle], None]", words: str) -> None:
    change(bundle)
    refused(rt, rt.run(bundle), words)


ID = "some-id"
COMMANDS: "list[tuple[list[str], int, str, bool]]" = [
    # arguments, exit status, words, whether help is printed on stdout
    (["frobnicate"], 3, 'unknown command "frobnicate"', True),
    (["--no-such-flag"], 1, "flag provided but not defined", True),
    (["create"], 1, "requires exactly 1 argument", True),
    (["create", "a", "b"], 1, "requires exactly 1 argument", True),
    (["run", "--bundle"], 1, "flag needs an argument", True),
    (["run", "--no-such", ID], 1, "flag provided but not defined", True),
    (["run", "--detach=perhaps", ID], 1, "invalid value", True),
    (["run", "--preserve-fds", "many", ID], 1, "invalid value", True),
    (["run", "--preserve-fds", "-1", ID], 1, "--preserve-fds -1", False),
    (["run", "--preserve-fds", "3", ID], 1, "descriptor 3 is not open", False),
    (["run", "--bundle", "/no/such", ID], 1, "--bundle /no/such: no such file or directory", False),
    (["run", "--bundle", "/etc/hostname", ID], 1, "--bundle /etc/hostname: not a directory", False),
    (["run", "--bundle", "@", ""], 1, "container id cannot be empty", False),
    (["run", "--bundle", "@", ".."], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "."], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "a/b"], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "a b"], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "a\nb"], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "é"], 1, "invalid container ID format", False),
    (["run", "--bundle", "@", "a" * 2000], 1, "container", False),
    (["create", "--bundle", "@", "--console-socket", "/no/such", ID], 1, "console socket", False),
    (["run", "--bundle", "@", "--console-socket", "/no/such", ID], 1, "console socket", False),
    (["create", "--bundle", "@", "--pid-file", "/no/such/pid", ID], 1, "/no/such/pid", False),
    (["create", "--bundle", "@", "--pidfd-socket", "/no/such", ID], 1, "/no/such", False),
    (["run", "--bundle", "@", "--pid-file", "/", ID], 1, "pid file", False),
    (["start", ID], 1, "does not exist", False),
    (["state", ID], 1, "does not exist", False),
    (["kill", ID], 1, "does not exist", False),
    (["kill", ID, "NOSUCH"], 1, 'unknown signal "NOSUCH"', False),
    (["kill", ID, "0"], 1, 'unknown signal "0"', False),
    (["kill", ID, "65"], 1, 'unknown signal "65"', False),
    (["delete", ID], 1, "does not exist", False),
    (["delete", ".."], 1, "invalid container ID format", False),
    (["state", "../../etc"], 1, "invalid container ID format", False),
    (["exec", ID, "true"], 255, "does not exist", False),
    (["exec", ID], 255, "exec", False),
    (["pause", ID], 1, "does not exist", False),
    (["resume", ID], 1, "does not exist", False),
    (["ps", ID], 1, "does not exist", False),
    (["events", "--interval", "soon", ID], 1, "invalid value", True),
    (["events", "--stats", ID], 1, "does not exist", False),
    (["update", "--memory", "lots", ID], 1, "invalid value", True),
    (["update", "--memory", "64m", ID], 1, "does not exist", False),
    (["checkpoint", ID], 1, "not supported", False),
    (["spec", "--bundle", "/no/such"], 1, "/no/such", False),
]
GLOBALS: "list[tuple[list[str], str]]" = [
    (["--log-format", "yaml", "state", ID], "invalid log-format"),
    (["--log", "/no/such/log", "state", ID], "--log"),
    (["--root", "/", "state", ID], "root"),
    (["--root", "/etc/hostname", "run", "--bundle", "@", ID], "state directory"),
    (["--rootless", "perhaps", "run", "--bundle", "@", ID], "--rootless perhaps"),
    (["--cgroup-manager", "nobody", "run", "--bundle", "@", ID], "--cgroup-manager nobody"),
    (["--systemd-cgroup", "run", "--bundle", "@", ID], "systemd"),
]


@pytest.mark.parametrize(("words", "rc", "text", "helps"), COMMANDS, ids=[" ".join(c[0])[:40] for c in COMMANDS])
def test_command_line(rt: Runtime, bundle: Bundle, words: "list[str]", rc: int, text: str, helps: bool) -> None:
    bundle.write()
    result = rt(*(str(bundle.path) if word == "@" else word for word in words))
    if helps:
        assert result.out.startswith("Incorrect Usage."), result
        result.base.with_suffix(".out").write_text("")
    refused(rt, result, text, rc=rc)


@pytest.mark.parametrize(("words", "text"), GLOBALS, ids=[" ".join(words)[:40] for words, _ in GLOBALS])
def test_global_flags(launcher: Path, rt: Runtime, bundle: Bundle, words: "list[str]", text: str) -> None:
    bundle.write()
    rt.command = lambda *_, **__: [str(launcher), *(str(bundle.path) if word == "@" else word for word in words)]  # type: ignore[method-assign]
    refused(rt, rt("-"), text)
    del rt.command  # type: ignore[method-assign]


def test_json_log_has_one_line(rt: Runtime, bundle: Bundle) -> None:
    """Engines read the whole file as one document."""
    put(bundle.config, "process.args", ["no-such"])
    result = rt.run(bundle, log=True)
    refused(rt, result, "executable file not found")
    (line,) = result.log
    assert line["level"] == "error"
    assert "executable file not found in $PATH" in line["msg"]


def test_undecodable_arguments(rt: Runtime, bundle: Bundle) -> None:
    bundle.write()
    command = rt.command("run", "--bundle", bundle.path)
    rt.command = lambda *_, **__: [*command, b"\xff\xfe"]  # type: ignore[method-assign,list-item]
    refused(rt, rt("-"), "invalid container ID format")
    del rt.command  # type: ignore[method-assign]


def test_text_with_control_characters_stays_one_line(rt: Runtime, bundle: Bundle) -> None:
    put(bundle.config, "process.args", ["no\nsuch\x1b[2J"])
    result = rt.run(bundle)
    refused(rt, result, "executable file not found")
    assert "\x1b" not in result.err


def test_id_in_use(rt: Runtime, bundle: Bundle) -> None:
    name = new_id()
    assert rt.create(bundle, id=name).rc == 0
    result = rt.create(bundle, id=name)
    assert result.rc == 1
    assert "container with given ID already exists" in result.err
    assert rt.status(name) == "created"
    assert rt("delete", "--force", name).rc == 0


def test_documents_are_data() -> None:
    """The table's values survive JSON, so that the runtime and not the test meets them."""
    for path, value, _ in CONFIGS:
        if value is not GONE:
            assert json.loads(json.dumps(value)) == value, path
