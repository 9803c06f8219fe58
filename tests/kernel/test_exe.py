"""The executable behind /proc/self/exe, changed while the interpreter runs: as root of a user namespace, or root."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEGIN = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pyruntime.kernel import exe, remap; import posix\n"
AS_BEFORE = """
import asyncio, decimal, gc, json, zlib
many = [[number] for number in range(100000)]
gc.collect()
assert json.loads(json.dumps({"x": [1, None, True, "é"]})) == {"x": [1, None, True, "é"]}
assert asyncio.run(asyncio.sleep(0, 7)) == 7 and sum(number for [number] in many) == 4999950000
assert decimal.Decimal("0.1") * 3 == decimal.Decimal("0.3") and zlib.crc32(b"x") == 2363233923
if not (pid := posix.fork()):
    posix._exit(9)
assert posix.waitstatus_to_exitcode(posix.waitpid(pid, 0)[1]) == 9
"""


def python(script: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a script by an interpreter of its own, as root of a new user and mount namespace."""
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-IBSXutf8", "-c", BEGIN + script]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module", autouse=True)
def user_namespaces() -> None:
    probe = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False)
    if probe.returncode:
        pytest.skip("needs user namespaces, which this host forbids")


def test_a_read_only_mount_takes_its_place_and_nothing_else_changes() -> None:
    done = python("exe.protect(); print(exe.protection(), posix.readlink(exe.LINK))" + AS_BEFORE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "a read-only mount that is attached nowhere /\n"


def test_a_sealed_copy_takes_its_place_and_nothing_else_changes() -> None:
    done = python("remap.replace_executable(exe._sealed_copy()); print(exe.protection())" + AS_BEFORE)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "a sealed copy in memory\n")


def test_nothing_of_the_old_file_stays_mapped() -> None:
    script = "old = posix.readlink(exe.LINK); exe.protect(); print(old in open('/proc/self/maps').read())"
    assert python(script).stdout == "False\n"


def test_it_is_done_once() -> None:
    done = python("exe.protect(); first = posix.stat(exe.LINK); exe.protect(); print(first == posix.stat(exe.LINK))")
    assert done.stdout == "True\n", done.stderr


REFUSED = """
def refuse(*arguments, **more):
    raise OSError(1, "refused")
"""


@pytest.mark.parametrize("gone", ["_read_only_mount", "replace_executable"])
def test_another_way_where_one_is_refused(gone: str) -> None:
    """Where the link can't be changed the command begins anew, by its own words."""
    script = REFUSED + f"exe.{gone} = refuse\nexe.protect(); print(exe.protection(), sys.argv[1:])"
    done = python(script, "one", "two words")
    assert (done.stdout, done.stderr) == ("a sealed copy in memory ['one', 'two words']\n", "")


def test_a_file_of_a_tmpfs_is_no_sealed_copy() -> None:
    """Every one has a seal, the one that forbids more of them."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        done = python("print(exe._is_sealed(posix.open(sys.argv[1], posix.O_RDONLY)))", file.name)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


def test_no_way_is_an_error() -> None:
    done = python(REFUSED + "exe._read_only_mount = exe._sealed_copy = refuse\nexe.protect()")
    assert done.returncode == 1
    assert "PermissionError: [Errno 1] refused" in done.stderr


def test_a_sealed_copy_takes_no_write() -> None:
    script = "fd = posix.open(f'/proc/self/fd/{exe._sealed_copy()}', posix.O_RDWR); posix.write(fd, b'x')"
    assert "Operation not permitted" in python(script).stderr
