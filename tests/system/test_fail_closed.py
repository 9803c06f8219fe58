"""The campaign of failing calls: each single call of each process fails once, and nobody starts with less than asked.

Whatever the runtime calls is in it, new calls join by themselves. What is left out is in `HARMLESS`, with the reason.
`PYRUNTIME_CAMPAIGN=full` makes every call fail, by EPERM and by one of its errors in `ERRORS`; without it a sample
does. `PYRUNTIME_CAMPAIGN_REPORT` names a file that gets the counts and what was found.
"""

import itertools
import os
import platform
import re
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.system import leaks
from tests.system.harness import ROOT, Bundle, Runtime, mount, new_id

FULL = os.environ.get("PYRUNTIME_CAMPAIGN") == "full"
INJECTOR = [sys.executable, "-IS", str(ROOT / "tests/system/injector.py")]
SECONDS = 30

HARMLESS = {
    "memory of the interpreter; failing is its own MemoryError, tests/walk has that": (
        "mmap", "munmap", "mremap", "brk", "madvise", "mprotect", "futex", "set_robust_list", "rseq",
    ),
    "cannot fail in the kernel, or not without having done its work": (
        "close", "exit", "exit_group", "umask", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid",
        "getegid", "rt_sigreturn", "clock_gettime", "set_tid_address", "sched_yield", "uname",
    ),
    "asks for numbers that only order or name things": ("getrandom", "lseek"),
}  # fmt: skip

# How the interpreter finds its own modules, on the host: what fails there is told by the launcher or by main.
SOURCES = re.compile(r".*/pyruntime(/\w+)*(/\w+\.py|/__pycache__/.*)?( 0x.*)?")
LOOP = 8  # calls in a row from which on they are one loop, and some stand for all

# Errors beside EPERM, which code may be tempted to take for "not needed" or "not there". ENOENT is not among them:
# a kernel that says so has no such file, and masks of what is not there are rightly left out. Nor are EPIPE and
# ECONNRESET for the channel: they are the word of a peer that is gone, and then nobody is left to be told.
ERRORS = {
    "openat2": ("EAGAIN", "ENOSYS", "EACCES"), "openat": ("EACCES", "EMFILE"), "mount_setattr": ("EINVAL", "ENOSYS"),
    "move_mount": ("EINVAL", "EBUSY"), "open_tree": ("EINVAL", "ENOSYS"), "fsopen": ("ENODEV", "ENOSYS"),
    "fsconfig": ("EINVAL", "EBUSY"), "fsmount": ("EINVAL", "EBUSY"), "clone3": ("ENOSYS", "EAGAIN"),
    "close_range": ("EINVAL", "ENOSYS"), "setgroups": ("EINVAL", "ENOSYS"), "setresuid": ("EAGAIN", "EINVAL"),
    "setresgid": ("EINVAL",), "capset": ("EINVAL",), "prctl": ("EINVAL", "ENOSYS"), "bpf": ("EINVAL", "ENOSYS"),
    "seccomp": ("EINVAL", "ENOSYS", "EFAULT"), "keyctl": ("ENOSYS", "EDQUOT"), "prlimit64": ("EINVAL",),
    "write": ("EIO", "EACCES", "ENOSPC"), "setns": ("EINVAL",), "unshare": ("EINVAL", "ENOSPC"),
    "pivot_root": ("EINVAL", "EBUSY"), "umount2": ("EINVAL", "EBUSY"), "mknodat": ("EACCES",), "fchdir": ("EACCES",),
    "chdir": ("EACCES",), "read": ("EIO",), "sendmsg": ("ENOBUFS",), "recvmsg": ("ENOMEM",),
    "memfd_create": ("ENOSYS",), "fcntl": ("EINVAL",), "execve": ("EACCES",),
}  # fmt: skip

