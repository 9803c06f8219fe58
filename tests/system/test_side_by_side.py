"""The same bundle under runc, crun and pyruntime: what a process sees of its confinement must be the same.

They run where /sys/fs/cgroup is a cgroup2 tree (scripts/lib/unified), each with a bundle of its own. What the probe
prints is compared line by line, section by section. Whatever differs must stand in DIFFERENCES, with its reason.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.system import harness
from tests.system.harness import Bundle, mount

UNIFIED = harness.ROOT / "scripts/lib/unified"
PROBE = Path(__file__).with_name("probe.sh").read_text()
OTHERS = {
    "runc": ("runc",),
    # The crun of Debian 12 raises RLIMIT_MEMLOCK for a device program, which takes rights not every root has.
    "crun": ("crun", "--cgroup-manager=disabled"),
}
INSIDE = """
mount --make-rshared /
for name in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$name; done > "$WORK/host"
"""


class Difference(NamedTuple):
    """Lines of one section that may be different: `other` names the runtime they are different from, "" for any."""

    section: str
    line: str
    reason: str
    other: str = ""
    case: str = ""

    def covers(self, case: str, other: str, section: str, line: str) -> bool:
        mine = (section, self.other or other, bool(re.fullmatch(self.case or ".*", case)))
        return mine == (self.section, other, True) and re.fullmatch(self.line, line) is not None


_STDIO = "(0|1|2) "
DIFFERENCES = [
    Difference("fds", _STDIO + r"pipe:\[\]", "runc puts pipes between the container and every caller", "runc"),
    Difference("fds", _STDIO + r"(/dev/null|BUNDLE/(out|err))", "what the caller gave is handed on", "runc"),
    Difference("mounts", r"\S+ shows /null of .*", "masked files are covered by the host's /dev/null, read-only, which "
               "no rootfs can have forged; runc takes the container's own, crun the host's"),
    Difference("mounts", r"\S+ shows / of tmpfs tmpfs: relatime,ro (shared)?;.*ro.*", "one empty tmpfs of one page covers all "
               "masked folders, the others make one each"),
    Difference("mounts", r"\S+ shows / of tmpfs tmpfs: relatime,ro .*rw,size=0k.*", "crun makes only the mount over a masked "
               "folder read-only", "crun"),
    Difference("mounts", "(.* shows BUNDLE/.*|/ shows .*) of ext4 .*", "crun makes every mount private unless told "
               "otherwise, runc and we slave", "crun"),
    Difference("mounts", "/(mnt|tmp|etc) shows / of tmpfs .*", "we tell the tmpfs its mode, runc changes it afterwards",
               case="tmpfs over a folder|tmpcopyup|user namespace, mounts"),
    Difference("files", "/tmp drwxrwxrwt .*", "crun leaves a tmpfs without mode= at 1777", "crun",
               "tmpfs over a folder|user namespace, mounts"),
    Difference("mounts", r"/dev/\w+ shows /\w+ of devtmpfs .*", "crun binds devices with noexec and nosuid, runc and we as "
               "they are", "crun", "user namespace.*"),
    Difference("files", "/dev/mqueue drwxrwxrwt .*", "we make the IPC namespace in the same clone3 as the user namespace, "
               "before ids are mapped, so the queues' root has no owner inside; its mode lets everybody in", case="user namespace.*"),
    Difference("mounts", ".*", "runc 1.1 leaves the root private when it is to be shared", "runc", "root r?shared"),
    Difference("files", "/dev/null crw-rw-rw- .* 1:3", "crun gives /dev/null to the user when it is stdin", "crun"),
    Difference("env", "HOME=.*", "crun looks HOME up only where it is missing, and knows none for an unknown user", "crun",
               "unknown user|empty HOME"),
    Difference("mounts", "/dev/console shows /0 of devpts .*", "crun's bind of the console has none of devpts's flags", "crun",
               "terminal.*"),
    Difference("stdin", "-?onlcr", "crun leaves ONLCR set", "crun", "terminal.*"),
    Difference("stdin", "(rows|columns)=.*", "runc overwrites consoleSize by the caller's "
               "size even if that is unknown", "runc", "terminal with a size"),
    Difference("cgroup", "0::/.*", "this crun runs without cgroups of its own", "crun"),
    Difference("files", "/dev/core .*", "crun links /proc/kcore though it is masked", "crun"),
    Difference("mounts", "/sys shows / of sysfs .*", "crun makes only the mount read-only, runc and we the filesystem too", "crun"),
    Difference("mounts", "/sys/fs/cgroup shows .*", "crun names the source cgroup2 whatever the config says", "crun"),
    Difference("rootfs", r"\S+ 4[01]755 (0:0|100000:100000)", "crun makes folders for mounts with the sticky bit", "crun"),
    Difference("files", r"\S+ drwxr-xr-[xt] 0:0 0:0", "crun makes folders for mounts with the sticky bit", "crun"),
    Difference("rootfs", "mnt/file 100.* 0:0", "the empty file below a bind mount: we make it 0644, crun 0700, runc 0755"),
]  # fmt: skip


class Case(NamedTuple):
    """One bundle, made by `change`, and how it is run."""

    name: str
    change: "Callable[[Bundle], object]"
    arguments: "tuple[str, ...]" = ()
    before: str = ""
    around: str = "{}"
    skip: "tuple[str, ...]" = ()
    status: int = 0


def nothing(bundle: Bundle) -> None:
    """The default configuration as it is."""


def process(**values: object) -> "Callable[[Bundle], object]":
    """A change of `process`."""
    return lambda bundle: bundle.process.update(values)


def linux(**values: object) -> "Callable[[Bundle], object]":
    """A change of `linux`."""
    return lambda bundle: bundle.linux.update(values)


def mounts(*entries: "dict[str, Any]") -> "Callable[[Bundle], object]":
    """More mounts; a source that begins with @ lies in the bundle and is made."""

    def change(bundle: Bundle) -> None:
        for entry in entries:
            source = entry["source"]
            if source.startswith("@"):
                path = bundle.path / source[1:]
                if path.suffix:
                    path.write_text("content\n")
                else:
                    (path / "inner").mkdir(parents=True)
                entry = {**entry, "source": str(path)}
            bundle.config["mounts"].append(entry)

    return change


def without(kind: str) -> "Callable[[Bundle], object]":
    """One namespace less."""

    def change(bundle: Bundle) -> None:
        bundle.without(kind)
        if kind == "mount":
            bundle.config["mounts"] = []
            bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []

    return change


def both(*changes: "Callable[[Bundle], object]") -> "Callable[[Bundle], object]":
    """Several changes in order."""

    def change(bundle: Bundle) -> None:
        for each in changes:
            each(bundle)

    return change


def joined(kind: str, path: str) -> "Callable[[Bundle], object]":
    """A namespace that is there already."""

    def change(bundle: Bundle) -> None:
        for entry in bundle.linux["namespaces"]:
            if entry["type"] == kind:
                entry["path"] = path

    return change


def capabilities(**sets: "list[str]") -> "Callable[[Bundle], object]":
    return process(capabilities=sets)


ALL = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID", "CAP_SETGID"]
HOLD = "unshare --{} sleep 60 & holder=$!; until [ /proc/$holder/ns/{} -ef $WORK/{} ] || " """
[ "$(readlink /proc/$holder/ns/{})" != "$(readlink /proc/self/ns/{})" ]; do sleep 0.01; done
ln -s /proc/$holder/ns/{} $WORK/{}
"""


def held(flag: str, kind: str) -> str:
    """Shell lines that keep a new namespace; the link HELD leads to it."""
    return f"""
