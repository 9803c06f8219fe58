"""Descriptors of processes, and a Python that was built without its own functions for them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyruntime.kernel import pidfd

ROOT = Path(__file__).parents[2]
LESS = "import posix, _signal; del posix.pidfd_open, _signal.pidfd_send_signal, posix.memfd_create, posix.MFD_CLOEXEC; "
KILL = (
    "import sys; from pyruntime.kernel.pidfd import pidfd_open, pidfd_send_signal; "
    "fd = pidfd_open(int(sys.argv[1])); print(posix.get_inheritable(fd)); pidfd_send_signal(fd, 15)"
)
NOBODY = (
    "from pyruntime.kernel import pidfd\ntry: pidfd.pidfd_open(2**22 + 1)\nexcept ProcessLookupError: print('nobody')"
)
COPY = (
    "from pyruntime.kernel import exe; fd = exe._sealed_copy(); "
    "print(exe._is_sealed(fd), posix.fstat(fd).st_size == posix.stat(exe.LINK).st_size)"
)


def run(code: str, *words: object) -> str:
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=30).stdout


@pytest.mark.parametrize("before", ["import posix; ", LESS], ids=["its own", "by number"])
def test_a_signal_by_descriptor(before: str) -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        assert run(before + KILL, sleeper.pid) == "False\n"
        assert sleeper.wait(10) == -signal.SIGTERM
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("before", ["", LESS], ids=["its own", "by number"])
def test_nobody_there(before: str) -> None:
    assert run((before + "\n" if before else "") + NOBODY) == "nobody\n"


def test_a_sealed_copy_without_pythons_own_function() -> None:
    assert run(LESS + COPY) == "True True\n"


def test_pythons_own_are_taken() -> None:
    """So that the frequent verbs need no ctypes for them."""
    assert pidfd.pidfd_open is os.pidfd_open