# Calls whose failure is tolerated though the program sees a difference: (call, what it is about, what may be lost,
# what may be new, why).
TOLERATED = (
    ("mknodat", ".*", "", r"/\w+ /dev/\w+ ro,relatime", "an outer runtime may refuse it: the host's node, read-only"),
    (
        "fsopen|fsconfig|fsmount",
        ".*",
        "",
        r"(/\S* /sys/\S+ ro,\S*\n?)+",
        "sysfs of another's network: the host's, read-only",
    ),
    ("(openat2?|fstat|newfstatat|read)", "(.*/etc/passwd|).*", "HOME=.*", "HOME=/", "HOME is no confinement"),
)

RELEVANT = (
    "open_tree", "move_mount", "mount_setattr", "fsopen", "fsconfig", "fsmount", "pivot_root", "umount2", "capset",
    "capget", "prctl", "setresuid", "setresgid", "setgroups", "setns", "unshare", "clone3", "bpf", "seccomp", "keyctl",
    "sethostname", "setdomainname", "prlimit64", "write", "close_range", "chroot", "chdir", "fchdir", "openat2",
    "openat", "setsid", "memfd_create", "execve", "rt_sigaction", "mknodat", "sched_setaffinity", "personality",
)  # fmt: skip

CALLERS_GROUPS = (4711, 4712)  # which must not be the program's
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
PROBE = """exec 2>&1; echo RAN
grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp|Sig(Ign|Blk|Cgt)|Umask|NSpid)' /proc/self/status
cut -d' ' -f4-6 /proc/self/mountinfo
for n in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$n; done
cat /proc/self/attr/current /proc/self/oom_score_adj /proc/self/personality /proc/self/limits
cut -d' ' -f18,19,40,41 /proc/self/stat
cat /proc/self/uid_map /proc/self/gid_map /proc/self/timens_offsets /proc/self/loginuid
hostname; uname -a | cut -d' ' -f2; cat /proc/sys/kernel/domainname /proc/sys/kernel/msgmax
cat /proc/sys/net/ipv4/ip_default_ttl
for f in /proc/$$/fd/*; do readlink $f; done; ionice; env; pwd; readlink /proc/self/root
grep -o '_ses[^ ]*' /proc/keys
cat /sys/fs/cgroup/cgroup.max.descendants; mkdir /sys/fs/cgroup/new
stat -c '%A %u %g %t %T %n' /dev/* /dev/pts/*
rm -f /tmp/disk; mknod /tmp/disk b 8 0; cat /tmp/disk; cat /proc/timer_list | head -c 1
echo 1 > /proc/sys/kernel/ostype
touch /made /mnt/made /var/made /proc/self/made; mount -t tmpfs x /tmp; ls -d /proc/1/cwd/
echo DONE"""


@pytest.fixture(autouse=True)
def machine() -> None:
    if platform.machine() != "x86_64":
        pytest.skip("needs x86-64, for the injector")


def busy(bundle: Bundle) -> Bundle:
    """A configuration that asks for something of every kind, for a user who is not root."""
    source = bundle.path / "source"
    source.mkdir()
    sets = ("bounding", "effective", "permitted", "inheritable", "ambient")
    names = ["CAP_KILL", "CAP_NET_BIND_SERVICE"]
    bundle.process["capabilities"] = {kind: names for kind in sets}
    bundle.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7], "umask": 0o027}
    bundle.process["oomScoreAdj"] = 300
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 19}
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    bundle.process["cwd"] = "/mnt"
    bundle.linux["sysctl"] = {"kernel.msgmax": "4096", "net.ipv4.ip_default_ttl": "33"}
    bundle.linux["resources"]["unified"] = {"cgroup.max.descendants": "7"}
    bundle.linux["maskedPaths"].remove("/proc/keys")
    refused = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}
    bundle.config["root"]["readonly"] = True
    bundle.config["domainname"] = "example.org"
    bundle.config["mounts"] += [
        mount("/mnt", "bind", ["rbind", "rro", "nosuid", "nodev", "noexec", "rprivate"], str(source)),
        mount("/var", "tmpfs", ["ro", "nosuid", "nodev"]),
        mount("/tmp", "tmpfs", ["nosuid"]),
    ]
    return bundle.sh(PROBE)