unshare --{flag} sleep 60 & echo $! > "$WORK/holder"
until [ "$(readlink /proc/$!/ns/{kind})" != "$(readlink /proc/self/ns/{kind})" ]; do sleep 0.01; done
touch "$WORK/held"; mount --bind "/proc/$!/ns/{kind}" "$WORK/held"
kill "$!"
"""


USER = dict(first=100000, size=65536)
CASES = [
    Case("default", nothing),
    Case("no network namespace", without("network")),
    Case("no ipc namespace", without("ipc")),
    Case("no uts namespace", without("uts")),
    Case("no pid namespace", without("pid")),
    Case("cgroup namespace", lambda bundle: bundle.linux["namespaces"].append({"type": "cgroup"})),
    Case("hostname", lambda bundle: bundle.config.update(hostname="a-name.example")),
    Case("domainname", lambda bundle: bundle.config.update(domainname="example.org"), skip=("runc",)),
    Case("user and groups", process(user={"uid": 1000, "gid": 1000, "additionalGids": [5, 10, 1000]})),
    Case("unknown user", process(user={"uid": 4242, "gid": 4243})),
    Case("umask", process(user={"uid": 0, "gid": 0, "umask": 0o077})),
    Case("no capabilities", process(capabilities={})),
    Case("capabilities absent", lambda bundle: bundle.process.pop("capabilities")),
    Case("capabilities of a user", both(
        process(user={"uid": 1000, "gid": 1000}),
        capabilities(bounding=ALL, permitted=ALL, effective=ALL, inheritable=ALL))),
    Case("ambient capabilities", both(
        process(user={"uid": 1000, "gid": 1000}),
        capabilities(bounding=ALL, permitted=ALL, effective=ALL, inheritable=ALL, ambient=ALL[:3]))),
    Case("effective fewer than permitted", capabilities(bounding=ALL, permitted=ALL, effective=ALL[:2])),
    Case("new privileges allowed", process(noNewPrivileges=False)),
    Case("rlimits", process(rlimits=[
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 2 << 20},
        {"type": "RLIMIT_NPROC", "soft": 500, "hard": 600}])),
    Case("cwd", process(cwd="/tmp")),
    Case("cwd that is missing", process(cwd="/not/there/yet")),
    Case("environment", process(env=["PATH=/bin", "TWICE=one", "TWICE=two", "EMPTY=", "EQUALS=a=b=c", "HOME=/tmp"])),
    Case("empty HOME", process(env=["PATH=/bin", "HOME="])),
    Case("environment without PATH", both(
        process(env=["A=b"]), lambda bundle: bundle.process["args"].__setitem__(0, "/bin/sh"))),
    Case("home of a user", process(user={"uid": 1000, "gid": 1000}, env=["PATH=/bin"])),
    Case("read-only root", lambda bundle: bundle.config["root"].update(readonly=True)),
    Case("no masks", linux(maskedPaths=[], readonlyPaths=[])),
    Case("masks of the rootfs", linux(
        maskedPaths=["/etc/passwd", "/etc", "/not/there"], readonlyPaths=["/tmp", "/bin/busybox", "/nor/there"])),
    Case("bind of a folder", mounts(mount("/mnt/deep/folder", "bind", ["rbind"], "@data"))),
    Case("bind of a file", mounts(mount("/mnt/file", "bind", ["bind", "ro"], "@data.txt"))),
    Case("bind, read-only", mounts(mount("/mnt", "bind", ["bind", "ro"], "@data"))),
    Case("bind with flags", mounts(mount("/mnt", "bind", ["rbind", "nosuid", "noexec", "nodev", "rw"], "@data"))),
    Case("bind with noatime", mounts(mount("/mnt", "bind", ["bind", "noatime", "nodiratime"], "@data"))),
    Case("bind, recursively read-only", mounts(mount("/mnt", "bind", ["rbind", "rro"], "@data"))),
    Case("bind, private", mounts(mount("/mnt", "bind", ["rbind", "rprivate"], "@data"))),
    Case("bind, slave", mounts(mount("/mnt", "bind", ["rbind", "rslave"], "@data"))),
    Case("bind, shared", mounts(mount("/mnt", "bind", ["rbind", "rshared"], "@data"))),
    Case("bind of a mount in a mount", both(
        mounts(mount("/mnt", "tmpfs", ["size=64k"])), mounts(mount("/mnt/sub", "bind", ["bind"], "@data")))),
    Case("tmpfs with mode and size", mounts(mount("/mnt", "tmpfs", ["mode=1770", "size=1m", "nr_inodes=100", "noexec"]))),
    Case("tmpfs, read-only", mounts(mount("/mnt", "tmpfs", ["ro", "nosuid"]))),
    Case("tmpfs of a user", mounts(mount("/mnt", "tmpfs", ["uid=1000", "gid=1001", "mode=0750"]))),
    Case("tmpfs over a folder", mounts(mount("/tmp", "tmpfs", ["nodev"]))),
    Case("tmpcopyup", both(
        lambda bundle: bundle.process["args"].__setitem__(2, "find /etc | sort; " + PROBE),
        mounts(mount("/etc", "tmpfs", ["tmpcopyup", "size=1m"])))),
    Case("devices", linux(devices=[
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666, "uid": 0, "gid": 0},
        {"path": "/dev/deep/disk", "type": "b", "major": 8, "minor": 0, "fileMode": 0o60640, "uid": 1000, "gid": 6},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o600},
        {"path": "/dev/full", "type": "c", "major": 1, "minor": 7, "fileMode": 0o644, "uid": 1, "gid": 2}])),
    Case("allowed device", linux(resources={"devices": [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}]})),
    Case("sysctls", linux(sysctl={
        "net.ipv4.ip_forward": "1", "kernel.msgmax": "4096", "kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "20"})),
    Case("sysctl with slashes", linux(sysctl={"net/ipv4/ip_forward": "1"}), skip=("crun",)),
    Case("oom score", process(oomScoreAdj=500)),
    Case("personality", linux(personality={"domain": "LINUX32"}), skip=("runc",)),
    Case("user namespace", lambda bundle: bundle.user_namespace(**USER)),
    Case("user namespace, other user", both(
        process(user={"uid": 1000, "gid": 1000, "additionalGids": [7]}), lambda bundle: bundle.user_namespace(**USER))),
    Case("user namespace, mounts", both(
        mounts(mount("/mnt", "bind", ["rbind", "ro"], "@data"), mount("/tmp", "tmpfs", ["size=64k"])),
        lambda bundle: bundle.user_namespace(**USER))),
    Case("root slave", linux(rootfsPropagation="slave")),
    Case("root private", linux(rootfsPropagation="rprivate")),
    Case("root shared", linux(rootfsPropagation="shared")),
    Case("root rshared", linux(rootfsPropagation="rshared")),
    Case("root unbindable", linux(rootfsPropagation="unbindable"), skip=("runc",)),
    Case("no cgroup mount", lambda bundle: bundle.config.update(mounts=bundle.config["mounts"][:-1])),
    Case("cgroup mount for writing", lambda bundle: bundle.config["mounts"][-1].update(options=["rw"])),
    Case("cgroup path", linux(cgroupsPath="/above/below")),
    Case("joined network namespace", joined("network", "@held"), before=held("net", "net")),
    Case("joined ipc namespace", joined("ipc", "@held"), before=held("ipc", "ipc")),
    Case("joined uts namespace", joined("uts", "@held"), before=held("uts", "uts")),
    Case("terminal", process(terminal=True), around="script -qec {} /dev/null"),
    Case("terminal with a size", process(terminal=True, consoleSize={"height": 30, "width": 100}),
         around="script -qec {} /dev/null"),
    Case("terminal of a user", process(terminal=True, user={"uid": 1000, "gid": 1000}), around="script -qec {} /dev/null"),
    Case("extra descriptors", nothing, ("--preserve-fds", "2"), around="{} 3</etc/hostname 4</dev/null"),
    Case("leaked descriptors", nothing, around="{} 3</etc/hostname 4</dev/null 9</"),
    Case("no pivot", nothing, ("--no-pivot",)),
    Case("no new keyring", nothing, ("--no-new-keyring",)),
    Case("stdin from a pipe", nothing, around="echo 'some input' | {}"),
    Case("exit status", lambda bundle: bundle.sh("exit 42"), status=42),
    Case("killed", lambda bundle: bundle.sh("kill -9 $$; sleep 1").without("pid"), status=137),
    Case("signalled", lambda bundle: bundle.sh("kill -TERM $$; sleep 1").without("pid"), status=143),
]  # fmt: skip


class Seen(NamedTuple):
    """What one runtime showed: sections of lines, and what came of the rootfs."""

    status: int
    sections: "dict[str, list[str]]"
    err: str


@pytest.fixture
def arena(tmp_path: Path, busybox: Path, launcher: Path) -> "Callable[[Case], dict[str, Seen]]":
    """Runs a case under every runtime there is."""
    return lambda case: fight(case, tmp_path, busybox, launcher)


def fight(case: Case, folder: Path, busybox: Path, launcher: Path) -> "dict[str, Seen]":
    """One bundle and one command for each runtime, one private cgroup2 tree for all."""
    others = {name: words for name, words in OTHERS.items() if shutil.which(words[0]) and name not in case.skip}
    script = [INSIDE, case.before]
    for name, words in {"pyruntime": (str(launcher),), **others}.items():
        script.append(_command(case, name, words, folder, busybox))
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "WORK": str(folder), "LC_ALL": "C"}
    _unified("\n".join(script), environment)
    host = (folder / "host").read_text().split()
    return {name: _seen(folder / name, host) for name in ("pyruntime", *others)}


def _unified(script: str, environment: "dict[str, str]") -> None:
    """Run a shell script where there is a cgroup2 tree; it is ended, and cleaned up after, when it takes too long."""
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    started = subprocess.Popen(
        [UNIFIED, "bash", "-c", script], env=environment, stdin=nothing, stdout=nothing, stderr=pipe, text=True
    )
    try:
        _, err = started.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        started.terminate()
        started.communicate(timeout=10)
        raise
    assert started.returncode == 0, err


def _command(case: Case, name: str, words: "tuple[str, ...]", folder: Path, busybox: Path) -> str:
    bundle = Bundle(folder / name, busybox).sh(PROBE)
    case.change(bundle)
    for entry in bundle.linux["namespaces"]:
        if entry.get("path", "").startswith("@"):
            entry["path"] = str(folder / entry["path"][1:])
    bundle.write()
    base = str(bundle.path)
    run = [*words, "--root", f"{base}/state", "run", "--bundle", base, *case.arguments, f"{harness.PREFIX}-{name}"]
    command = case.around.format(shlex.quote(shlex.join(run)) if "script" in case.around else shlex.join(run))
    reader = "" if "|" in case.around else "< /dev/null "
    return f"{{ {command}; }} {reader}> {base}/out 2> {base}/err; echo $? > {base}/rc"


def _seen(folder: Path, host: "list[str]") -> Seen:
    sections: "dict[str, list[str]]" = {"before": []}
    name = "before"
    for line in (folder / "out").read_text(errors="replace").replace("\r", "").replace("^@", "").splitlines():
        if line.startswith("== "):
            name = line[3:]
            sections[name] = []
        else:
            sections[name].append(_normal(name, line, folder, host))
    sections["rootfs"] = sorted(_entries(folder / "rootfs"))
    return Seen(int((folder / "rc").read_text()), sections, (folder / "err").read_text())


def _entries(rootfs: Path) -> "list[str]":
    """What is in the rootfs afterwards, with mode and owner: mount points that were made stay."""
    found = []
    for base, folders, files in os.walk(rootfs):
        for each in (*folders, *files):
            path = Path(base) / each
            status = path.lstat()
            if "bin" not in path.relative_to(rootfs).parts:
                found.append(f"{path.relative_to(rootfs)} {status.st_mode:o} {status.st_uid}:{status.st_gid}")
    return found


def _normal(section: str, line: str, folder: Path, host: "list[str]") -> str:
    line = line.replace(str(folder), "BUNDLE").replace(f"{harness.PREFIX}-{folder.name}", "ID")
    if section == "mounts":
        return _mount(line)
    if section == "ns":
        return f"{line.split(':')[0]} {'of the host' if line in host else 'new'}"
    if section == "fds":
        return re.sub(r":\[\d+\]", ":[]", line)
    return line


def _mount(line: str) -> str:
    """A line of mountinfo without the numbers, and with the peer groups' kinds alone; proc(5)."""
    fields = line.split()
    dash = fields.index("-")
    peers = sorted(field.partition(":")[0] for field in fields[6:dash])
    root = fields[3]
    if "BUNDLE" in root:
        root = root[root.index("BUNDLE") :]
    options = ",".join(sorted(fields[5].split(",")))
    superblock = ",".join(sorted(word for word in fields[-1].split(",") if word not in ("resv_strict",)))
    return f"{fields[4]} shows {root} of {fields[dash + 1]} {fields[-2]}: {options} {' '.join(peers)}; {superblock}"


def differences(case: str, other: str, ours: Seen, theirs: Seen) -> "list[str]":
    """What differs and is not explained."""
    found = []
    for section in sorted({*ours.sections, *theirs.sections}):
        mine, other_lines = Counter(ours.sections.get(section, [])), Counter(theirs.sections.get(section, []))
        for sign, lines in (("+", mine - other_lines), ("-", other_lines - mine)):
            for line in lines.elements():
                if not any(each.covers(case, other, section, line) for each in DIFFERENCES):
                    found.append(f"{sign} {section}: {line}")
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_same_as_others(case: Case, arena: "Callable[[Case], dict[str, Seen]]") -> None:
    seen = arena(case)
    ours = seen.pop("pyruntime")
    assert ours.status == case.status, ours.err
    if not seen:
        pytest.skip("neither runc nor crun is installed")
    assert "end" in ours.sections or case.status, ours.err
    for name, theirs in seen.items():
        assert theirs.status == case.status, f"{name}: {theirs.err}"
        found = differences(case.name, name, ours, theirs)
        assert not found, f"pyruntime (+) differs from {name} (-) in ways that nobody explained:\n" + "\n".join(found)
