"""Every confining system call made to fail once: the program then never starts with less than was asked for.

strace(1) does it, and counts the calls of each process by itself: the first of the command and the first of init fail
in one run, and so on, until a run has nothing left to fail.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.system.harness import ROOT, Bundle, Runtime, mount, new_id, wait_until

STRACE = shutil.which("strace")
MOST = 200
MOUNTING = ("open_tree", "fsopen", "fsconfig", "fsmount", "move_mount", "mount_setattr", "pivot_root", "umount2")
BECOMING = ("setgroups", "setresgid", "setresuid", "capset", "prctl", "setsid", "keyctl", "prlimit64")
ENTERING = ("clone3", "unshare", "setns", "sethostname", "setdomainname", "bpf", "close_range", "fchdir", "chdir")
FILES = ("openat2", "mkdirat", "mknodat", "symlinkat", "fchownat", "fchmodat", "pipe2", "socketpair", "sendmsg", "write")
EXEC = ("setns", "setgroups", "setresgid", "setresuid", "capset", "prctl", "setsid", "keyctl", "close_range", "clone3",
        "fchdir", "openat2", "sendmsg", "write", "fchown", "prlimit64", "chroot", "fsopen")  # fmt: skip
PROBE = (
    "exec 2>/dev/null; echo RAN; grep -E '^(Uid|Gid|Groups|Cap|NoNew|Sig(Ign|Blk)|Umask)' /proc/self/status; "
    "cut -d' ' -f4-6 /proc/self/mountinfo; hostname; cat /proc/sys/kernel/msgmax /proc/self/oom_score_adj; "
    "grep -E 'open files' /proc/self/limits; ls /proc/self/fd | grep -v '^[0-3]$'; ls -ln /dev; pwd; "
    "mknod /tmp/disk b 8 0; cat /tmp/disk; echo DONE"
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

    def call(self, inject: str, verb: str, *arguments: object) -> "tuple[int, str, bool]":
        """(exit status, what the program printed, whether a call was made to fail)."""
        self.log.unlink(missing_ok=True)
        command = self.rt.command(verb, *arguments)
        if inject:
            name = inject.partition(":")[0]
            command = [str(STRACE), "-D", "-qq", "-f", "-o", str(self.log), "-e", f"trace={name}", "-e", f"inject={inject}", *command]
        with open(self.out, "wb") as out, open(self.rt.folder / "program.err", "wb") as err:
            status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=20).returncode
        return status, self.out.read_text(), "(INJECTED)" in self.traced()

    def traced(self) -> str:
        """What strace wrote."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def run(self, inject: str, id: str) -> "tuple[int, str, bool]":
        return self.call(inject, "run", "--bundle", self.bundle.path, id)

    def create(self, inject: str, id: str) -> "tuple[int, str, bool]":
        """Create, and start what could be created; the program's output."""
        status, _, injected = self.call(inject, "create", "--bundle", self.bundle.path, id)
        if status == 0:
            assert self.rt.status(id) in ("created", "stopped")
            if self.rt("start", id).rc == 0:
                self.rt.wait_for(id, "stopped")
            assert self.rt("delete", id).rc == 0
        return status, self.out.read_text(), injected
