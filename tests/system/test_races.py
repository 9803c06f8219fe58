"""Hostile processes that run while the runtime works: what they see of it, and what they can slip under it.

`PYRUNTIME_RACES=500` gives each of them that many attempts in place of some dozens.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyruntime.kernel.caps import NUMBERS
from tests.system import leaks
from tests.system.harness import RACES, Bundle, Runtime, new_id, wait_until

# In the container, as its root: of every other process it takes what it can get. Before execve that has to be
# nothing; afterwards it is a container's process like others, which shows that the spy is awake.
SPY = r"""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
me, stdio = os.getpid(), sys.argv[1]
stolen, denied, programs = set(), 0, 0

def link(path):
    global denied
    try:
        return os.readlink(path)
    except PermissionError:
        denied += 1
    except OSError:
        pass

def old_memory(pid):  # memory that was open before execve shows nothing of the program after it
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError:
        return False
    try:
        with open(f"/proc/{pid}/maps") as maps:
            begin = int(maps.readline().split("-")[0], 16)
        return not os.pread(memory, 16, begin)
    except (OSError, ValueError):
        return False  # it has ended
    finally:
        os.close(memory)

def look(pid):
    global programs
    here = f"/proc/{pid}"
    exe = link(here + "/exe")
    if exe == "/bin/busybox":
        programs += 1
    elif exe is not None:
        stolen.add(f"exe {exe}")
    if exe is None and old_memory(pid):
        stolen.add("mem")
    for name in ("root", "cwd"):
        found = link(f"{here}/{name}")
        if found not in (None, "/"):
            stolen.add(f"{name} {found}")
    try:
        numbers = os.listdir(here + "/fd")
    except OSError:
        return
    for number in numbers:
        found = link(f"{here}/fd/{number}")
        if found and not found.startswith((stdio, "/dev/null", "/bin/busybox", "pipe:")):
            stolen.add(f"fd {number} {found}")

def attach(pid):  # PTRACE_SEIZE; it says what it is once it is stopped, and is let go
    if libc.ptrace(0x4206, pid, 0, 0) == 0:
        libc.ptrace(0x4207, pid, 0, 0)
        _, status = os.waitpid(pid, 0x40000000)
        if os.WIFSTOPPED(status):
            exe = link(f"/proc/{pid}/exe")
            if exe != "/bin/busybox":
                stolen.add(f"traced {exe}")
            libc.ptrace(17, pid, 0, 0)

print("watching", flush=True)
while not os.path.exists("/tmp/enough"):
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != me:
            attach(int(name))
            look(int(name))
print("stolen", sorted(stolen))
print("denied", denied)
print("programs", programs)
"""
SOME = ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_CHOWN"]
FEW = [name for name in SOME if name != "CAP_DAC_READ_SEARCH"]


def spying(rt: Runtime, make: "Callable[..., Bundle]", user: bool) -> "tuple[str, Callable[[], list[str]], Bundle]":
    """Start the spy; its id, a function that ends it and gives its report, and its bundle."""
    bundle, name = make().python(SPY), new_id()
    bundle.process["args"].append(str(rt.folder))
    bundle.process["rlimits"] = []
    names = list(NUMBERS) if user else SOME  # who has less than the runtime may not look at it anyhow, ptrace(2)
    bundle.process["capabilities"] = {kind: names for kind in ("bounding", "effective", "permitted")}
    if user:
        bundle.user_namespace()
    started = rt.run(bundle, "--detach", id=name)
    assert started.rc == 0, started
    wait_until(lambda: "watching" in started.out, "the spy watches")

    def report() -> "list[str]":
        (bundle.rootfs / "tmp/enough").touch()
        wait_until(lambda: "programs" in started.out, "the spy reports")
        return started.out.splitlines()[1:]

    return name, report, bundle


def judge(lines: "list[str]") -> None:
    stolen, denied, programs = lines
    assert stolen == "stolen []"
    assert int(denied.split()[1]) > 0, "the spy never met the runtime: the test shows nothing"
    assert int(programs.split()[1]) > 0, "the spy never met a program: the test shows nothing"


@pytest.mark.slow
@pytest.mark.parametrize("user", [False, True], ids=["root", "user namespace"])
def test_nothing_is_seen_of_exec(rt: Runtime, make: "Callable[..., Bundle]", user: bool) -> None:
    """A process of the container opens all it can of every new process while commands enter it."""
    name, report, _ = spying(rt, make, user)
    try:
        for _ in range(RACES):
            assert rt("exec", name, "sleep", "0.02").rc == 0
        judge(report())
    finally:
        assert rt("delete", "--force", name).rc == 0


@pytest.mark.slow
def test_nothing_is_seen_of_a_start_in_a_shared_pid_namespace(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    name, report, _ = spying(rt, make, user=False)
    try:
        other = make("sleep", "0.02")
        other.process["capabilities"] = {}
        pid = rt.state(name)["pid"]
        next(entry for entry in other.linux["namespaces"] if entry["type"] == "pid")["path"] = f"/proc/{pid}/ns/pid"
        for _ in range(RACES):
            assert rt.run(other).rc == 0
        judge(report())
    finally:
        assert rt("delete", "--force", name).rc == 0


# What proc(5) tells everybody of a process: whose mounts it sees, whose network, whose command line it has; and the
# folder that its root is, for who may trace it.
READER = r"""
import os
me = os.getpid()
told = ("mountinfo", "net/dev", "cmdline", "root")

