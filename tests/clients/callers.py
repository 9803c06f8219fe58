"""Stand-ins for the programs that call a runtime: the same words, environment, streams and ways to read the answer."""

import array
import ctypes
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from tests.system.harness import Bundle, wait_until

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
TIMEOUT = 30  # seconds for one call


class Ended(NamedTuple):
    """How a call ended; `out` is stdout, and stderr too where the caller reads both from one pipe."""

    rc: int
    out: str
    err: str


def die_with_parent() -> None:
    """What a shim asks for its runtime: SIGKILL when the shim is gone."""
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        os._exit(126)


def put_from_3(fds: "list[int]") -> None:
    """Between fork and exec: the descriptors to pass on become 3, 4 and so on."""
    for number, high in enumerate([fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds], 3):
        os.dup2(high, number)


class Caller:
    """One caller, one bundle, one container."""

    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def __init__(self, binary: str, root: Path, bundle: Bundle, container_id: str) -> None:
        self.binary = binary
        self.root = root
        self.bundle = bundle
        self.id = container_id
        self.started: "list[subprocess.Popen[bytes]]" = []

    def close(self) -> None:
        """End the calls that a failed test has left."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()

    def popen(self, *words: str, **options: Any) -> "subprocess.Popen[bytes]":
        """Start the runtime with these words; the option `fds` lists its descriptors from 3 on."""
        fds: "tuple[int, ...]" = options.pop("fds", ())

        def prepare() -> None:
            die_with_parent()
            put_from_3(list(fds))

        options.setdefault("env", self.env)
        self.started.append(subprocess.Popen([self.binary, *words], preexec_fn=prepare, close_fds=not fds, **options))
        return self.started[-1]

    def call(self, *words: str, input: bytes = b"", merged: bool = False, **options: Any) -> Ended:
        """One call, whose output is read to its end: a process that keeps our pipe open would be noticed here."""
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.STDOUT if merged else subprocess.PIPE)
        with self.popen(*words, stdin=subprocess.PIPE, **options) as process:
            out, err = process.communicate(input, TIMEOUT)
        return Ended(process.returncode, (out or b"").decode(), (err or b"").decode())


class Streams:
    """A container's stdio: hand `theirs` to the runtime, then `handed()`; read what comes to its end."""

    def __init__(self, mode: int = 0o600) -> None:
        (self.stdin, self._feed), (self._out, self.stdout), (self._err, self.stderr) = (os.pipe() for _ in range(3))
        for fd in (self.stdin, self.stdout, self.stderr):
            os.fchmod(fd, mode)

    def arguments(self) -> "dict[str, int]":
        """For Popen."""
        return {"stdin": self.stdin, "stdout": self.stdout, "stderr": self.stderr}

    def handed(self) -> None:
        """Close the container's ends."""
        for fd in (self.stdin, self.stdout, self.stderr):
            os.close(fd)

    def feed(self, data: bytes) -> None:
        """Write to the container's stdin, and close it."""
        os.write(self._feed, data)
        os.close(self._feed)
        self._feed = -1

    def read(self) -> "tuple[str, str]":
        """All of stdout and stderr."""
        found = []
        for fd in (self._out, self._err):
            with open(fd, "rb") as stream:
                found.append(stream.read().decode())
        if self._feed >= 0:
            os.close(self._feed)
        return found[0], found[1]


class ConsoleSocket:
    """The listening end of --console-socket or --pidfd-socket. Nobody accepts before `receive` is called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(TIMEOUT)

    def receive(self) -> "tuple[str, int]":
        """The name and the one descriptor of the one message; after it the connection must be at its end."""
        connection, _ = self._listener.accept()
        with connection, self._listener:
            space = socket.CMSG_SPACE(4 * array.array("i").itemsize)
            data, ancillary, flags, _ = connection.recvmsg(4096, space)
            assert len(ancillary) == 1, ancillary
            level, kind, payload = ancillary[0]
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            assert not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC)
            fds = array.array("i", payload)
            assert len(fds) == 1, fds
            assert 0 < len(data) < 4096
            assert connection.recv(1) == b"", "more than one message on the console socket"
        os.set_inheritable(fds[0], False)
        return data.decode(), fds[0]


def read_terminal(master: int) -> str:
    """Everything until the last process has closed the terminal (EIO)."""
    found = b""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:
            return found.decode()
        if not chunk:
            return found.decode()
        found += chunk


def bare_int(path: Path) -> int:
    """A pid file as a strict reader has it: digits and nothing else."""
    text = path.read_text()
    assert re.fullmatch("[0-9]+", text), f"{path.name} holds {text!r}"
    return int(text)


def parent_of(pid: int) -> int:
    """The parent's pid, of a zombie too."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def own_cgroup(pid: int) -> str:
    """The process's path in the v2 tree."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next(line[3:] for line in lines if line.startswith("0::"))


def wait_exit(pid: int) -> int:
    """What a subreaper does: wait4 on a pid it never forked; returns the exit status as a shell has it."""
    found = 0

    def ended() -> bool:
        nonlocal found
        done, found = os.waitpid(pid, os.WNOHANG)
        return done == pid

    wait_until(ended, f"{pid} has ended", TIMEOUT)
    return os.waitstatus_to_exitcode(found) if os.WIFEXITED(found) else 128 + os.WTERMSIG(found)


def stream_of_json(text: str) -> "list[dict[str, Any]]":
    """A log file read as a stream of JSON values; any other byte is an error."""
    decoder, found, rest = json.JSONDecoder(), [], text.lstrip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].lstrip()
    return found


def last_error(path: Path) -> str:
    """The message a shim shows: that of the last line of level `error`; every line needs a time that parses."""
    message = ""
    for line in stream_of_json(path.read_text()):
        assert RFC3339.fullmatch(line["time"]), line
        if line["level"] == "error":
            message = line["msg"].strip()
    return message


def only_error(path: Path) -> str:
    """The message of a reader that takes the whole file for one JSON value."""
    line = json.loads(path.read_text())
    assert line["level"] == "error"
    assert RFC3339.fullmatch(line["time"]), line
    return str(line["msg"])
