"""What crosses into a container from its caller: descriptors, signals, environment, terminal; and what must not."""

import array
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import harness
from tests.system.harness import Bundle, Runtime, new_id

LIST_FDS = "(for fd in /proc/$$/fd/*; do echo ${fd##*/} $(readlink $fd); done); true"  # of the shell above


def fields(status: str, *names: str) -> "dict[str, str]":
    """Lines of /proc/PID/status."""
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return {name: lines[name].strip() for name in names}


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1], [0, 1, 2]], ids=str)
def test_closed_standard_streams(rt: Runtime, make: "Callable[..., Bundle]", closed: "list[int]") -> None:
    """A missing stream becomes /dev/null, and nothing opened later takes its number."""
    bundle = make("sh", "-c", f"({LIST_FDS}) > /seen; echo out; echo err >&2").write()
    redirections = " ".join(f"{fd}>&-" for fd in closed)
    words = rt.command("run", "--bundle", bundle.path, new_id())
    shell = ["sh", "-c", f'exec "$@" {redirections}', "sh"]
    done = subprocess.run([*shell, *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    seen = dict(line.split(" ", 1) for line in (bundle.rootfs / "seen").read_text().splitlines())
    assert sorted(seen) == ["0", "1", "2"]
    for fd in closed:
        assert seen[str(fd)] == "/dev/null"
    assert done.stdout == ("" if 1 in closed else "out\n")
    assert done.stderr == ("" if 2 in closed else "err\n")


def _leaky(words: "list[str]") -> "list[str]":
    script = (
        "import os, sys\n"
        "for n in range(3, 21): os.dup2(os.open('/etc', os.O_RDONLY), n)\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return ["/usr/bin/python3", "-c", script, *words]


@pytest.mark.parametrize("verb", ["run", "create", "exec"])
def test_leaked_descriptors_stay_outside(rt: Runtime, make: "Callable[..., Bundle]", verb: str) -> None:
    bundle, name = make("sh", "-c", f"({LIST_FDS}) > /seen; exec sleep {0 if verb == 'run' else 60}").write(), new_id()
    if verb == "exec":
        assert rt.create(make("sleep", "60"), id=name).rc == 0
        words = rt.command("exec", name, "sh", "-c", f"({LIST_FDS}) > /seen; true")
        bundle = Bundle.__new__(Bundle)
        bundle.rootfs = Path(rt.state(name)["rootfs"])
    else:
        words = rt.command(verb, "--bundle", bundle.path, name)
    with open(rt.folder / "leaky", "wb") as out:
        done = subprocess.run(
            _leaky(words), stdin=subprocess.DEVNULL, stdout=out, stderr=out, close_fds=False, timeout=30
        )
    assert done.returncode == 0, (rt.folder / "leaky").read_text()
    if verb == "create":
        pid = rt.state(name)["pid"]
        assert "/etc" not in {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        assert rt("start", name).rc == 0
    seen = bundle.rootfs / "seen"
    harness.wait_until(lambda: seen.exists() and seen.read_text().count("\n") >= 3, "the list is written")
    assert [line.split()[0] for line in seen.read_text().splitlines()] == ["0", "1", "2"]
    if verb != "run":
        assert rt("delete", "--force", name).rc == 0


def test_descriptors_leaked_to_hooks(rt: Runtime, bundle: Bundle) -> None:
    seen = bundle.path / "seen"
    bundle.config["hooks"] = {
        "createRuntime": [
            {"path": "/bin/bash", "args": ["bash", "-c", f"ls -l /proc/$$/fd > {seen}"], "env": ["PATH=/bin"]}
        ]
    }
    bundle.write()
    with open(rt.folder / "leaky", "wb") as out:
        words = _leaky(rt.command("run", "--bundle", bundle.path, new_id()))
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, close_fds=False, timeout=30)
    assert done.returncode == 0, (rt.folder / "leaky").read_text()
    assert "/etc" not in seen.read_text()
    assert sorted(line.split()[-3] for line in seen.read_text().splitlines() if "->" in line) in (
        ["0", "1", "2"], ["0", "1", "2", "255"],
    )  # fmt: skip


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_signals_are_reset(rt: Runtime, make: "Callable[..., Bundle]", verb: str) -> None:
    """The caller ignores some signals and blocks others; the program starts with all of them as by default."""
    name = new_id()
    bundle = make("cat", "/proc/self/status").write()
    if verb == "exec":
        assert rt.create(make("sleep", "60"), id=name).rc == 0
        words = rt.command("exec", name, "cat", "/proc/self/status")
    else:
        words = rt.command("run", "--bundle", bundle.path, name)
    script = (
        "import os, signal, sys\n"
        "for n in (1, 2, 13, 15, 17, 21, 22, 40): signal.signal(n, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 65)) - {32, 33})\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    done = subprocess.run(["/usr/bin/python3", "-c", script, *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    found = fields(done.stdout, "SigBlk", "SigIgn", "SigCgt", "SigPnd")
    assert set(found.values()) == {"0" * 16}, found
    if verb == "exec":
        assert rt("delete", "--force", name).rc == 0


def test_environment_is_the_configs(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("env")
    bundle.process["env"] = ["PATH=/bin", "A=1", "A=2", "B=", "HOME=/x"]
    secret = {"SECRET": "x", "LD_PRELOAD": "", "PYTHONPATH": "/tmp", "NOTIFY": "y", "_PYRUNTIME": "z"}
    result = rt.run(bundle, env=secret)
    assert result.rc == 0, result
    assert sorted(result.out.splitlines()) == ["A=2", "B=", "HOME=/x", "PATH=/bin"]


def test_bytes_reach_the_program_as_they_are(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    text = "ä€😀 \t'\"\\ \x01\x7f"
    bundle = make("sh", "-c", 'printf "%s|%s" "$1" "$V"', "sh", text)
    bundle.process["env"].append(f"V={text}")
    assert rt.run(bundle).out == f"{text}|{text}"


def test_program_leads_a_session_without_a_terminal(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """So it can't push input into the caller's terminal."""
    bundle = make("sh", "-c", "cat /proc/self/stat; (: > /dev/tty) 2>&1")
    result = rt.run(bundle)
    stat, answer = result.out.splitlines()
    session, tty = stat.rpartition(")")[2].split()[3:5]
    assert (session, tty) == ("1", "0")
    assert "No such device or address" in answer


def test_preserved_descriptors(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("sh", "-c", f"{LIST_FDS}; cat <&3; echo to four >&4").write()
    reader, writer = os.pipe()
    os.write(writer, b"from three\n")
    os.close(writer)
    other, four = os.pipe()
    words = rt.command("run", "--bundle", bundle.path, "--preserve-fds", 2, new_id())
    done = subprocess.run(
        ["bash", "-c", f'exec 5<&{reader} 6>&{four}; exec "$@" 3<&5 4>&6 5<&- 6>&-', "sh", *words],
        pass_fds=(reader, four), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    os.close(four)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == ["0", "1", "2", "3", "4"]
    assert done.stdout.endswith("from three\n")
    assert os.read(other, 100) == b"to four\n"
    os.close(other)
    os.close(reader)


def test_socket_activation(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("sh", "-c", f"echo $LISTEN_FDS $LISTEN_PID; {LIST_FDS}").write()
    words = rt.command("run", "--bundle", bundle.path, new_id())
    with socket.socket(socket.AF_UNIX) as listener:
        done = subprocess.run(
            ["bash", "-c", f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh", *words],
            pass_fds=(listener.fileno(),), capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0] == "1 1", done
    assert [line.split()[0] for line in lines[1:]] == ["0", "1", "2", "3"]
    assert lines[-1].startswith("3 socket:")


def test_working_directory_is_no_way_out(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """The caller leaves descriptors of host folders open; cwd through them is refused, or lies inside."""
    bundle = make("sh", "-c", "readlink /proc/$$/cwd; ls ..")
    for number in (3, 5, 7, 9, 12, 20, 30):
        bundle.process["cwd"] = f"/proc/self/fd/{number}"
        bundle.write()
        words = rt.command("run", "--bundle", bundle.path, new_id())
        done = subprocess.run(_leaky(words), capture_output=True, text=True, timeout=30, close_fds=False)
        assert done.returncode == 1, done
        assert "process.cwd" in done.stderr


@pytest.mark.parametrize("cwd", ["/app/deep", "/tmp/app"])
def test_a_missing_working_directory_is_made_below_a_root_that_is_read_only(
    rt: Runtime, make: "Callable[..., Bundle]", cwd: str
) -> None:
    """As with runc: images name folders that they do not bring, and Kubernetes has readOnlyRootFilesystem."""
    bundle = make("sh", "-c", "pwd; touch here || echo refused")
    bundle.config["root"]["readonly"] = True
    bundle.config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]})
    bundle.process["cwd"] = cwd
    assert rt.run(bundle).out == f"{cwd}\nrefused\n"


def test_working_directory_of_exec_is_no_way_out(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    name = new_id()
    assert rt.run(make("sleep", "60"), "--detach", id=name).rc == 0
    try:
        for number in range(3, 31):
            words = rt.command("exec", "--cwd", f"/proc/self/fd/{number}", name, "pwd")
            done = subprocess.run(_leaky(words), capture_output=True, text=True, timeout=30, close_fds=False)
            assert done.returncode == 255, done
            assert "process.cwd" in done.stderr
            assert done.stdout == ""
    finally:
        assert rt("delete", "--force", name).rc == 0


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_closed_standard_streams_of_exec(rt: Runtime, make: "Callable[..., Bundle]", closed: "list[int]") -> None:
    name = new_id()
    bundle = make("sleep", "60")
    assert rt.run(bundle, "--detach", id=name).rc == 0
    redirections = " ".join(f"{fd}>&-" for fd in closed)
    words = rt.command("exec", name, "sh", "-c", f"({LIST_FDS}) > /seen; true")
    done = subprocess.run(["sh", "-c", f'exec "$@" {redirections}', "sh", *words], capture_output=True, timeout=30)
    assert rt("delete", "--force", name).rc == 0
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    seen = dict(line.split(" ", 1) for line in (bundle.rootfs / "seen").read_text().splitlines())
    assert sorted(seen) == ["0", "1", "2"]
    assert {seen[str(fd)] for fd in closed} == {"/dev/null"}


def test_environment_of_exec(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """The container's, and what --env adds; nothing of the caller's."""
    bundle, name = make("sleep", "60"), new_id()
    bundle.process["env"] = ["PATH=/bin", "A=1"]
    assert rt.run(bundle, "--detach", id=name, env={"SECRET": "x"}).rc == 0
    secret = {"SECRET": "x", "LD_PRELOAD": "", "PYTHONPATH": "/tmp", "NOTIFY_SOCKET": "", "_PYRUNTIME": "z"}
    result = rt("exec", "--env", "A=2", "--env", "B=", name, "env", env=secret)
    assert rt("delete", "--force", name).rc == 0
    assert sorted(result.out.splitlines()) == ["A=2", "B=", "HOME=/root", "PATH=/bin"], result


PUSH = """
import fcntl, os
for fd in (0, 1, 2):
    try:
        fcntl.ioctl(fd, 0x5412, b"x")  # TIOCSTI: as if the user had typed it
        said = "pushed"
    except OSError as error:
        said = error.strerror
    os.write(1, f"{fd} {os.isatty(fd)} {said}\\n".encode())
try:
    os.open("/dev/tty", os.O_RDWR)
except OSError as error:
    os.write(1, f"{error.strerror}\\n".encode())
"""


def test_nothing_is_typed_into_the_callers_terminal(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """A program without a terminal of its own, whose caller has one on all three streams."""
    bundle = make().python(PUSH).write()
    master, slave = os.openpty()
    process, _ = rt.popen(
        "run", "--bundle", bundle.path, new_id(), stdin=slave, stdout=slave, stderr=slave,
        preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),
    )  # fmt: skip
    code = process.wait(30)
    os.close(slave)
    text = _read_all(master).decode().replace("\r", "")
    os.close(master)
    assert code == 0, text
    refused = "Inappropriate ioctl for device"
    assert text == f"0 False {refused}\n1 False {refused}\n2 False {refused}\nNo such device or address\n"


class Listener:
    """A caller's socket: takes one connection and the descriptor that comes with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(1)

    def receive(self) -> "tuple[bytes, int]":
        """The payload and the one descriptor; the connection is closed by the other side after it."""
        self.socket.settimeout(10)
        with self.socket.accept()[0] as end:
            data, ancillary, _, _ = end.recvmsg(4096, socket.CMSG_SPACE(64))
            assert end.recv(10) == b""
        ((level, kind, numbers),) = ancillary
        assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        (fd,) = array.array("i", numbers)
        return data, fd


@pytest.fixture
def listener(tmp_path: Path) -> "Iterator[Listener]":
    found = Listener(tmp_path / "socket")
    yield found
    found.socket.close()


def _read_all(master: int, seconds: float = 10) -> bytes:
    """Everything a terminal shows until its other side is closed."""
    text, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            text += os.read(master, 4096)
        except OSError:
            return text
    raise AssertionError(f"the terminal is still open: {text!r}")


def test_console_socket(rt: Runtime, make: "Callable[..., Bundle]", listener: Listener) -> None:
    script = "tty; stty size; stat -c '%u %F' /dev/console; test -t 0 -a -t 1 -a -t 2 && echo all"
    bundle, name = make("sh", "-c", script), new_id()
    bundle.process["terminal"] = True
    bundle.process["consoleSize"] = {"height": 33, "width": 101}
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    result = rt.create(bundle, "--console-socket", listener.path, id=name)
    assert (result.rc, result.out, result.err) == (0, "", "")
    payload, master = listener.receive()
    assert 0 < len(payload) < 4096
    assert os.isatty(master)
    assert struct.unpack("4H", fcntl.ioctl(master, termios.TIOCGWINSZ, bytes(8)))[:2] == (33, 101)
    assert rt("start", name).rc == 0
    text = _read_all(master)
    os.close(master)
    assert text == b"/dev/pts/0\n33 101\n1000 character special file\nall\n"
    rt.wait_for(name, "stopped")
    assert rt("delete", name).rc == 0


def test_console_socket_that_is_never_accepted(rt: Runtime, make: "Callable[..., Bundle]", listener: Listener) -> None:
    """Engines accept only after `create` has returned."""
    bundle, name = make("sleep", "60"), new_id()
    bundle.process["terminal"] = True
    result = rt.create(bundle, "--console-socket", listener.path, id=name)
    assert (result.rc, result.seconds < 5) == (0, True), result
    assert rt("delete", "--force", name).rc == 0


def test_console_socket_with_a_full_backlog(rt: Runtime, make: "Callable[..., Bundle]", listener: Listener) -> None:
    """Nobody accepts and the queue is full: an error, no endless wait."""
    waiting = []
    for _ in range(4):
        end = socket.socket(socket.AF_UNIX)
        end.setblocking(False)
        try:
            end.connect(str(listener.path))
        except BlockingIOError:
            pass
        waiting.append(end)
    bundle, name = make("sleep", "60"), new_id()
    bundle.process["terminal"] = True
    result = rt.create(bundle, "--console-socket", listener.path, id=name)
    for end in waiting:
        end.close()
    assert result.rc == 1
    assert result.seconds < 12
    assert "console socket" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("kind", ["file", "datagram", "closed"])
def test_console_socket_that_is_none(rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path, kind: str) -> None:
    path = tmp_path / "socket"
    if kind == "file":
        path.write_text("")
    else:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
        end.bind(str(path))
        if kind == "closed":
            end.close()
    bundle = make("true")
    bundle.process["terminal"] = True
    result = rt.create(bundle, "--console-socket", path, id=new_id())
    if kind == "datagram":
        end.close()
    assert result.rc == 1
    assert "console socket" in result.err
    assert result.err.count("\n") == 1


def test_console_socket_with_a_long_path(rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path) -> None:
    """sockaddr_un holds 107 bytes; engines have longer state folders."""
    folder = tmp_path / ("d" * 100)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as end:
        here = os.open(folder, os.O_RDONLY)
        end.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
        end.listen(1)
        bundle, name = make("true"), new_id()
        bundle.process["terminal"] = True
        result = rt.create(bundle, "--console-socket", folder / "socket", id=name)
    assert result.rc in (0, 1)
    assert result.rc == 0 or ("console socket" in result.err and result.err.count("\n") == 1), result
    rt("delete", "--force", name)


def test_pidfd_socket(rt: Runtime, make: "Callable[..., Bundle]", listener: Listener) -> None:
    name = new_id()
    assert rt.create(make("sleep", "60"), "--pidfd-socket", listener.path, id=name).rc == 0
    payload, pidfd = listener.receive()
    assert payload == b"standard"
    info = fields(Path(f"/proc/self/fdinfo/{pidfd}").read_text(), "Pid")
    assert int(info["Pid"]) == rt.state(name)["pid"]
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)
    rt.wait_for(name, "stopped")
    assert rt("delete", name).rc == 0


def test_foreground_terminal(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """Our terminal is the caller's and the container's is another: input, output and size pass, settings come back."""
    bundle = make("sh", "-c", "stty size; read line; echo got $line; exit 4")
    bundle.process["terminal"] = True
    bundle.write()
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 41, 99, 0, 0))
    before = termios.tcgetattr(slave)
    process, _ = rt.popen(
        "run", "--bundle", bundle.path, new_id(), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.write(master, b"words\n")
    assert process.wait(20) == 4
    assert termios.tcgetattr(slave) == before
    os.close(slave)
    text = _read_all(master)
    os.close(master)
    assert b"41 99" in text
    assert b"got words" in text


def test_user_groups_and_capabilities_are_exact(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("cat", "/proc/self/status")
    for user in ({"uid": 0, "gid": 0}, {"uid": 1000, "gid": 1001, "additionalGids": [7, 9]}):
        bundle.process["user"] = user
        bundle.process["capabilities"] = {
            "bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"], "effective": [],
            "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"],
        }  # fmt: skip
        found = fields(rt.run(bundle).out, "Uid", "Gid", "Groups", "CapInh", "CapAmb", "CapBnd", "NoNewPrivs")
        assert found["Uid"].split() == [str(user["uid"])] * 4
        assert found["Gid"].split() == [str(user["gid"])] * 4
        assert found["Groups"].split() == [str(gid) for gid in user.get("additionalGids", [])]
        sets = [int(found[name], 16) for name in ("CapInh", "CapAmb", "CapBnd")]
        assert sets == [1 << 5, 1 << 5, 1 << 5 | 1]
        assert found["NoNewPrivs"] == "1"


def test_a_program_that_a_capability_lets_execute(rt: "Runtime", make: "Callable[..., Bundle]") -> None:
    """access(2) asks without capabilities, execve(2) with them."""
    bundle = make("/owners")
    (bundle.rootfs / "owners").write_text("#!/bin/sh\necho ran\n")
    (bundle.rootfs / "owners").chmod(0o744)
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    refused = rt.run(bundle)
    assert refused.rc == 1
    assert "permission denied" in refused.err
    kinds = ("bounding", "permitted", "effective", "inheritable", "ambient")
    bundle.process["capabilities"] = {kind: ["CAP_DAC_OVERRIDE"] for kind in kinds}
    result = rt.run(bundle)
    assert (result.rc, result.out) == (0, "ran\n"), result


def test_keys_in_any_case_confine(rt: Runtime, bundle: Bundle) -> None:
    """As runc reads them, of config.json and of exec's process file."""
    confined = bundle.process
    confined["NoNewPRIVILEGES"] = confined.pop("noNewPrivileges")
    confined["Capabilities"] = {"BOUNDING": ["CAP_KILL"], "Permitted": ["CAP_KILL"]}
    del confined["capabilities"]
    del confined["user"]["gid"]
    bundle.config["Root"] = {"Path": "rootfs", "readOnly": True}
    del bundle.config["root"]
    script = "cat /proc/self/status; (echo x > /x) 2> /dev/null || echo 'Root:\tclosed'"
    names = ("NoNewPrivs", "CapBnd", "CapPrm", "Gid", "Root")
    wanted = ("1", f"{1 << 5:016x}", f"{1 << 5:016x}", "0\t0\t0\t0", "closed")
    bundle.sh(script)
    assert tuple(fields(rt.run(bundle).out, *names).values()) == wanted
    file = bundle.path / "process.json"
    file.write_text(json.dumps({**confined, "args": ["sh", "-c", script]}))
    bundle.process["args"] = ["sleep", "60"]
    name = new_id()
    assert rt.create(bundle, id=name).rc == 0
    assert rt("start", name).rc == 0
    assert tuple(fields(rt("exec", "--process", file, name).out, *names).values()) == wanted
    assert rt("delete", "--force", name).rc == 0