def rooted(bundle: Bundle) -> Bundle:
    """Root who may make device nodes: nothing but the cgroup's device program is in the way.

    Without no_new_privs its filter is loaded early, before the rights for that go.
    """
    busy(bundle)
    bundle.process["noNewPrivileges"] = False
    names = ["CAP_MKNOD", "CAP_DAC_OVERRIDE", "CAP_FOWNER"]
    bundle.process["capabilities"] = {kind: names for kind in ("bounding", "effective", "permitted")}
    bundle.process["user"] = {"uid": 0, "gid": 0}
    bundle.linux["personality"] = {"domain": "LINUX32"}
    bundle.linux["namespaces"].append({"type": "cgroup"})
    return bundle


def mapped(bundle: Bundle) -> Bundle:
    """Like the first in a user and a cgroup namespace."""
    busy(bundle).user_namespace()
    bundle.linux["namespaces"].append({"type": "cgroup"})
    bundle.process["user"]["additionalGids"] = []
    return bundle


def joined(bundle: Bundle, pid: int) -> Bundle:
    """Like the second, in namespaces of another container and with a shifted clock: there is a stage process."""
    mapped(bundle)
    files = {"user": "user", "network": "net", "ipc": "ipc", "uts": "uts"}
    for entry in bundle.linux["namespaces"]:
        if entry["type"] in files:
            entry["path"] = f"/proc/{pid}/ns/{files[entry['type']]}"
    bundle.linux["namespaces"].append({"type": "time"})
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 1000, "nanosecs": 0}}
    del bundle.linux["sysctl"], bundle.config["hostname"], bundle.config["domainname"]
    del bundle.linux["uidMappings"], bundle.linux["gidMappings"]
    return bundle


