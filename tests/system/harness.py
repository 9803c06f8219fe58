"""Bundles and runtimes, for the tests that start real containers."""

import copy
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
BUSYBOX = Path("/bin/busybox")
PREFIX = f"systest{os.urandom(4).hex()}"  # not a pid: keyrings are the host's, in whatever pid namespace we run
APPLETS = [
    "awk", "cat", "chmod", "cut", "dd", "df", "echo", "env", "expr", "false", "find", "getopt", "grep", "head",
    "hostname", "id", "ifconfig", "ionice", "kill", "ln", "ls", "mkdir", "mkfifo", "mknod", "mount", "od", "printf",
    "ps", "pwd", "readlink", "renice", "rm", "sed", "seq", "setsid", "sh", "sleep", "sort", "stat", "stty", "tail",
    "tee", "test", "touch", "tr", "true", "tty", "ulimit", "umount", "uname", "unlink", "wc", "xargs", "yes",
]  # fmt: skip
CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
PATIENCE = float(os.environ.get("PYRUNTIME_TEST_PATIENCE", "1"))  # all time limits are multiplied by it
RACES = int(os.environ.get("PYRUNTIME_RACES", "40"))  # attempts in each test where somebody hostile runs meanwhile
Kind = TypeVar("Kind", bound="Runtime")
numbers = count()


def new_id() -> str:
    """A container id that no other test run uses."""
    return f"{PREFIX}-{next(numbers)}"


