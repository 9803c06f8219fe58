"""What keeps the kernel from executing a file: every answer here is compared with execve(2)'s own."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyruntime.kernel import formats

HOST = os.uname().machine
NUMBERS = {"x86_64": 62, "aarch64": 183}


def elf(machine: int = 0, interpreter: bytes = b"", kind: int = 2, far: int = 0, wide: bool = True) -> bytes:
    """An ELF file of one program header; `far`: bytes between the header and what it leads to."""
    number = machine or NUMBERS[HOST]
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    size, entry = (64, 56) if wide else (52, 32)
    start = size + far
    if wide:
        head = struct.pack("<HHIQQQIHHHHHH", kind, number, 1, 0, start, 0, 0, size, entry, 1, 0, 0, 0)
        offset = start + entry
        program = struct.pack("<IIQQQQQQ", 3, 4, offset, 0, 0, len(interpreter) + 1, len(interpreter) + 1, 1)
    else:
        head = struct.pack("<HHIIIIIHHHHHH", kind, number, 1, 0, start, 0, 0, size, entry, 1, 0, 0, 0)
        offset = start + entry
        program = struct.pack("<IIIIIIII", 3, offset, 0, 0, len(interpreter) + 1, len(interpreter) + 1, 4, 1)
    return ident + head + bytes(far) + (program + interpreter + b"\0" if interpreter else bytes(entry))


def file(folder: Path, content: bytes, name: str = "program", mode: int = 0o755) -> str:
    path = folder / name
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def errno_of(path: str) -> int:
    """What execve says, 0 when it became the program."""
    try:
        subprocess.run([path], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10)
    except OSError as error:
        return error.errno or 0
    return 0


native = pytest.mark.skipif(HOST not in NUMBERS, reason=f"no machine number known here for {HOST}")


ABSENT = "no such file or directory: its first line needs /no/bash, which is not in the container"
SURE = [  # content, errno, the words
    (b"#!/no/bash\n", 2, ABSENT),
    (b"#! \t/no/bash -e\n", 2, ABSENT),
    (b"#!/no/bash", 2, ABSENT),
    (b"#!/bin/sh\r\n", 2, 'no such file or directory: line 1 ends in CR LF, so the kernel looks for "/bin/sh\\r"'),
    (b"#!/etc\n", 13, "permission denied: its first line needs /etc: it is a directory"),
    (b"#!/etc/passwd\n", 13, "permission denied: its first line needs /etc/passwd: mode is 0644, needs an x bit"),
    (b"#!/etc/passwd/x\n", 20, "not a directory: its first line needs /etc/passwd/x"),
]


@pytest.mark.parametrize(("content", "errno", "words"), SURE)
def test_what_is_sure_to_fail(content: bytes, errno: int, words: str, tmp_path: Path) -> None:
    path = file(tmp_path, content)
    assert formats.judge(path) == (words, "")
    assert errno_of(path) == errno
    assert words.startswith(os.strerror(errno).lower())


@native
@pytest.mark.parametrize("far", [0, 5000])
def test_a_loader_that_is_missing(far: int, tmp_path: Path) -> None:
    path = file(tmp_path, elf(interpreter=b"/no/ld.so", far=far))
    assert formats.judge(path) == ("no such file or directory: its loader /no/ld.so is not in the container", "")
    assert errno_of(path) == 2


@native
def test_a_loader_of_another_machine_is_not_ours_to_look_for(tmp_path: Path) -> None:
    """binfmt_misc may have an emulator for it, which looks elsewhere."""
    for number, wide in ((183 if HOST != "aarch64" else 62, True), (40, False)):
        refused, doubt = formats.judge(file(tmp_path, elf(number, b"/no/ld.so", wide=wide)))
        assert (refused, doubt) == ("", f"built for {formats._MACHINES[number]}, this host is {HOST}")


def test_scripts_of_scripts(tmp_path: Path) -> None:
    first = file(tmp_path, b"#!/no/x\n", "first")
    second = file(tmp_path, f"#!{first}\n".encode(), "second")
    why = f"no such file or directory: {first}'s first line needs /no/x, which is not in the container"
    assert formats.judge(second) == (why, "")
    assert errno_of(second) == 2
    third = file(tmp_path, b"no shebang", "third")
    fourth = file(tmp_path, f"#!{third}\n".encode(), "fourth")
    assert formats.judge(fourth) == ("", f'its interpreter {third} is a text file without "#!"')
    assert errno_of(fourth) == 8


def test_a_script_of_itself_ends(tmp_path: Path) -> None:
    path = tmp_path / "self"
    file(tmp_path, f"#!{path}\n".encode(), "self")
    assert formats.judge(str(path)) == ("", "")
    assert errno_of(str(path)) == 40


DOUBTS = [
    (b"", "empty"),
    (b"echo hello\n", 'a text file without "#!"'),
    ("é ü\n".encode(), 'a text file without "#!"'),
    (b"\xef\xbb\xbf#!/bin/sh\n", 'a script with a byte order mark before its "#!"'),
    (b"\0asm\1\0\0\0", "WebAssembly, which the kernel does not execute"),
    (b"MZ\x90\0", "a program for Windows"),
    (b"\0\1\2\3", "neither ELF nor a script"),
    (b"\x7fELF\2\1\1", "an ELF file that was cut short"),
    (b"#!\n", "a script whose first line names no program in its first 256 bytes"),
    (b"#!/" + b"x" * 300 + b"\n", "a script whose first line names no program in its first 256 bytes"),
]


@pytest.mark.parametrize(("content", "doubt"), DOUBTS, ids=range(len(DOUBTS)))
def test_what_the_kernel_has_no_handler_for(content: bytes, doubt: str, tmp_path: Path) -> None:
    path = file(tmp_path, content)
    assert formats.judge(path) == ("", doubt)
    assert errno_of(path) == 8


@native
def test_an_object_file(tmp_path: Path) -> None:
    path = file(tmp_path, elf(kind=1))
    assert formats.judge(path) == ("", "an object file that was not linked")
    assert errno_of(path) == 8


def test_what_runs_is_not_suspected(tmp_path: Path) -> None:
    for path in ("/bin/sh", "/bin/busybox", shutil.which("python3") or "", file(tmp_path, b"#!/bin/sh\nexit 0\n")):
        if os.path.exists(path):
            assert formats.refused(path) == ("", "")
            assert formats.judge(path) == ("", "")
            assert errno_of(path) == 0


@pytest.mark.root
def test_a_program_that_may_be_executed_and_not_read_is_not_judged(tmp_path: Path) -> None:
    path = file(tmp_path, b"#!/no/x\n", mode=0o711)
    os.makedirs(tmp_path, exist_ok=True)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            here = os.open(tmp_path, os.O_PATH)
            os.fchdir(here)
            os.setuid(65534)
            status = 0 if formats.judge("program") == ("", "") else 2
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0, path


@pytest.mark.parametrize(
    ("mode", "words"), [(0o644, "mode is 0644, needs an x bit"), (0o4600, "mode is 4600, needs an x bit")]
)
def test_no_right_to_execute(mode: int, words: str, tmp_path: Path) -> None:
    path = file(tmp_path, b"#!/bin/sh\n", mode=mode)
    assert formats.refused(path) == ("permission denied", words)
    assert errno_of(path) == 13


def test_what_is_no_file(tmp_path: Path) -> None:
    assert formats.refused(str(tmp_path)) == ("permission denied", "it is a directory")
    assert formats.refused(str(tmp_path / "none")) == ("no such file or directory", "")
    os.mkfifo(tmp_path / "fifo", 0o755)
    os.chmod(tmp_path / "fifo", 0o755)
    assert formats.judge(str(tmp_path / "fifo")) == ("", "")


@given(st.binary(max_size=200))
@example(b"\x00" * 12 + b"\xff" * 8 + b"\x00" * 14 + b"\x38\x00\xff\xff")
@example(b"\x00" * 12 + b"\xff" * 188)
def test_any_bytes_behind_an_elf_header_are_survived(tail: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as made:
        made.write(elf()[:20] + tail)
        made.flush()
        refused, doubt = formats.judge(made.name)
        assert refused == "" or ": its loader " in refused
        assert doubt.isprintable()