def _thinned(calls: "list[list[str]]") -> "list[list[str]]":
    """Of a loop's calls the first two, the middle and the last two: each signal, each capability is the same line."""
    found: "list[list[str]]" = []
    for _, group in itertools.groupby(calls, lambda call: (*call[:2], call[3].split(" ")[0] * (call[1] == "prctl"))):
        row = list(group)
        found += row if len(row) < LOOP else [*row[:2], row[len(row) // 2], *row[-2:]]
    return found


def _one_of(errors: "tuple[str, ...]", count: int) -> "tuple[str, ...]":
    """One of the other errors: each has its turn as the calls go by."""
    return (errors[count % len(errors)],) if errors else ()


def end(rt: Runtime, id: str) -> None:
    """Delete a container of which processes may have come to us: its pid namespace waits until we have reaped them."""
    process, base = rt.popen("delete", "--force", id)
    while process.poll() is None:
        for child in set(leaks.children(os.getpid())) - {process.pid}:
            try:
                os.waitpid(child, os.WNOHANG)
            except ChildProcessError:
                continue
        time.sleep(0.01)
    assert process.returncode == 0, base.with_suffix(".err").read_text()


class Campaign:
    """One verb of one bundle, again and again with another call failing."""

    def __init__(self, rt: Runtime, kind: str, verb: str, bundle: Bundle, sample: int) -> None:
        self.rt = rt
        self.name = f"{verb} {kind}"
        self.verb = verb
        self.bundle = bundle.write()
        self.id = new_id()
        self.sample = sample
        self.report, self.out, self.err, self.release = (rt.folder / name for name in ("calls", "out", "err", "go"))
        self.host = {os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES}
        self.counts: "Counter[str]" = Counter()
        self.wrong: "list[str]" = []
        self.late = False

    def command(self) -> "list[str]":
        if self.verb == "exec":
            return self.rt.command("exec", self.id, "sh", "-c", PROBE)
        return self.rt.command(self.verb, "--bundle", self.bundle.path, self.id)

    def once(self, fail: str = "") -> "tuple[int, str]":
        """(exit status, what the program printed) with this call failing."""
        self.release.unlink(missing_ok=True)
        self.out.unlink(missing_ok=True)  # a program that outlives its `exec` goes on writing to the old one
        release = str(self.release) if self.verb == "create" else ""
        begin = "/state.json" if self.verb == "exec" else "/config.json"
        environment = {"PATH": os.environ["PATH"], "BEGIN": begin, "RELEASE": release}
        words = [*INJECTOR, str(self.report), fail, "--", *self.command()]
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, "env": environment}
            injector = subprocess.Popen(words, extra_groups=CALLERS_GROUPS, **options)  # type: ignore[call-overload]
            try:
                status = self.start(injector) if release else injector.wait(SECONDS)
            except subprocess.TimeoutExpired:
                injector.kill()
                injector.wait()
                self.wrong.append(f"{self.name} {fail}: hangs")
                status = -1
        printed = self.out.read_text(errors="backslashreplace")
        leaks.reap()  # whom a command that failed could not wait for
        if self.verb != "exec" and self.rt.containers():
            end(self.rt, self.id)
        return status, self.plain(printed)

    def start(self, injector: "subprocess.Popen[bytes]") -> int:
        """Wait for `create`, then `start` what it made; the exit status of the first that failed."""
        end = time.monotonic() + SECONDS
        while not self.release.exists():
            if injector.poll() is not None:
                return injector.returncode
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("create", SECONDS)
            time.sleep(0.005)
        status = int(self.release.read_text())
        self.late = status == 0
        if self.late:
            with open(self.err, "ab") as err:
                words = self.rt.command("start", self.id)
                status = subprocess.run(words, stdin=subprocess.DEVNULL, stderr=err, timeout=SECONDS).returncode
            self.rt.wait_for(self.id, "stopped", SECONDS)
        injector.wait(SECONDS)
        return status

    def plain(self, printed: str) -> str:
        """Without numbers that are new each time: a namespace is `host` or `other`, a pid a `#`."""
        lines = printed.splitlines()
        for index, line in enumerate(lines):
            if line.startswith(tuple(f"{name}:[" for name in NAMESPACES)):
                lines[index] = "host" if line in self.host else "other"
            elif line.startswith("_ses.") and self.id not in line:  # root sees every keyring of root
                lines[index] = ""
            elif line.startswith("NSpid:"):
                lines[index] = "NSpid:" + "#" * (len(line.split()) - 1)
        return "\n".join(line for line in lines if line) + "\n" * printed.endswith("\n")

    def chosen(self) -> "list[str]":
        """PROCESS:CALL:COUNT:ERRNO for every call, or a sample of those that confine."""
        harmless = {name for names in HARMLESS.values() for name in names}
        calls = [line.split(" ", 3) for line in self.report.read_text(errors="replace").splitlines()]
        calls = [call for call in calls if call[1] not in harmless and not SOURCES.fullmatch(call[3])]
        calls = _thinned(calls)
        if FULL:
            return [
                f"{process}:{name}:{count}:{error}"
                for process, name, count, _ in calls
                for error in ("EPERM", *_one_of(ERRORS.get(name, ()), int(count)))
            ]
        calls = [call for call in calls if call[1] in RELEVANT and not (call[0] == "0" and call[1] == "openat")]
        step = max(1, len(calls) // self.sample)
        picked = calls[::step][: self.sample]
        return [f"{process}:{name}:{count}:EPERM" for process, name, count, _ in picked]

    def fight(self) -> None:
        """Let each chosen call fail once and judge what came of it."""
        status, undisturbed = self.once()
        assert status == 0, self.err.read_text()
        assert undisturbed.endswith("DONE\n"), undisturbed
        assert not any(str(group) in undisturbed for group in CALLERS_GROUPS), undisturbed
        for fail in self.chosen():
            status, printed = self.once(fail)
            self.judge(fail, status, printed, undisturbed)

    def judge(self, fail: str, status: int, printed: str, undisturbed: str) -> None:
        """Sort the outcome: not started, equal, tolerated, weaker."""
        self.counts["injected"] += 1
        reached = self.report.read_text(errors="replace").strip("\n")
        if not reached:
            self.counts["not reached"] += 1
            return
        topic = reached.split(" ", 3)[3]  # counts shift where an earlier run has made what this one finds
        name, what = fail.split(":")[1], f"{fail} ({topic})"
        if "RAN" not in printed:
            self.counts["not started"] += 1
            told = self.err.read_text(errors="replace")
            late = self.verb == "create" and self.late  # `create` was done: init tells on stderr, `start` what it finds
            if (
                (status == 0 and not late)
                or printed
                or not 1 <= told.count("\n") <= 1 + late
                or "internal error" in told
            ):
                self.wrong.append(f"{self.name} {what}: status {status}, told {told!r}")
        elif printed == undisturbed:
            self.counts["equal"] += 1
        elif undisturbed.startswith(printed) and status:
            self.counts["killed later"] += 1
        else:
            old, new = undisturbed.splitlines(), printed.splitlines()
            lost, gained = [line for line in old if line not in new], [line for line in new if line not in old]
            if any(
                re.fullmatch(call, name)
                and re.fullmatch(about, topic)
                and re.fullmatch(less, "\n".join(lost))
                and re.fullmatch(more, "\n".join(gained))
                for call, about, less, more, _ in TOLERATED
            ):
                self.counts["tolerated"] += 1
                return
            self.counts["weaker"] += 1
            self.wrong.append(f"{self.name} {what}: status {status}, lost {lost[:9]}, new {gained[:9]}")

    def told(self) -> str:
        """The counts in one line."""
        return f"{self.name}: " + ", ".join(f"{count} {kind}" for kind, count in self.counts.items())


KINDS = {"plain": busy, "rooted": rooted, "mapped": mapped}
SAMPLES = {
    ("run", "plain"): 12, ("run", "rooted"): 6, ("run", "mapped"): 10, ("run", "joined"): 8, ("create", "mapped"): 8,
    ("exec", "plain"): 6, ("exec", "mapped"): 8, ("exec", "rooted"): 4,
}  # fmt: skip


def verdict(campaign: Campaign) -> None:
    """Nothing was weaker, hung, or was told badly; and hardly a call was missed."""
    path = os.environ.get("PYRUNTIME_CAMPAIGN_REPORT")
    if path:
        with open(path, "a") as file:
            file.write("\n".join([campaign.told(), *campaign.wrong]) + "\n")
    print(campaign.told())
    assert not campaign.wrong, "\n".join([campaign.told(), *campaign.wrong])
    assert campaign.counts["not reached"] <= 1 + campaign.counts["injected"] // 20, campaign.told()


@pytest.mark.parametrize(("verb", "kind"), [(v, k) for v, k in SAMPLES if v != "exec" and k != "joined"])
def test_start(rt: Runtime, bundle: Bundle, verb: str, kind: str) -> None:
    campaign = Campaign(rt, kind, verb, KINDS[kind](bundle), SAMPLES[verb, kind])
    campaign.fight()
    verdict(campaign)


def test_start_in_joined_namespaces(rt: Runtime, make: "object", bundle: Bundle) -> None:
    other, name = make("sleep", "600").user_namespace(), new_id()  # type: ignore[operator]
    pod = Runtime(rt.binary, rt.folder / "pod")
    assert pod.create(other, id=name).rc == 0
    try:
        campaign = Campaign(rt, "joined", "run", joined(bundle, pod.state(name)["pid"]), SAMPLES["run", "joined"])
        campaign.fight()
    finally:
        end(pod, name)
    verdict(campaign)


@pytest.mark.parametrize("kind", [kind for verb, kind in SAMPLES if verb == "exec"])
def test_exec(rt: Runtime, bundle: Bundle, kind: str) -> None:
    campaign = Campaign(rt, kind, "exec", KINDS[kind](bundle), SAMPLES["exec", kind])
    bundle.process["args"] = ["sleep", "10000"]
    assert rt.create(bundle, id=campaign.id).rc == 0
    try:
        assert rt("start", campaign.id).rc == 0
        campaign.fight()
        assert rt.status(campaign.id) == "running"
    finally:
        end(rt, campaign.id)
    verdict(campaign)
