"""Filters of system calls in real containers: what they decide, when they are loaded, and who is asked."""

import fcntl
import json
import os
import platform
import select
import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Bundle, Runtime, new_id, wait_until

ARCH = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[platform.machine()]
CC = shutil.which("cc")
# What setting up calls once an early filter is in force, and busybox.
OURS = (
    "access", "arch_prctl", "brk", "capget", "capset", "chdir", "clone", "clone3", "close", "close_range", "dup",
    "dup2", "execve", "exit", "exit_group", "faccessat", "faccessat2", "fchdir", "fchown", "fcntl", "fstat", "fstatfs",
    "fsync", "futex", "getcwd", "getdents64", "getegid", "geteuid", "getgid", "getpid", "getppid", "getrandom",
    "gettid", "getuid", "ioctl", "kill", "lseek", "lstat", "madvise", "mmap", "mprotect", "mremap", "munmap",
    "newfstatat", "open", "openat", "openat2", "pidfd_open", "pipe", "pipe2", "poll", "ppoll", "prctl", "pread64",
    "prlimit64", "pwrite64", "read", "readlink", "readlinkat", "recvmsg", "rseq", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "rt_sigsuspend", "sched_getaffinity", "seccomp", "sendfile", "sendmsg", "set_robust_list",
    "set_tid_address", "setpgid", "setsid", "sigaltstack", "stat", "statx", "umask", "uname", "unlink", "vfork",
    "wait4", "write", "writev",
)  # fmt: skip


def rule(action: str, *names: str, **more: object) -> "dict[str, Any]":
    return {"names": list(names), "action": f"SCMP_ACT_{action}", **more}


def filtered(bundle: Bundle, default: str, *rules: "dict[str, Any]", **more: object) -> Bundle:
    bundle.linux["seccomp"] = {
        "defaultAction": f"SCMP_ACT_{default}", "architectures": [ARCH], "syscalls": list(rules), **more,
    }  # fmt: skip
    return bundle


@pytest.fixture(params=[True, False], ids=["no_new_privs", "privileged load"])
def either(request: pytest.FixtureRequest, bundle: Bundle) -> Bundle:
    """A bundle with no_new_privs, where the filter goes last, and one without, where it goes before capabilities."""
    bundle.process["noNewPrivileges"] = request.param
    return bundle


@pytest.mark.parametrize("errno", [1, 38])
def test_a_hook_is_started_under_a_filter_that_knows_clone_only(rt: Runtime, either: Bundle, errno: int) -> None:
    """Docker's default profile answers clone3 with ENOSYS, others with EPERM; startContainer hooks run below it."""
    filtered(either, "ALLOW", rule("ERRNO", "clone3", errnoRet=errno))
    either.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "touch /ran"]}]}
    either.sh("echo started")
    assert rt.run(either).out == "started\n"
    assert (either.rootfs / "ran").exists()


def test_a_forbidden_call_gets_its_errno(rt: Runtime, either: Bundle) -> None:
    filtered(either, "ALLOW", rule("ERRNO", "mkdir", "mkdirat", errnoRet=28), rule("ERRNO", "sethostname"))
    either.sh("mkdir /tmp/x; hostname new; grep Seccomp: /proc/self/status")
    result = rt.run(either)
    assert "No space left on device" in result.err
    assert "Operation not permitted" in result.err
    assert result.out == "Seccomp:\t2\n"


def test_a_filter_older_than_close_range(rt: Runtime, either: Bundle) -> None:
    """CRI-O's default profile does not name it, so that it is EPERM there; nothing of ours stays open for that."""
    filtered(either, "ERRNO", rule("ALLOW", *(name for name in OURS if name != "close_range"))).sh("ls /proc/self/fd")
    result = rt.run(either)
    assert result.err == ""
    assert result.out.split() == ["0", "1", "2", "3"]  # the last is what ls lists


def test_a_killing_filter(rt: Runtime, either: Bundle) -> None:
    filtered(either, "ALLOW", rule("KILL_PROCESS", "mkdir", "mkdirat")).sh("mkdir /tmp/x & wait $!; echo $?")
    assert rt.run(either).out.splitlines()[-1] == "159"


def test_a_condition_on_an_argument(rt: Runtime, either: Bundle) -> None:
    setuid = {"value": 0o4000, "valueTwo": 0o4000, "op": "SCMP_CMP_MASKED_EQ"}
    rules = [rule("ERRNO", name, args=[{"index": at, **setuid}]) for name, at in (("chmod", 1), ("fchmodat", 2))]
    filtered(either, "ALLOW", *rules).sh("touch /tmp/a; chmod 755 /tmp/a; chmod 4755 /tmp/a; stat -c %a /tmp/a")
    result = rt.run(either)
    assert "Operation not permitted" in result.err
    assert result.out == "755\n"


