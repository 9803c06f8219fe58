"""refusing.py ERRNO CALL[,CALL...] PROGRAM [ARGUMENT...]: run a program under a seccomp filter that refuses some calls.

It stands for an outer container, and for a kernel that is too old (seccomp(2), bpf(4)).
"""

import ctypes
import errno
import os
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pyruntime.kernel.syscall import NR  # noqa: E402

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LD_ABS, _JEQ, _RET = 0x20, 0x15, 0x06
_RET_ALLOW, _RET_ERRNO = 0x7FFF0000, 0x00050000
_OF_NR, _OF_ARCH = 0, 4
_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


MOUNT_API = ("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr")
# What tests are run under: nothing, one of two errnos for the new mount API, and for openat2.
WAYS = {
    "all calls": None,
    "mount(2)": ("ENOSYS", MOUNT_API),
    "mount(2), EPERM": ("EPERM", MOUNT_API),
    "no openat2": ("ENOSYS", ("openat2",)),
    "old calls": ("EPERM", (*MOUNT_API, "openat2")),
}


def wrapped(way: str, program: Path, folder: Path) -> Path:
    """An executable that runs the program in one of the WAYS."""
    filtered = WAYS[way]
    if filtered is None:
        return program
    error, calls = filtered
    words = [sys.executable, "-I", __file__, error, ",".join(calls), program]
    script = folder / "wrapped"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    script.chmod(0o755)
    return script


class Instruction(ctypes.Structure):
    """struct sock_filter"""

    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction))]


def refuse(error: int, names: "list[str]") -> None:
    """Refuse these calls to this process and all that it becomes. Raises OSError."""
    after = range(len(names) + 1, 0, -1)  # how far each comparison is from the instruction that refuses
    program = [
        (_LD_ABS, 0, 0, _OF_ARCH),
        (_JEQ, 1, 0, _ARCHES[os.uname().machine]),
        (_RET, 0, 0, _RET_ALLOW),
        (_LD_ABS, 0, 0, _OF_NR),
        *((_JEQ, jump - 1, 0, NR[name]) for jump, name in zip(after, names, strict=False)),
        (_RET, 0, 0, _RET_ALLOW),
        (_RET, 0, 0, _RET_ERRNO | error),
    ]
    lines = (Instruction * len(program))(*(Instruction(*line) for line in program))
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() and libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(Program(len(program), lines)), 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_SECCOMP")


if __name__ == "__main__":
    refuse(getattr(errno, sys.argv[1]), sys.argv[2].split(","))
    os.execv(sys.argv[3], sys.argv[3:])
