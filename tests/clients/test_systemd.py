"""Service managers: sockets that are passed on, and sd_notify(3)."""

import array
import os
import select
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.callers import Caller, bare_int, wait_exit
from tests.system.harness import wait_until


class Unit(Caller):
    """A service whose command line is ours."""

    def words(self, verb: str, *flags: str) -> "list[str]":
        more = [] if verb in ("start", "delete") else ["--bundle", str(self.bundle.path), *flags]
        return ["--root", str(self.root), verb, *more, self.id]

    def inside(self, pid: int) -> Path:
        """The socket as the container sees it."""
        return Path(f"/proc/{pid}/root/run/notify/notify.sock")


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(20)
        self.barriers = 0

    def hear(self) -> str:
        """The next message; the descriptor that comes with a barrier is closed, which is the answer to it."""
        data, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(16))
        for _, _, payload in ancillary:
            for fd in array.array("i", payload):
                os.close(fd)
                self.barriers += 1
        return data.decode()

    def silent(self) -> bool:
        return not select.select([self.socket], [], [], 0.2)[0]


def say(path: Path, text: str) -> None:
    """What a program in the container does, done from outside: the socket is the same."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        speaker.sendto(text.encode(), f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


@pytest.fixture
def unit(caller: "Callable[..., Unit]") -> Unit:
    unit = caller(Unit)
    unit.bundle.sh("echo $NOTIFY_SOCKET > /told; sleep 60").write()
    return unit


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> "Iterator[Manager]":
    manager = Manager(str(tmp_path / "manager") if request.param == "path" else f"@manager-{os.getpid()}")
    yield manager
    manager.socket.close()


def end(unit: Unit, pid: int) -> None:
    assert unit.call("--root", str(unit.root), "delete", "--force", unit.id).rc == 0
    assert wait_exit(pid) == 137


def test_sockets_are_passed_on(unit: Unit) -> None:
    unit.bundle.sh("echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; ls /proc/self/fd").write()
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        script = 'LISTEN_FDS=2 LISTEN_FDNAMES=a:b LISTEN_PID=$$ exec "$@"'
        fds = one.fileno(), two.fileno()
        binary, unit.binary = unit.binary, "/bin/sh"
        ended = unit.call("-c", script, "sh", binary, *unit.words("run"), fds=fds)
        unit.binary = binary
    assert ended.rc == 0, ended
    assert ended.out.split() == ["2", "1", "0", "1", "2", "3", "4", "5"], "0 to 4, and the folder that ls reads"


def test_sockets_come_before_preserved_descriptors(unit: Unit) -> None:
    unit.bundle.sh("echo $LISTEN_FDS; cat <&4").write()
    reader, writer = os.pipe()
    os.write(writer, b"preserved")
    os.close(writer)
    with socket.socket(socket.AF_UNIX) as one:
        binary, unit.binary = unit.binary, "/bin/sh"
        script = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
        words = unit.words("run", "--preserve-fds", "1")
        ended = unit.call("-c", script, "sh", binary, *words, fds=(one.fileno(), reader))
        unit.binary = binary
    os.close(reader)
    assert (ended.rc, ended.out) == (0, "1\npreserved")


def test_sockets_of_another_process_are_not_ours(unit: Unit) -> None:
    unit.bundle.sh("echo $LISTEN_FDS.$LISTEN_PID; ls /proc/self/fd").write()
    with socket.socket(socket.AF_UNIX) as one:
        ended = unit.call(*unit.words("run"), fds=(one.fileno(),), env={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert ended.out.split() == [".", "0", "1", "2", "3"]


def test_start_waits_until_the_container_is_ready(unit: Unit, manager: Manager) -> None:
    env = {"NOTIFY_SOCKET": manager.address}
    pid_file = unit.bundle.path / "pid"
    null = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    assert unit.popen(*unit.words("create", "--pid-file", str(pid_file)), env=env, **null).wait(30) == 0
    pid = bare_int(pid_file)
    assert not unit.inside(pid).exists()
    start = unit.popen(*unit.words("start"), env=env)
    wait_until((unit.bundle.rootfs / "told").exists, "the program runs")
    assert (unit.bundle.rootfs / "told").read_text() == "/run/notify/notify.sock\n"
    say(unit.inside(pid), "STATUS=half way\nMAINPID=1\n")
    assert manager.silent(), "only READY is passed on"
    assert start.poll() is None
    say(unit.inside(pid), "STATUS=done\nREADY=1\nERRNO=5")
    assert [manager.hear() for _ in range(3)] == ["READY=1", f"MAINPID={pid}", "BARRIER=1"]
    assert manager.barriers == 1
    assert start.wait(30) == 0
    assert manager.silent()
    end(unit, pid)


def test_start_ends_with_a_container_that_never_gets_ready(unit: Unit, manager: Manager) -> None:
    unit.bundle.sh("sleep 0.2; exit 3").write()
    env = {"NOTIFY_SOCKET": manager.address}
    pid_file = unit.bundle.path / "pid"
    null = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    assert unit.popen(*unit.words("create", "--pid-file", str(pid_file)), env=env, **null).wait(30) == 0
    assert unit.popen(*unit.words("start"), env=env).wait(30) == 0
    assert wait_exit(bare_int(pid_file)) == 3
    assert manager.silent()
    assert unit.call(*unit.words("delete")).rc == 0


def test_others_may_act_while_start_waits(unit: Unit, manager: Manager) -> None:
    env = {"NOTIFY_SOCKET": manager.address}
    pid_file = unit.bundle.path / "pid"
    null = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    unit.popen(*unit.words("create", "--pid-file", str(pid_file)), env=env, **null).wait(30)
    start = unit.popen(*unit.words("start"), env=env)
    wait_until((unit.bundle.rootfs / "told").exists, "the program runs")
    end(unit, bare_int(pid_file))
    assert start.wait(30) == 0


def test_start_without_the_variable_does_not_wait(unit: Unit, manager: Manager) -> None:
    pid_file = unit.bundle.path / "pid"
    null = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    env = {"NOTIFY_SOCKET": manager.address}
    assert unit.popen(*unit.words("create", "--pid-file", str(pid_file)), env=env, **null).wait(30) == 0
    assert unit.call(*unit.words("start")).rc == 0
    end(unit, bare_int(pid_file))


def test_a_detached_run_waits_too(unit: Unit, manager: Manager) -> None:
    env = {"NOTIFY_SOCKET": manager.address}
    pid_file = unit.bundle.path / "pid"
    null = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    run = unit.popen(*unit.words("run", "--detach", "--pid-file", str(pid_file)), env=env, **null)
    wait_until((unit.bundle.rootfs / "told").exists, "the program runs")
    pid = bare_int(pid_file)
    assert run.poll() is None
    say(unit.inside(pid), "READY=1\n")
    assert [manager.hear() for _ in range(3)] == ["READY=1", f"MAINPID={pid}", "BARRIER=1"]
    assert run.wait(30) == 0
    end(unit, pid)


def test_in_the_foreground_the_main_process_stays_ours(unit: Unit, manager: Manager) -> None:
    pid_file = unit.bundle.path / "pid"
    words = unit.words("run", "--pid-file", str(pid_file))
    run = unit.popen(*words, env={"NOTIFY_SOCKET": manager.address}, stdin=subprocess.DEVNULL)
    wait_until((unit.bundle.rootfs / "told").exists, "the program runs")
    say(unit.inside(bare_int(pid_file)), "READY=1")
    assert manager.hear() == "READY=1"
    assert manager.silent()
    assert unit.call("--root", str(unit.root), "kill", unit.id, "KILL").rc == 0
    assert run.wait(30) == 137


def test_in_a_user_namespace(unit: Unit, manager: Manager) -> None:
    unit.bundle.user_namespace().write()
    for folder in (unit.bundle.rootfs, unit.bundle.rootfs / "bin"):
        os.chown(folder, 100000, 100000)
    pid_file = unit.bundle.path / "pid"
    null = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    env = {"NOTIFY_SOCKET": manager.address}
    run = unit.popen(*unit.words("run", "-d", "--pid-file", str(pid_file)), env=env, **null)
    wait_until((unit.bundle.rootfs / "told").exists, "the program runs")
    pid = bare_int(pid_file)
    say(unit.inside(pid), "READY=1\n")
    assert manager.hear() == "READY=1"
    assert [manager.hear(), manager.hear()] == [f"MAINPID={pid}", "BARRIER=1"]
    assert run.wait(30) == 0
    end(unit, pid)


def test_the_proxy_needs_a_mount_namespace(unit: Unit, manager: Manager) -> None:
    unit.bundle.namespaces("pid").config["mounts"] = []
    for key in ("hostname",):
        del unit.bundle.config[key]
    for key in ("maskedPaths", "readonlyPaths"):
        del unit.bundle.linux[key]
    unit.bundle.write()
    ended = unit.call(*unit.words("run"), env={"NOTIFY_SOCKET": manager.address})
    assert ended.rc == 1
    assert "NOTIFY_SOCKET" in ended.err
    assert not (unit.root / unit.id).exists()
