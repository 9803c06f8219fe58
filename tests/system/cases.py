"""The bundles that are run side by side: what each changes in the usual configuration, and how it is run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.system.harness import Bundle, mount

PROBE = Path(__file__).with_name("probe.sh").read_text()


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


def held(flag: str, kind: str) -> str:
    """Shell lines that keep a new namespace; the link HELD leads to it."""
    return f"""
unshare --{flag} sleep 60 & echo $! > "$WORK/holder"
until [ "$(readlink /proc/$!/ns/{kind})" != "$(readlink /proc/self/ns/{kind})" ]; do sleep 0.01; done
touch "$WORK/held"; mount --bind "/proc/$!/ns/{kind}" "$WORK/held"
kill "$!"
"""


USER = {"first": 100000, "size": 65536}
# crun 1.8 gives stdin to the container's root, also when it is the host's own /dev/null: it never gets that here.
PIPED = "true | {}"
# A process in a user namespace with the usual map, and in a network namespace that belongs to that.
POD = """
unshare --user --net sleep 60 & holder=$!
until [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
echo "0 100000 65536" > /proc/$holder/uid_map; echo "0 100000 65536" > /proc/$holder/gid_map
for kind in user net; do touch "$WORK/$kind"; mount --bind /proc/$holder/ns/$kind "$WORK/$kind"; done
kill $holder
"""
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
    Case("tmpfs with mode and size", mounts(
        mount("/mnt", "tmpfs", ["mode=1770", "size=1m", "nr_inodes=100", "noexec"]))),
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
        "net.ipv4.ip_forward": "1", "kernel.msgmax": "4096", "kernel.shm_rmid_forced": "1",
        "fs.mqueue.msg_max": "20"})),
    Case("sysctl with slashes", linux(sysctl={"net/ipv4/ip_forward": "1"}), skip=("crun",)),
    Case("oom score", process(oomScoreAdj=500)),
    Case("personality", linux(personality={"domain": "LINUX32"}), skip=("runc",)),
    Case("user namespace", lambda bundle: bundle.user_namespace(**USER), around=PIPED),
    Case("user namespace, other user", both(
        process(user={"uid": 1000, "gid": 1000, "additionalGids": [7]}), lambda bundle: bundle.user_namespace(**USER)),
        around=PIPED),
    Case("user namespace, mounts", both(
        mounts(mount("/mnt", "bind", ["rbind", "ro"], "@data"), mount("/tmp", "tmpfs", ["size=64k"])),
        lambda bundle: bundle.user_namespace(**USER)), around=PIPED),
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
    Case("joined user and network namespaces", both(
        lambda bundle: bundle.user_namespace(**USER), joined("user", "@user"), joined("network", "@net")), before=POD,
        skip=("crun",)),
    Case("terminal", process(terminal=True), around="script -qec {} /dev/null"),
    Case("terminal with a size", process(terminal=True, consoleSize={"height": 30, "width": 100}),
         around="script -qec {} /dev/null"),
    Case("terminal of a user", process(terminal=True, user={"uid": 1000, "gid": 1000}),
         around="script -qec {} /dev/null"),
    Case("extra descriptors", nothing, ("--preserve-fds", "2"), around="{} 3</etc/hostname 4</dev/null"),
    Case("leaked descriptors", nothing, around="{} 3</etc/hostname 4</dev/null 9</"),
    Case("no pivot", nothing, ("--no-pivot",)),
    Case("no new keyring", nothing, ("--no-new-keyring",)),
    Case("stdin from a pipe", nothing, around="echo 'some input' | {}"),
    Case("exit status", lambda bundle: bundle.sh("exit 42"), status=42),
    Case("killed", lambda bundle: bundle.sh("kill -9 $$; sleep 1").without("pid"), status=137),
    Case("signalled", lambda bundle: bundle.sh("kill -TERM $$; sleep 1").without("pid"), status=143),
]  # fmt: skip
