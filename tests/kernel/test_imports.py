"""The lock that falls when the root changes: in a process of its own, it can't be taken off."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKED = """
import sys, posix, _posixsubprocess, _ctypes, os, subprocess
sys.path.insert(0, {root!r})
from pyruntime.kernel.imports import lock_imports
lock_imports()
try:
    {line}
except Exception as error:
    posix.write(1, f"{{type(error).__name__}}: {{error}}".encode())
else:
    posix.write(1, b"done")
posix._exit(0)
"""
REFUSED = {
    "import": "import wave",
    "codec": "'x'.encode('punycode')",
    "open": "open('/etc/passwd')",
    "dlopen": "_ctypes.dlopen('libm.so.6', 0)",
    "spawn": "subprocess.Popen(['true'])",
    "traceback": "import traceback",
}


def said(line: str) -> str:
    script = LOCKED.format(root=str(ROOT), line=line)
    done = subprocess.run([sys.executable, "-IBS", "-c", script], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("kind", REFUSED)
def test_what_loads_code_is_refused(kind: str) -> None:
    answer = said(REFUSED[kind])
    assert "inside the container" in answer or "unknown encoding" in answer


def test_descriptors_go_on_working() -> None:
    assert (
        said("posix.close(posix.open('/', posix.O_RDONLY)); posix.open('..', 0, dir_fd=posix.open('/', 0))") == "done"
    )
