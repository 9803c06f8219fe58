"""Running a helper program: own process group, input and captured output through pipes, a time limit.

`subprocess` would do, at 8 ms of CPU to import. The program's group is killed when its time is over or when it leaves
a child behind that holds the pipes, so a hook can't hang the runtime.
"""

import _signal
import posix as os
import select
import time

from pyruntime.kernel.pidfd import pidfd_open
from pyruntime.kernel.process import exit_status, fork, reset_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_OUTPUT_MAX = 65536
_LINGER = 1.0  # seconds that a finished program's children may keep its output open


class TimedOut(Exception):
    """The program ran longer than it was given."""


class Result:
    """How a program ended: its wait status and what it wrote."""

    def __init__(self, status: int, stdout: bytes, stderr: bytes) -> None:
        self.status = status
        self.stdout = stdout
        self.stderr = stderr


def run_program(name: str, argv: "list[str]") -> "tuple[int, str]":
    """Find a program in the usual directories and run it; returns (exit status, its output on one line)."""
    for folder in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        if os.access(f"{folder}/{name}", os.X_OK):
            result = run(f"{folder}/{name}", argv, {b"PATH": b"/usr/sbin:/usr/bin:/sbin:/bin"}, b"", None)
            text = (result.stdout + result.stderr).decode("utf-8", "replace").strip()
            return exit_status(result.status), " ".join(text.split())
    return 127, f"no {name} on this host"


def run(
    path: str,
    argv: "list[str]",
    env: "dict[bytes, bytes]",
    stdin: bytes,
    timeout: "float | None",
    before: "Callable[[], None] | None" = None,
) -> Result:
    """Run a program with `stdin` as its input; `timeout` in seconds; `before` runs in the child ahead of execve.

    Raises OSError when it can't be executed and TimedOut when its time is over (it and its group are killed).
    """
    pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(4)]
    pid = fork()
    if pid == 0:
        _child(path, argv, env, pipes, before)
    (in_r, in_w), (out_r, out_w), (err_r, err_w), (fail_r, fail_w) = pipes
    for fd in (in_r, out_w, err_w, fail_w):
        os.close(fd)
    try:
        failure = os.read(fail_r, 16)
        if failure:
            os.waitpid(pid, 0)
            raise OSError(int(failure), os.strerror(int(failure)), path)
        return _talk(pid, stdin, in_w, out_r, err_r, timeout)
    finally:
        for fd in (out_r, err_r, fail_r):
            os.close(fd)


def _child(
    path: str,
    argv: "list[str]",
    env: "dict[bytes, bytes]",
    pipes: "list[tuple[int, int]]",
    before: "Callable[[], None] | None",
) -> None:
    try:
        os.setpgid(0, 0)
        reset_signals()
        for fd, target in ((pipes[0][0], 0), (pipes[1][1], 1), (pipes[2][1], 2)):
            os.dup2(fd, target, True)
        if before:
            before()
        os.execve(path, argv, env)
    except OSError as error:
        os.write(pipes[3][1], str(error.errno).encode())
    finally:
        os._exit(127)


def _talk(pid: int, stdin: bytes, in_w: int, out_r: int, err_r: int, timeout: "float | None") -> Result:
    """Feed and drain the program until it has ended and its pipes are closed, or time is over."""
    end = time.monotonic() + timeout if timeout else None
    texts = {out_r: b"", err_r: b""}
    poller = select.poll()
    os.set_blocking(in_w, False)
    poller.register(in_w, select.POLLOUT)
    pidfd = pidfd_open(pid)
    for fd in (out_r, err_r, pidfd):
        poller.register(fd, select.POLLIN)
    opened = {in_w, out_r, err_r, pidfd}
    try:
        while opened - {in_w}:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                if pidfd in opened:
                    raise TimedOut
                break
            for fd, _ in poller.poll(None if left is None else left * 1000):
                done = False
                if fd == in_w:
                    stdin = _feed(in_w, stdin)
                    done = not stdin
                elif fd == pidfd:
                    done = True
                    end = min(end or time.monotonic() + _LINGER, time.monotonic() + _LINGER)
                else:
                    data = os.read(fd, 65536)
                    texts[fd] = (texts[fd] + data)[:_OUTPUT_MAX]
                    done = not data
                if done:
                    poller.unregister(fd)
                    opened.discard(fd)
                    if fd == in_w:
                        os.close(in_w)
        return Result(os.waitpid(pid, 0)[1], texts[out_r], texts[err_r])
    finally:
        if in_w in opened:
            os.close(in_w)
        os.close(pidfd)
        _kill_group(pid)


def _feed(fd: int, data: bytes) -> bytes:
    """Write what the pipe takes; a reader that has gone away wants nothing more."""
    try:
        return data[os.write(fd, data) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return b""


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, _signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return