def default_config(*command: str) -> "dict[str, Any]":
    """A configuration such as engines begin with: five namespaces, the usual mounts, few capabilities."""
    quiet = ["nosuid", "noexec", "nodev"]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": list(command) or ["true"],
            "env": ["PATH=/sbin:/usr/sbin:/bin:/usr/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {kind: list(CAPABILITIES) for kind in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "inside",
        "mounts": [
            mount("/proc", "proc"),
            mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", [*quiet, "mode=1777", "size=65536k"], "shm"),
            mount("/dev/mqueue", "mqueue", quiet),
            mount("/sys", "sysfs", [*quiet, "ro"]),
            mount("/sys/fs/cgroup", "cgroup", [*quiet, "relatime", "ro"]),
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }


def mount(destination: str, kind: str, options: "list[str] | None" = None, source: str = "") -> "dict[str, Any]":
    """One entry of `mounts`."""
    entry: "dict[str, Any]" = {"destination": destination, "type": kind, "source": source or kind}
    return {**entry, "options": options} if options is not None else entry


def make_rootfs(path: Path, busybox: Path) -> Path:
    """A root file system of one static program and its names; `busybox` is linked, so it is on the same file system."""
    for folder in ("bin", "etc", "tmp"):
        (path / folder).mkdir(parents=True)
    os.link(busybox, path / "bin/busybox")
    for name in APPLETS:
        (path / "bin" / name).symlink_to("busybox")
    (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
    (path / "etc/group").write_text("root:x:0:\nuser:x:1000:\n")
    return path


def chown_tree(path: Path, owner: int) -> None:
    """Give a tree to the user and group of one number, but for the programs that every rootfs shares.

    Stays on the tree's filesystem: a mount that a failed test left there may be the host's own /dev/null.
    """
    device = path.stat().st_dev
    for base, folders, files in os.walk(path):
        for each in (".", *folders, *files):
            if each != "busybox" and os.lstat(os.path.join(base, each)).st_dev == device:
                os.chown(os.path.join(base, each), owner, owner, follow_symlinks=False)


class Bundle:
    """A folder with a rootfs and a config.json; `config` may be changed until the next command is run."""

    def __init__(self, path: Path, busybox: Path, *command: str) -> None:
        self.path = path
        self.rootfs = make_rootfs(path / "rootfs", busybox)
        self.config = default_config(*command)

    @property
    def process(self) -> "dict[str, Any]":
        found: "dict[str, Any]" = self.config["process"]
        return found

    @property
    def linux(self) -> "dict[str, Any]":
        found: "dict[str, Any]" = self.config["linux"]
        return found

    def sh(self, script: str) -> "Bundle":
        """Let the container run a shell script."""
        self.process["args"] = ["sh", "-c", script]
        return self

    def write(self) -> "Bundle":
        """Put config.json in place, whole at any moment: containers of one bundle are started side by side."""
        with tempfile.NamedTemporaryFile("w", dir=self.path, prefix=".config-", delete=False) as half:
            json.dump(self.config, half)
        os.chmod(half.name, 0o644)
        os.rename(half.name, self.path / "config.json")
        return self

    def python(self, script: str) -> "Bundle":
        """Let the container run a Python script, with the host's interpreter mounted read-only."""
        (self.rootfs / "usr").mkdir()
        for name in ("lib", "lib64"):
            (self.rootfs / name).symlink_to(f"usr/{name}")
        self.config["mounts"].append(mount("/usr", "bind", ["rbind", "ro"], "/usr"))
        self.process["args"] = ["/usr/bin/python3", "-IBS", "-c", script]
        return self

    def namespaces(self, *kinds: str) -> "Bundle":
        """Replace the list of namespaces."""
        self.linux["namespaces"] = [{"type": kind} for kind in kinds]
        return self

    def without(self, kind: str) -> "Bundle":
        """Drop a namespace, and what can't be had without it."""
        self.linux["namespaces"] = [entry for entry in self.linux["namespaces"] if entry["type"] != kind]
        if kind == "uts":
            del self.config["hostname"]
        return self

    def user_namespace(self, first: int = 100000, size: int = 65536) -> "Bundle":
        """Add a user namespace in which `size` ids from 0 are those from `first` outside."""
        self.linux["namespaces"].append({"type": "user"})
        chown_tree(self.rootfs, first)
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": first, "size": size}]
        return self

    def changed(self, **values: object) -> "dict[str, Any]":
        """A deep copy of the configuration with some top-level keys replaced."""
        return {**copy.deepcopy(self.config), **values}


class Result:
    """How a command ended. Its output is read late: a container may write to it long after the command has ended."""

    def __init__(self, rc: int, base: Path, seconds: float) -> None:
        self.rc = rc
        self.base = base
        self.seconds = seconds

    @property
    def out(self) -> str:
        return self.base.with_suffix(".out").read_text(errors="backslashreplace")

    @property
    def err(self) -> str:
        return self.base.with_suffix(".err").read_text(errors="backslashreplace")

    @property
    def log(self) -> "list[dict[str, Any]]":
        """The lines of the `--log` file, if there was one."""
        path = self.base.with_suffix(".log")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def __repr__(self) -> str:
        return f"rc {self.rc} after {self.seconds:.2f} s\nstdout: {self.out}\nstderr: {self.err}\nlog: {self.log}"


class Runtime:
    """One runtime binary with a state root of its own."""

    def __init__(self, binary: "Path | str", folder: Path, *flags: str) -> None:
        self.binary = str(binary)
        self.folder = folder
        self.root = folder / "state"
        self.flags = flags
        folder.mkdir(exist_ok=True, parents=True)

    def command(self, verb: str, *arguments: object) -> "list[str]":
        """The argv of one call."""
        return [self.binary, "--root", str(self.root), *self.flags, verb, *map(str, arguments)]

    def popen(self, verb: str, *arguments: object, **options: "Any") -> "tuple[subprocess.Popen[bytes], Path]":
        """Start one call; its output goes to files, so that nobody waits for a container that holds a pipe."""
        base = self.folder / f"call{next(numbers)}"
        options.setdefault("stdin", subprocess.DEVNULL)
        command = self.command(verb, *arguments)
        if options.pop("log", False):
            command[1:1] = ["--log", str(base.with_suffix(".log")), "--log-format", "json"]
        with open(base.with_suffix(".out"), "wb") as out, open(base.with_suffix(".err"), "wb") as err:
            options.setdefault("stdout", out)
            options.setdefault("stderr", err)
            return subprocess.Popen(command, **options), base

    def __call__(self, verb: str, *arguments: object, timeout: float = 30, **options: "Any") -> Result:
        """Make one call and wait for it. Raises subprocess.TimeoutExpired, after killing it."""
        begin = time.monotonic()
        process, base = self.popen(verb, *arguments, **options)
        try:
            rc = process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        return Result(rc, base, time.monotonic() - begin)

    def run(self, bundle: Bundle, *arguments: object, id: str = "", **options: "Any") -> Result:
        """`run` of a bundle under a new id."""
        bundle.write()
        return self("run", "--bundle", bundle.path, *arguments, id or new_id(), **options)

    def create(self, bundle: Bundle, *arguments: object, id: str, **options: "Any") -> Result:
        """`create` of a bundle."""
        bundle.write()
        return self("create", "--bundle", bundle.path, *arguments, id, **options)

    def state(self, id: str) -> "dict[str, Any]":
        """What `state` prints; {} when it refuses."""
        result = self("state", id)
        return json.loads(result.out) if result.rc == 0 else {}

    def status(self, id: str) -> str:
        """The status alone, "" for a container that does not exist."""
        return str(self.state(id).get("status", ""))

    def wait_for(self, id: str, status: str, seconds: float = 10) -> None:
        """Poll until a container has this status."""
        wait_until(lambda: self.status(id) == status, f"{id} is {status}", seconds)

    def containers(self) -> "list[str]":
        """The entries below the state root."""
        return sorted(os.listdir(self.root)) if self.root.exists() else []


def emptied(runtime: Kind) -> "Iterator[Kind]":
    """For fixtures: the runtime, under whose state root nothing may be left when the test has ended."""
    yield runtime
    left = runtime.containers()
    for name in left:
        runtime("delete", "--force", name)
    assert not left, f"state entries are left behind: {left}"


def wait_until(condition: "Any", what: str, seconds: float = 10) -> None:
    """Poll until `condition()` holds. Raises AssertionError that names `what`."""
    end = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {seconds * PATIENCE} s: {what}"
        time.sleep(0.01)


def copy_busybox(folder: Path) -> Path:
    """A copy of the host's busybox to link from."""
    target = folder / "busybox"
    shutil.copy(BUSYBOX, target)
    target.chmod(0o755)
    return target