def test_exec_has_the_filter_of_the_container(rt: Runtime, either: Bundle) -> None:
    name = new_id()
    either.process["args"] = ["sleep", "60"]
    filtered(either, "ALLOW", rule("ERRNO", "mkdir", "mkdirat", errnoRet=28))
    assert rt.run(either, "--detach", id=name).rc == 0
    try:
        for flags in ([], ["--no-new-privs"], ["--user", "1000"]):
            result = rt("exec", *flags, name, "sh", "-c", "grep Seccomp: /proc/self/status; mkdir /tmp/x")
            assert result.out == "Seccomp:\t2\n"
            assert "No space left on device" in result.err
        spec = either.path / "process.json"
        spec.write_text(json.dumps({"args": ["mkdir", "/tmp/x"], "cwd": "/", "env": either.process["env"]}))
        assert "No space left on device" in rt("exec", "--process", spec, name).err
    finally:
        rt("delete", "--force", name)


@pytest.mark.skipif(CC is None, reason="needs a C compiler, for a program that makes two system calls in all")
@pytest.mark.parametrize("verb", ["run", "create", "exec"])
def test_a_filter_that_allows_nothing_of_ours(rt: Runtime, bundle: Bundle, tmp_path: Path, verb: str) -> None:
    """With no_new_privs the profile need not know us: execve, the program's own calls, nothing else."""
    source = tmp_path / "tiny.c"
    source.write_text(TINY)
    target = bundle.rootfs / "tiny"
    subprocess.run([str(CC), "-static", "-nostdlib", "-O1", "-o", target, source], check=True)
    name = new_id()
    filtered(bundle, "KILL_PROCESS", rule("ALLOW", "execve", "write", "exit"))
    bundle.process["args"] = ["/tiny"]
    if verb == "exec":
        bundle.process["args"] = ["sleep", "60"]
        sleeps = rule("ALLOW", *OURS, "nanosleep", "clock_nanosleep")
        filtered(bundle, "ERRNO", sleeps)
        assert rt.run(bundle, "--detach", id=name).rc == 0
        result = rt("exec", name, "/tiny")
        rt("delete", "--force", name)
    elif verb == "create":
        result = rt.create(bundle, id=name)
        assert rt("start", name).rc == 0
        wait_until(lambda: rt.status(name) == "stopped", "the program has ended")
        rt("delete", name)
        assert result.out == "tiny\n"
        return
    else:
        result = rt.run(bundle, id=name)
    assert (result.rc, result.out) == (7, "tiny\n"), result


TINY = """
static long call(long number, long a, long b, long c) {
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#endif
}
#if defined(__x86_64__)
enum { WRITE = 1, EXIT = 60 };
#else
enum { WRITE = 64, EXIT = 93 };
#endif
void _start(void) {
    call(WRITE, 1, (long)"tiny\\n", 5);
    call(EXIT, 7, 0, 0);
}
"""


def test_a_program_that_cannot_be_executed_is_told_even_then(rt: Runtime, bundle: Bundle) -> None:
    """Under a filter that allows us nothing but to end."""
    (bundle.rootfs / "entry").write_text("#!/nowhere/interpreter\n")
    (bundle.rootfs / "entry").chmod(0o755)
    bundle.process["args"] = ["/entry"]
    filtered(bundle, "ERRNO", rule("ALLOW", "execve", "exit_group"))
    result = rt.run(bundle)
    assert result.rc == 255
    assert "exec /entry: no such file or directory" in result.err
    assert result.out == ""


def test_an_early_filter_that_forbids_what_we_need_stops_the_start(rt: Runtime, bundle: Bundle) -> None:
    bundle.process["noNewPrivileges"] = False
    filtered(bundle, "ALLOW", rule("ERRNO", "capset")).sh("echo started")
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    filtered(bundle, "ALLOW", rule("KILL_PROCESS", "capset"))
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert "was killed by signal 31 (SIGSYS) during set-up; linux.seccomp forbids a call of ours" in result.err


def test_an_early_filter_of_what_engines_allow(rt: Runtime, bundle: Bundle) -> None:
    bundle.process["noNewPrivileges"] = False
    filtered(bundle, "ERRNO", rule("ALLOW", *OURS)).sh("echo started; mkdir /tmp/x")
    result = rt.run(bundle)
    assert result.out == "started\n"
    assert "Operation not permitted" in result.err


