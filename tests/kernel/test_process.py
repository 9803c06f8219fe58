"""Forking by clone3, which only a process of one thread may, and closing without close_range(2)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyruntime.kernel import process

ROOT = Path(__file__).resolve().parents[2]
FORK = """
import os, sys, threading
sys.path.insert(0, {root!r})
from pyruntime.kernel.process import clone3
done = threading.Event()
if {threads}:
    threading.Thread(target=done.wait).start()
try:
    pid = clone3(0)
except SystemError as error:
    print(error)
else:
    if pid == 0:
        os._exit(len(os.listdir("/proc/self/task")))
    print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
done.set()
"""


def forked(threads: bool) -> str:
    script = FORK.format(root=str(ROOT), threads=threads)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_process_with_threads_does_not_fork_a_container() -> None:
    """fork(2) copies the locks that other threads hold."""
    assert forked(threads=True) == "a process with threads must not fork a container\n"


def test_a_process_without_threads_does() -> None:
    assert forked(threads=False) == "status 1\n"


@pytest.mark.parametrize("errno", [1, 38])
@pytest.mark.parametrize("listed", [True, False])
def test_descriptors_are_closed_where_the_call_is_not_to_be_had(
    monkeypatch: pytest.MonkeyPatch, errno: int, listed: bool
) -> None:
    """Also where what is found at /proc tells nothing: by then it may be a folder of an image."""

    def refuse(*_: object) -> None:
        raise OSError(errno, os.strerror(errno))

    monkeypatch.setattr(process, "syscall", refuse)
    for number in (900, 905, 906):
        os.dup2(0, number)
    try:
        with monkeypatch.context() as inner:
            if not listed:
                inner.setattr(process.os, "listdir", lambda _: ["fake"])
            process.close_range(900, 905)
        assert [number for number in (900, 905, 906) if Path(f"/proc/self/fd/{number}").exists()] == [906]
    finally:
        os.close(906)


def test_a_number_that_no_descriptor_has_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image may have any file at /proc/self/fd."""

    def refuse(*_: object) -> None:
        raise OSError(1, os.strerror(1))

    monkeypatch.setattr(process, "syscall", refuse)
    with monkeypatch.context() as inner:
        inner.setattr(process.os, "listdir", lambda _: [str(1 << 31), "9" * 255])
        process.close_range(1 << 20, 0xFFFFFFFF)