def read(pid, what):
    try:
        if what == "root":
            return str(os.stat(f"/proc/{pid}/root/").st_ino)
        with open(f"/proc/{pid}/{what}", "rb") as file:
            return file.read().decode(errors="replace").strip("\0 ")
    except OSError:
        return ""

def held(pid):  # folders that are open, but the root we share, and capabilities by which one leaves a container
    found = []
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith(("CapEff", "CapBnd")) and int(line[7:], 16) & FAR & ~own:
                    found.append(line)
        for number in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{number}"
            if os.path.isdir(path) and not os.path.samefile(path, "/"):
                found.append(os.readlink(path))
    except OSError:
        pass
    return found

# CAP_DAC_READ_SEARCH (by open_by_handle_at(2) all of the file system the rootfs lies on), modules, raw I/O, mounts.
FAR = 1 << 2 | 1 << 16 | 1 << 17 | 1 << 21
with open("/proc/self/status") as file:
    own = next(int(line[7:], 16) for line in file if line.startswith("CapEff"))
allowed = {what: {"", read(me, what)} for what in told}
allowed["cmdline"] |= {"pyruntime init", "sleep\0000.01"}  # busybox writes a 1 over the last digit as it reads it
foreign, met = {}, 0
print("watching", flush=True)
while not os.path.exists("/tmp/enough"):
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != me:
            for what in told:
                text = read(pid, what)
                met += text == "pyruntime init"
                if text == "pyruntime init" and held(pid):
                    foreign["held"] = held(pid) or "something"
                if text not in allowed[what]:
                    foreign[what] = text[:200]
print("foreign", foreign)
print("met", met)
print("programs")
"""


@pytest.mark.slow
@pytest.mark.parametrize("names", [FEW, [*FEW, "CAP_SYS_PTRACE"]], ids=["few rights", "CAP_SYS_PTRACE"])
def test_nothing_of_the_host_is_read_through_exec(
    rt: Runtime, make: "Callable[..., Bundle]", names: "list[str]"
) -> None:
    """Who enters a pid namespace is in all the others by then: its mounts and its network are told to everybody.

    Who may trace root's processes has the root folder of it, so that one must never be the host's.
    """
    bundle, name = make().python(READER), new_id()
    bundle.process["rlimits"] = []
    bundle.process["capabilities"] = {kind: names for kind in ("bounding", "effective", "permitted")}
    started = rt.run(bundle, "--detach", id=name)
    try:
        wait_until(lambda: "watching" in started.out, "the spy watches")
        for _ in range(RACES):
            assert rt("exec", name, "sleep", "0.01").rc == 0
        (bundle.rootfs / "tmp/enough").touch()
        wait_until(lambda: "programs" in started.out, "the spy reports")
        foreign, met = started.out.splitlines()[1:3]
        assert foreign == "foreign {}"
        assert int(met.split()[1]) > 0, "the spy never met the runtime: the test shows nothing"
    finally:
        assert rt("delete", "--force", name).rc == 0


# In the container, with CAP_SYS_PTRACE: it takes the socket by which init talks to the command, and says in init's
# place that init is another process, and that it has failed, so that the command ends what it takes for its init.
LIAR = r"""
import ctypes, os, socket, struct, sys
libc, victim, me, lied = ctypes.CDLL(None, use_errno=True), sys.argv[1], os.getpid(), 0

