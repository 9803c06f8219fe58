"""Every confining system call made to fail once: the program then never starts with less than was asked for.

strace(1) does it, and counts the calls of each process by itself: the first of the command and the first of init fail
in one run, and so on, until a run has nothing left to fail.
"""

import shutil
import subprocess
from collections.abc import Callable

import pytest

from tests.system.harness import Bundle, Runtime, mount, new_id

STRACE = shutil.which("strace")
MOST = 200
CALLS = {
    "mounting": ("open_tree", "fsopen", "fsconfig", "fsmount", "move_mount", "mount_setattr", "pivot_root", "umount2"),
    "becoming": ("setgroups", "setresgid", "setresuid", "capset", "capget", "prctl", "setsid", "keyctl"),
    "entering": ("clone3", "unshare", "setns", "sethostname", "setdomainname", "bpf", "close_range", "fchdir"),
    "files": ("openat2", "symlinkat", "mkdirat", "socketpair", "sendmsg", "recvmsg"),
}
BY_EXEC = (
    "setns", "setgroups", "setresgid", "setresuid", "capset", "prctl", "setsid", "keyctl", "close_range", "clone3",
    "fchdir", "openat2", "socketpair", "sendmsg", "chroot",
)  # fmt: skip
PROBE = (
    "exec 2>/dev/null; echo RAN; grep -E '^(Uid|Gid|Groups|Cap|NoNew|Sig(Ign|Blk)|Umask)' /proc/self/status; "
    "cut -d' ' -f4-6 /proc/self/mountinfo; hostname; cat /proc/sys/kernel/msgmax /proc/self/oom_score_adj; "
    "grep -E 'open files' /proc/self/limits; ls /proc/self/fd | grep -v '^[0-3]$'; "
    "stat -c '%A %u %g %t %T %n' /dev/*; pwd; mknod /tmp/disk b 8 0; cat /tmp/disk; echo DONE"
)


@pytest.fixture(autouse=True)
def strace() -> None:
    if STRACE is None:
        pytest.skip("needs strace, to make system calls fail")


def busy(bundle: Bundle) -> Bundle:
    """A configuration that asks for something of every kind."""
    source = bundle.path / "source"
    source.mkdir()
    sets = ("bounding", "effective", "permitted", "inheritable", "ambient")
    names = ["CAP_KILL", "CAP_NET_BIND_SERVICE"]
    bundle.process["capabilities"] = {kind: names for kind in sets}
    bundle.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7]}
    bundle.process["oomScoreAdj"] = 300
    bundle.process["cwd"] = "/mnt"
    bundle.linux["sysctl"] = {"kernel.msgmax": "4096"}
    bundle.config["root"]["readonly"] = True
    bundle.config["domainname"] = "example.org"
    bundle.config["mounts"] += [
        mount("/mnt", "bind", ["rbind", "rro", "nosuid", "rprivate"], str(source)),
        mount("/var", "tmpfs", ["ro", "nosuid"]),
    ]
    return bundle.sh(PROBE)


def mapped(bundle: Bundle) -> Bundle:
    """The same in a user and a cgroup namespace."""
    busy(bundle).user_namespace()
    bundle.linux["namespaces"].append({"type": "cgroup"})
    bundle.process["user"]["additionalGids"] = []
    del bundle.process["oomScoreAdj"]
    return bundle


KINDS = {"plain": busy, "mapped": mapped}


