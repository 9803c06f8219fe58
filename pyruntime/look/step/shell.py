"""A shell inside a half-made container: its own if it has one, else a static busybox handed in by descriptor."""

import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from pyruntime.cli.rootfiles import static_busybox
from pyruntime.kernel import ns
from pyruntime.look.inspect import proc

_SHELLS = ("/bin/bash", "/bin/sh", "/bin/ash", "/usr/bin/sh")
_ORDER = ("user", "cgroup", "ipc", "uts", "network", "pid", "mount")


def open_shell(pid: int, prompt: str) -> str:
    """Run a shell in the namespaces and the root of a process; returns why not, or "" afterwards.

    It joins what the process has and is held by nothing else: neither its capabilities, its filter nor its cgroup.
    """
    if proc.status(pid).get("State", "Z").startswith("Z"):
        return "the process has ended: there is nothing to join"
    kinds = [kind for kind in _ORDER if proc.namespaces(pid)[kind] not in (None, proc.namespaces("self")[kind])]
    busybox = _static_busybox()
    with _lent_terminal():
        child = os.fork()
        if child == 0:
            _become(pid, kinds, busybox, prompt)
        _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == _NO_SHELL:
        return "no shell in its root, and no static busybox on the host to bring along: apt install busybox-static"
    return f"the namespaces of pid {pid} can't be joined" if code == _NO_ENTRY else ""


_NO_SHELL, _NO_ENTRY = 113, 114


@contextmanager
def _lent_terminal() -> "Iterator[None]":
    """Have the terminal back afterwards, as it was.

    A shell puts itself into the foreground. In a pid namespace it can't name who was there before, so it leaves the
    terminal to a process group that is gone, and whoever reads from it next is stopped or told of an I/O error.
    """
    try:
        modes, group = termios.tcgetattr(0), os.tcgetpgrp(0)
    except (termios.error, OSError):
        yield
        return
    try:
        yield
    finally:
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            os.tcsetpgrp(0, group)
            termios.tcsetattr(0, termios.TCSADRAIN, modes)
        finally:
            signal.signal(signal.SIGTTOU, before)


def _become(pid: int, kinds: "list[str]", busybox: int, prompt: str) -> None:
    """In a child: enter, and execute the shell. Never returns."""
    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY)
        for fd, kind in [(ns.open_namespace(f"/proc/{pid}/ns/{proc.KINDS[kind]}", kind), kind) for kind in kinds]:
            ns.setns(fd, kind)
        os.fchdir(root)
        os.chroot(".")
    except OSError:
        os._exit(_NO_ENTRY)
    grandchild = os.fork()  # a pid namespace is for children
    if grandchild:
        _, status = os.waitpid(grandchild, 0)
        os._exit(_NO_SHELL if os.waitstatus_to_exitcode(status) == _NO_SHELL else 0)
    _execute(busybox, prompt)


def _execute(busybox: int, prompt: str) -> None:
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PS1": prompt,
        "TERM": os.environ.get("TERM", "dumb"),
    }
    for path in _SHELLS:
        try:
            os.execve(path, [path, *(["--norc"] if path.endswith("bash") else [])], env)
        except OSError:
            continue
    if busybox >= 0:
        try:
            os.execve(busybox, ["sh"], {**env, "ENV": ""})
        except OSError:
            pass
    os._exit(_NO_SHELL)


def _static_busybox() -> int:
    """A descriptor of a busybox that needs no library, -1 for none."""
    path = static_busybox()
    try:
        return os.open(path, os.O_RDONLY) if path else -1
    except OSError:
        return -1
