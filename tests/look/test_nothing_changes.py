"""The verbs that only look make no system call that changes anything, as strace sees it, for nobody as for root."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.plan.made import EVERY, document, namespaces
from tests.system.users import readable_tree

NOBODY = 65534
CALL = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)")
# What changes no file, mount, process of others or setting of the host, whatever its arguments.
HARMLESS = {
    "access", "arch_prctl", "brk", "capget", "chdir", "clock_getres", "clock_gettime", "clock_nanosleep", "close",
    "close_range", "dup", "dup2", "dup3", "epoll_create1", "epoll_ctl", "epoll_wait", "execve", "exit", "exit_group",
    "faccessat", "faccessat2", "fadvise64", "fchdir", "fcntl", "fstat", "fstatfs", "futex", "get_mempolicy", "getcwd",
    "getdents64", "getegid", "geteuid", "getgid", "getpgrp", "getpid", "getppid", "getrandom", "getresgid", "getresuid",
    "getrlimit", "getrusage", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "getxattr", "ioctl",
    "kcmp", "lgetxattr", "listxattr", "lseek", "lstat", "madvise", "mmap", "mprotect", "mremap", "munmap", "nanosleep",
    "newfstatat", "pidfd_open", "pipe", "pipe2", "poll", "ppoll", "pread64", "prlimit64", "read", "readlink",
    "readlinkat", "readv", "restart_syscall", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "sched_getaffinity", "sched_yield", "select", "set_robust_list", "set_tid_address", "sigaltstack", "stat", "statfs",
    "statx", "sysinfo", "time", "umask", "uname", "wait4", "waitid",
}  # fmt: skip
OPENS = {"open", "openat", "openat2"}
WRITING = re.compile(r"O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)")
# Calls that a kernel is asked for, with arguments that no kernel takes.
PROBES = re.compile(
    r"(?:clone3\(NULL|mount_setattr\(-1|move_mount\(-1|openat2\(-1|seccomp\(SECCOMP_SET_MODE_FILTER, [^,]*, NULL"
    r"|open_tree\(-1|fsopen\(NULL|fsopen\(\"\"|socket\(AF_INET)"
)
SELF = re.compile(r"clone3?\(|vfork\(|write\((?:1|2), |prctl\((?:PR_GET|PR_CAPBSET_READ|PR_SET_NAME|PR_SET_DUMPABLE)")

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def changing(trace: str) -> "list[str]":
    """The calls of a trace that could have changed something and did not fail."""
    found = []
    for line in trace.splitlines():
        call = CALL.match(line)
        if call is None or call[1] in HARMLESS or "= -1 " in line:
            continue
        if call[1] in OPENS and not WRITING.search(line):
            continue
        if PROBES.search(line) or SELF.search(line):
            continue
        found.append(line)
    return found


@pytest.fixture
def box(tmp_path: Path) -> Path:
    folder = tmp_path / "box"
    (folder / "rootfs").mkdir(parents=True)
    limits = {"memory": {"limit": 1 << 26}, "pids": {"limit": 10}}
    filters = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}
    linux = {"namespaces": namespaces(*EVERY), "resources": limits, "seccomp": filters}
    (folder / "config.json").write_text(json.dumps(document(hostname="box", linux=linux)))
    return folder


@pytest.fixture(scope="module")
def launchers(tmp_path_factory: pytest.TempPathFactory, launcher: Path) -> "dict[int, Path]":
    """By user: the checkout may be where only its owner comes."""
    return {0: launcher, NOBODY: readable_tree(tmp_path_factory.mktemp("tree")) if os.geteuid() == 0 else launcher}


@pytest.mark.parametrize("user", [NOBODY, 0], ids=["nobody", "root"])
@pytest.mark.parametrize(
    "words", [["explain"], ["explain", "--json"], ["check"], ["check", "--json"]], ids=lambda words: "-".join(words)
)
def test_looking_changes_nothing(
    launchers: "dict[int, Path]", box: Path, tmp_path: Path, words: "list[str]", user: int
) -> None:
    if os.geteuid() != 0 and user == 0:
        pytest.skip("needs root")
    for folder in (tmp_path, *tmp_path.parents):
        if user and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    trace = tmp_path / "trace"
    command = ["/usr/bin/python3", "-IBSXutf8", str(launchers[user]), *words, str(box)]
    options = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
    trace.touch()
    trace.chmod(0o666)
    done = subprocess.run(
        ["strace", "-f", "-qq", "-s", "100", "-o", str(trace), *command],
        capture_output=True,
        check=False,
        timeout=60,
        cwd="/",
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr
    assert "execve(" in trace.read_text()
    assert changing(trace.read_text()) == []


def test_the_judge_knows_what_changes() -> None:
    calls = [
        '1 mkdir("/x", 0777) = 0',
        '1 openat(AT_FDCWD, "/x", O_RDWR|O_CREAT) = 3',
        "1 mount(NULL) = 0",
        "1 unshare(1) = 0",
    ]
    assert changing("\n".join(calls)) == calls
    assert (
        changing('1 mkdir("/x", 0777) = -1 EEXIST\n1 read(3, "", 1) = 0\n1 openat(AT_FDCWD, "/x", O_RDONLY) = 3') == []
    )