@pytest.mark.parametrize("name", ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"])
def test_flags(rt: Runtime, bundle: Bundle, name: str) -> None:
    filtered(bundle, "ALLOW", flags=[name]).sh("grep Seccomp: /proc/self/status")
    assert rt.run(bundle).out == "Seccomp:\t2\n"


def test_an_image_hook_has_the_filter_too(rt: Runtime, bundle: Bundle) -> None:
    """What runs it lies in the image: it is no more trusted than the program."""
    filtered(bundle, "ERRNO", rule("ALLOW", *OURS)).sh("true")
    script = "grep Seccomp: /proc/self/status > /tmp/seen"
    bundle.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    assert rt.run(bundle).rc == 0
    assert (bundle.rootfs / "tmp/seen").read_text() == "Seccomp:\t2\n"


class Agent:
    """Who decides calls with SCMP_ACT_NOTIFY: takes listeners from a socket and answers each call with one errno."""

    def __init__(self, path: Path, errno: int) -> None:
        self.errno = errno
        self.states: "list[dict[str, Any]]" = []
        self.asked = 0
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self) -> None:
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            with peer:
                data, fds, _, _ = socket.recv_fds(peer, 65536, 4)
            self.states.append(json.loads(data))
            thread = threading.Thread(target=self.decide, args=(fds[0],), daemon=True)
            self.threads.append(thread)
            thread.start()

    def decide(self, fd: int) -> None:
        receive, send = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV and _SEND: seccomp_unotify(2)
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        try:
            while not waiting.poll()[0][1] & select.POLLHUP:  # nobody is left that could ask
                wanted = bytearray(80)
                fcntl.ioctl(fd, receive, wanted)
                self.asked += 1
                fcntl.ioctl(fd, send, struct.pack("QqiI", struct.unpack_from("Q", wanted)[0], 0, -self.errno, 0))
        finally:
            os.close(fd)

    def stop(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for thread in self.threads:
            thread.join(10)


@pytest.fixture
def agent(tmp_path: Path) -> "Any":
    made = Agent(tmp_path / "agent", 28)
    yield made
    made.stop()


def asking(bundle: Bundle, tmp_path: Path) -> Bundle:
    names = rule("NOTIFY", "mkdir", "mkdirat")
    return filtered(bundle, "ALLOW", names, listenerPath=str(tmp_path / "agent"), listenerMetadata="words")


def test_another_process_decides(rt: Runtime, either: Bundle, tmp_path: Path, agent: Agent) -> None:
    name = new_id()
    asking(either, tmp_path).sh("mkdir /tmp/x; ls /proc/self/fd; sleep 60")
    result = rt.create(either, id=name)
    assert result.rc == 0, result
    try:
        [told] = agent.states
        pid = rt.state(name)["pid"]
        assert told["fds"] == ["seccompFd"]
        assert (told["pid"], told["metadata"], told["ociVersion"]) == (pid, "words", "1.0.2")
        assert told["state"] == {
            "ociVersion": "1.0.2", "id": name, "status": "creating", "pid": pid, "bundle": str(either.path),
            **({"annotations": told["state"]["annotations"]} if "annotations" in told["state"] else {}),
        }  # fmt: skip
        kinds = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert not [kind for kind in kinds if "seccomp" in kind], "init keeps a listener of its own"
        assert rt("start", name).rc == 0
        wait_until(lambda: agent.asked == 1 and result.out.endswith("2\n3\n"), "the call was decided")
        assert "No space left on device" in result.err
        executed = rt("exec", name, "mkdir", "/tmp/y")
        assert executed.rc == 1
        assert "No space left on device" in executed.err
        assert agent.states[1]["state"]["status"] == "running"
        assert agent.states[1]["state"]["pid"] == pid != agent.states[1]["pid"]
    finally:
        rt("delete", "--force", name)


def test_nobody_listens(rt: Runtime, either: Bundle, tmp_path: Path) -> None:
    asking(either, tmp_path).sh("echo started")
    result = rt.run(either)
    assert (result.rc, result.out) == (1, "")
    assert f"failed to connect with seccomp agent {tmp_path / 'agent'}" in result.err


def test_bad_profiles_are_refused_before_anything_is_made(rt: Runtime, bundle: Bundle) -> None:
    bad: "list[tuple[dict[str, Any], str]]" = [
        ({"defaultAction": "SCMP_ACT_DENY"}, "linux.seccomp.defaultAction: expected"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_X"]}, "linux.seccomp.flags[0]: expected"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z"]}, "linux.seccomp.architectures[0]"),
    ]
    for profile, words in bad:
        bundle.linux["seccomp"] = profile
        result = rt.run(bundle)
        assert result.rc == 1
        assert words in result.err
        assert rt.containers() == []
