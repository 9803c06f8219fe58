"""Terminals of a container that lies about its own: FUSE lets who may mount it answer any ioctl by any number."""

import json
import os
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, new_id, wait_until

# fuse(4) by hand: /dev/ptmx is a file whose ioctls all succeed, and TIOCGPTPEER says that the terminal is descriptor 1.
FORGER = r"""
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
os.unlink("/dev/ptmx")
os.close(os.open("/dev/ptmx", os.O_CREAT | os.O_WRONLY))
if libc.mount(b"forged", b"/dev/ptmx", b"fuse", 0, f"fd={fd},rootmode=100666,user_id=0,group_id=0".encode()):
    raise OSError(ctypes.get_errno(), "mount")
print("mounted", flush=True)
ATTRIBUTES = struct.pack("6Q10I", 1, *[0] * 8, 0o100666, 1, 0, 0, 0, 512, 0)
INIT, GETATTR, OPEN, IOCTL = 26, 3, 14, 39
ANSWERS = {
    INIT: struct.pack("4I4H2I2H7I", 7, 31, 0, 0, 0, 0, 0, 0, 4096, 1, 0, 0, *[0] * 7),
    GETATTR: bytes(16) + ATTRIBUTES, OPEN: struct.pack("QII", 1, 1, 0),
}
while True:
    request = os.read(fd, 1 << 20)
    size, code, unique = struct.unpack_from("IIQ", request)
    answer = ANSWERS.get(code)
    if code == IOCTL:
        answer = struct.pack("iIII", 1 if struct.unpack_from("I", request, 52)[0] == 0x5441 else 0, 0, 0, 0)
    if code == OPEN:
        print("opened", flush=True)
    error = 0 if answer is not None else -38
    os.write(fd, struct.pack("IiQ", 16 + len(answer or b""), error, unique) + (answer or b""))
"""


@pytest.fixture
def forged(rt: Runtime, make: "Callable[..., Bundle]") -> "Bundle":
    if not Path("/dev/fuse").exists():
        pytest.skip("needs /dev/fuse")
    bundle = make().python(FORGER)
    bundle.process["rlimits"] = []
    names = ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]
    bundle.process["capabilities"] = {kind: names for kind in ("bounding", "effective", "permitted")}
    fuse = {"type": "c", "major": 10, "minor": 229}
    bundle.linux["devices"] = [{"path": "/dev/fuse", "fileMode": 0o666, **fuse}]
    bundle.linux["resources"]["devices"].append({"allow": True, "access": "rwm", **fuse})
    return bundle


def test_a_forged_ptmx_does_not_get_the_callers_terminal(rt: Runtime, forged: Bundle) -> None:
    name = new_id()
    started = rt.run(forged, "--detach", id=name)
    master, slave = os.openpty()
    try:
        wait_until(lambda: "mounted" in started.out, "the forged file is there")
        before = os.fstat(slave).st_uid, termios.tcgetattr(slave)
        process = {**forged.process, "args": ["tty"], "terminal": True, "user": {"uid": 1000, "gid": 1000}}
        (forged.path / "exec.json").write_text(json.dumps(process))
        words = rt.command("exec", "--process", forged.path / "exec.json", name)
        done = subprocess.run(words, stdin=slave, stdout=slave, stderr=subprocess.PIPE, timeout=30)
        assert "opened" in started.out
        assert done.returncode != 0
        assert b"not the character device 5:2" in done.stderr
        assert (os.fstat(slave).st_uid, termios.tcgetattr(slave)) == before
    finally:
        os.close(master)
        os.close(slave)
        assert rt("delete", "--force", name).rc == 0