def lie(pid):
    pidfd = libc.syscall(434, pid, 0)
    for number in range(3, 24):
        fd = libc.syscall(438, pidfd, number, 0)
        if fd < 0:
            continue
        try:
            end = socket.socket(fileno=fd)
            if end.type != socket.SOCK_SEQPACKET:
                continue
            for name in ("init_pid", "stage_pid"):
                end.send(f"N {name}={victim}".encode())
            end.send(b"F" + struct.pack("I", 1) + b"a lie")
            return 1
        except OSError:
            pass
    os.close(pidfd)
    return 0

print("watching", flush=True)
while not os.path.exists("/tmp/enough"):
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != me:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    ours = file.read().startswith(b"pyruntime init")
            except OSError:
                continue
            lied += ours and lie(int(pid))
print("lied", lied)
"""


@pytest.mark.slow
def test_who_speaks_in_place_of_exec_s_init_reaches_no_process_of_the_host(
    rt: Runtime, make: "Callable[..., Bundle]"
) -> None:
    victim = subprocess.Popen(["sleep", "300"])
    bundle, name = make().python(LIAR), new_id()
    bundle.process["args"].append(str(victim.pid))
    bundle.process["rlimits"] = []
    names = [*SOME, "CAP_SYS_PTRACE"]
    bundle.process["capabilities"] = {kind: names for kind in ("bounding", "effective", "permitted")}
    started = rt.run(bundle, "--detach", id=name)
    try:
        wait_until(lambda: "watching" in started.out, "the liar watches")
        told = [rt("exec", name, "sleep", "0.01").err for _ in range(RACES)]
        assert victim.poll() is None
        assert any("a lie" in text for text in told), "the liar was never heard: the test shows nothing"
    finally:
        rt("kill", name, "KILL")  # it does not end before those are reaped that a command was made not to know
        wait_until(lambda: leaks.reap() or rt.state(name)["status"] == "stopped", "the liar has ended")
        assert rt("delete", "--force", name).rc == 0
        victim.kill()
        victim.wait()


# Somebody who shares the folder that is /dev: what the console is made of is replaced as fast as can be.
SWAPPER = r"""
import os, random, sys, time
dev, canary = sys.argv[1:]
os.chdir(dev)
names = ["console", "ptmx", "pts/0", "pts/1", "tty"]
while True:
    for name in names:
        try:
            os.symlink(canary, "new")
            os.rename("new", name)
        except OSError:
            pass
    for name in names:
        try:
            os.unlink(name)
        except OSError:
            pass
    try:
        os.rename("pts", "away")
        os.symlink(canary + ".d", "pts")
        os.unlink("pts")
        os.rename("away", "pts")
    except OSError:
        pass
    time.sleep(random.choice((0, 0.005, 0.03, 0.1)))
"""


@pytest.mark.slow
def test_a_console_is_a_terminal_whoever_shares_dev(rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path) -> None:
    """Each start with a terminal is right or refused; what the links lead to is neither shown nor written.

    The name itself stays in the hands of who may write to the folder: it may be gone once the program looks.
    """
    canary, folder = tmp_path / "canary", tmp_path / "canary.d"
    canary.write_text("secret of the host\n")
    canary.chmod(0o600)
    folder.mkdir()
    script = "stat -L -c '%F %t' /proc/$$/fd/0; test -t 0 && echo terminal; echo written > /dev/console"
    bundle = make("sh", "-c", script)
    dev = bundle.rootfs / "dev"
    (dev / "pts").mkdir(parents=True)
    gone = ("/dev", "/dev/shm", "/dev/mqueue")
    bundle.config["mounts"] = [each for each in bundle.config["mounts"] if each["destination"] not in gone]
    bundle.process["terminal"] = True
    bundle.write()
    swapper = subprocess.Popen([sys.executable, "-IS", "-c", SWAPPER, dev, canary])
    seen = {"right": 0, "refused": 0}
    try:
        for _ in range(RACES):
            result = rt("run", "--bundle", bundle.path, new_id())
            assert "secret" not in result.out
            if "terminal" in result.out:
                seen["right"] += 1
                assert "character special file 88\n" in result.out.replace("\r", ""), result
            else:
                seen["refused"] += 1
                assert result.rc != 0, result
                assert result.err.count("\n") == 1, result
            assert canary.read_text() == "secret of the host\n"
            assert canary.stat().st_mode & 0o7777 == 0o600
            assert os.listdir(folder) == []
    finally:
        swapper.kill()
        swapper.wait()
    assert all(seen.values()), f"{seen}: the race was never close; last: {result}"