class Faults:
    """Commands of one runtime with one call of theirs failing."""

    def __init__(self, rt: Runtime, bundle: Bundle) -> None:
        self.rt = rt
        self.bundle = bundle.write()
        self.log = rt.folder / "strace.log"
        self.out = rt.folder / "program.out"
        self.err = rt.folder / "program.err"

    def call(self, inject: str, verb: str, *arguments: object) -> "tuple[int, str, bool]":
        """(exit status, what the program printed, whether a call was made to fail)."""
        self.log.unlink(missing_ok=True)
        command = self.rt.command(verb, *arguments)
        if inject:
            options = ["-D", "-qq", "-f", "-o", self.log, "-e", f"trace={inject.partition(':')[0]}"]
            command = [str(STRACE), *map(str, options), "-e", f"inject={inject}", *command]
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=20).returncode
        return status, self.out.read_text(), self.log.exists() and "(INJECTED)" in self.log.read_text(errors="replace")

    def run(self, inject: str, id: str) -> "tuple[int, str, bool]":
        """`run` of the bundle."""
        return self.call(inject, "run", "--bundle", self.bundle.path, id)

    def create(self, inject: str, id: str) -> "tuple[int, str, bool]":
        """`create`, and `start` of what could be created; the program's output."""
        status, _, injected = self.call(inject, "create", "--bundle", self.bundle.path, id)
        if status == 0:
            assert self.rt.status(id) in ("created", "stopped")
            if self.rt("start", id).rc == 0:
                self.rt.wait_for(id, "stopped")
            assert self.rt("delete", id).rc == 0
        return status, self.out.read_text(), injected

    def sweep(self, name: str, call: "Callable[[str], tuple[int, str, bool]]", kept: "list[str]") -> None:
        """Let the first, second, ... call of this name fail until there is none left; thinned out after the 40th."""
        undisturbed = call("")[1]
        assert undisturbed.endswith("DONE\n")
        n = 1
        while n < MOST:
            status, printed, injected = call(f"{name}:error=EPERM:when={n}")
            if not injected:
                return
            self.judge(f"{name} #{n}", status, printed, undisturbed)
            assert self.rt.containers() == kept
            n += 1 + n // 40 * 7
        raise AssertionError(f"{name} is called more than {MOST} times")

    def judge(self, which: str, status: int, printed: str, undisturbed: str) -> None:
        """The program had what was asked for, or there was none and one line says why."""
        if "RAN" in printed:
            assert printed == undisturbed, which
            return
        told = self.err.read_text()
        assert status != 0, which
        assert told.count("\n") == 1, f"{which}: {told}"
        assert "internal error" not in told, which


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for group in CALLS.values() for name in group])
@pytest.mark.parametrize("kind", KINDS)
def test_run(rt: Runtime, bundle: Bundle, kind: str, name: str) -> None:
    faults = Faults(rt, KINDS[kind](bundle))
    faults.sweep(name, lambda inject: faults.run(inject, new_id()), [])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CALLS["becoming"], "sendmsg", "clone3", "close_range"])
def test_create(rt: Runtime, bundle: Bundle, name: str) -> None:
    faults = Faults(rt, mapped(bundle))
    faults.sweep(name, lambda inject: faults.create(inject, new_id()), [])


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_EXEC)
@pytest.mark.parametrize("kind", KINDS)
def test_exec(rt: Runtime, bundle: Bundle, kind: str, name: str) -> None:
    id = new_id()
    faults = Faults(rt, KINDS[kind](bundle))
    bundle.process["args"] = ["sleep", "100"]
    assert rt.create(bundle, id=id).rc == 0
    try:
        assert rt("start", id).rc == 0
        faults.sweep(name, lambda inject: faults.call(inject, "exec", id, "sh", "-c", PROBE), [id])
        assert rt.status(id) == "running"
    finally:
        rt("delete", "--force", id)


def test_an_undo_that_fails_leaves_the_record(rt: Runtime, bundle: Bundle) -> None:
    """A cgroup that can't be removed is found again by `delete --force`."""
    faults = Faults(rt, bundle)
    bundle.process["cwd"] = "/bin/busybox/none"
    id = new_id()
    bundle.write()
    status, printed, injected = faults.call("rmdir:error=EPERM:when=1+", "run", "--bundle", bundle.path, id)
    assert (status, printed, injected) == (1, "", True)
    assert "process.cwd" in faults.err.read_text()
    assert rt.containers() == [id]
    assert rt("delete", "--force", id).rc == 0
