"""What a guest sees and what its end means, for every engine that can run here: one WAT text per behaviour."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyruntime.engine.engines import make
from pyruntime.engine.native import SETTING
from pyruntime.engine.select import ENGINES
from pyruntime.errors import Error

HERE = Path(__file__).resolve().parent

EXIT = """(module (import "{wasi}" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const {status})) unreachable))"""

BODY = """(module (memory (export "memory") 1) {more} (func $start (export "_start") {body}))"""

# No tail call, which a compiler would make a loop.
DEEP = "(call $start) (i32.store (i32.const 0) (i32.const 1))"

# Prints what args_get or environ_get leaves in memory: the strings, each with its NUL.
STRINGS = """(module
  (import "wasi_snapshot_preview1" "{what}_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "{what}_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 64) (i32.const 1024)))
    (i32.store (i32.const 16) (i32.const 1024))
    (i32.store (i32.const 20) (i32.load (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))"""

# Copies stdin to stdout and one byte to stderr.
CAT = """(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 512) "!")
  (func (export "_start")
    (i32.store (i32.const 32) (i32.const 512)) (i32.store (i32.const 36) (i32.const 1))
    (drop (call $write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 16) (i32.const 1024))
    (loop $more
      (i32.store (i32.const 20) (i32.const 256))
      (drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 8)))
      (i32.store (i32.const 20) (i32.load (i32.const 8)))
      (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))
      (br_if $more (i32.load (i32.const 20))))))"""

# Opens a path below the first preopen (descriptor {fd}) and copies it to stdout; exits with the errno of the open.
SHOW = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (data (i32.const 512) "{path}")
  (func (export "_start") (local $errno i32)
    (local.set $errno (call $open (i32.const {fd}) (i32.const 0) (i32.const 512) (i32.const {length})
      (i32.const {flags}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 8)))
    (if (local.get $errno) (then (call $exit (local.get $errno))))
    (i32.store (i32.const 16) (i32.const 1024)) (i32.store (i32.const 20) (i32.const 4096))
    (drop (call $read (i32.load (i32.const 8)) (i32.const 16) (i32.const 1) (i32.const 12)))
    (i32.store (i32.const 20) (i32.load (i32.const 12)))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 12)))))"""

READ, WRITE = 2, 64  # __WASI_RIGHTS_FD_READ, __WASI_RIGHTS_FD_WRITE
CREATE = 1  # __WASI_OFLAGS_CREAT


def show(engine: str, path: str, flags: int = 0, rights: int = READ) -> str:
    first = 4 if engine == "wasmer" else 3  # wasmer puts a root directory of its own, an empty one, before the others
    return SHOW.format(path=path, length=len(path), flags=flags, rights=rights, fd=first)


def body(text: str, more: str = "") -> str:
    return BODY.format(body=text, more=more)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    try:
        make(name).probe()
    except Error as error:
        pytest.skip(f"{name} cannot run here: {error}")
    return name


def program(engine: str, wat: str) -> bytes:
    """The text as this engine takes it; what is no module stays as it is."""
    text = wat.encode()
    if "wat" in make(engine).abilities().kinds:
        return text
    wasmtime = pytest.importorskip("wasmtime", reason="wasmtime, which translates the tests' text, is not installed")
    try:
        return bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError:
        return text


class Guest:
    def __init__(self, engine: str, directory: Path) -> None:
        self.engine = engine
        self.file = directory / "module.wat"

    def command(self, wat: str, argv: "tuple[str, ...]" = ("guest",), options: "tuple[str, ...]" = ()) -> "list[str]":
        self.file.write_bytes(program(self.engine, wat))
        return [sys.executable, str(HERE / "runner.py"), *options, self.engine, str(self.file), "--", *argv]

    def run(
        self, wat: str, *options: str, argv: "tuple[str, ...]" = ("guest",), stdin: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        command = self.command(wat, argv, options)
        return subprocess.run(command, input=stdin, capture_output=True, timeout=60, env=environment())


def environment() -> "dict[str, str]":
    """The caller's environment: a guest must see none of it."""
    libraries = os.environ.get(SETTING.decode(), "")
    path = os.pathsep.join(path for path in sys.path if path)
    return {"PYTHONPATH": path, "SECRET": "of the caller", SETTING.decode(): libraries}


@pytest.fixture
def guest(engine: str, tmp_path: Path) -> Guest:
    return Guest(engine, tmp_path)


@pytest.mark.parametrize("status", [0, 1, 2, 125, 126, 127, 137, 255])
def test_proc_exit_is_the_exit_status(guest: Guest, status: int) -> None:
    done = guest.run(EXIT.format(wasi="wasi_snapshot_preview1", status=status))
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")


@pytest.mark.parametrize(("status", "expected"), [(256, 0), (300, 44), (-1, 255)])
def test_a_larger_status_is_cut_as_the_kernel_does(guest: Guest, status: int, expected: int) -> None:
    assert guest.run(EXIT.format(wasi="wasi_snapshot_preview1", status=status)).returncode == expected


def test_the_older_name_of_wasi(guest: Guest) -> None:
    if guest.engine == "wasmedge":
        pytest.skip("WasmEdge has no wasi_unstable")
    assert guest.run(EXIT.format(wasi="wasi_unstable", status=200)).returncode == 200


def test_returning_from_start_is_success(guest: Guest) -> None:
    assert guest.run(body("nop")).returncode == 0


def test_a_start_section_runs_and_may_exit(guest: Guest) -> None:
    wat = EXIT.format(wasi="wasi_snapshot_preview1", status=7).replace('(func (export "_start")', "(func $begin")
    wat = wat[:-1] + '(start $begin) (func (export "_start")))'
    assert guest.run(wat).returncode == 7


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("unreachable", "", b"unreachable"),
        ("(drop (i32.load (i32.const 99999999)))", "", b"out of bounds memory access"),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "", b"integer di"),
        (DEEP, "", b"stack"),
        ("(call_indirect (i32.const 0))", "(table 1 funcref)", b"element"),
    ],
)
def test_a_trap_is_134_with_its_kind_first(guest: Guest, text: str, more: str, words: bytes) -> None:
    if guest.engine == "wasmedge" and text == DEEP:
        assert guest.run(body(text, more)).returncode == -signal.SIGSEGV & 0xFF  # as the runner hands it on
        pytest.skip("WasmEdge's compiled code has no check of the stack: the kernel's signal ends it")
    done = guest.run(body(text, more))
    assert done.returncode == 134
    first, *frames = done.stderr.splitlines()
    assert first.startswith(b"wasm trap: ")
    assert words in first
    assert all(line.startswith(b"    at ") for line in frames)


def test_arguments_arrive_one_by_one(guest: Guest) -> None:
    done = guest.run(STRINGS.format(what="args"), argv=("/hello.wasm", "two words", "", "käse"))
    assert done.stdout == "/hello.wasm\0two words\0\0käse\0".encode()


def test_the_environment_is_exactly_the_given_one(guest: Guest) -> None:
    done = guest.run(STRINGS.format(what="environ"), "--env=A=1", "--env=EMPTY=", "--env=WITH=a=b")
    assert sorted(done.stdout.split(b"\0")) == [b"", b"A=1", b"EMPTY=", b"WITH=a=b"]


def test_an_empty_environment_stays_empty(guest: Guest) -> None:
    assert guest.run(STRINGS.format(what="environ")).stdout == b""


def test_stdin_stdout_and_stderr_are_the_callers(guest: Guest) -> None:
    text = os.urandom(100_000)
    done = guest.run(CAT, stdin=text)
    assert done.returncode == 0
    assert done.stdout == text
    assert done.stderr == b"!"


def test_a_file_below_a_preopen(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/note.txt").write_text("seen")
    done = guest.run(show(guest.engine, "note.txt"), f"--preopen={tmp_path}/root:/")
    assert (done.returncode, done.stdout) == (0, b"seen")


def test_a_file_can_be_made_below_a_preopen(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    done = guest.run(show(guest.engine, "new", CREATE, READ | WRITE), f"--preopen={tmp_path}/root:/")
    assert done.returncode == 0
    assert (tmp_path / "root/new").exists()


def test_no_way_out_of_a_preopen(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_text("hidden")
    (tmp_path / "root/link").symlink_to("../secret")
    links = () if guest.engine == "wasmer" else ("link",)  # follows them, see wasmer.py: the container's root holds
    for path in ("../secret", "root/../../secret", *links):
        done = guest.run(show(guest.engine, path), f"--preopen={tmp_path}/root:/")
        assert done.returncode not in (0, 134), path
        assert b"hidden" not in done.stdout


def test_without_preopen_there_is_no_file(guest: Guest) -> None:
    badf = 8
    assert guest.run(show(guest.engine, "etc/passwd")).returncode == badf


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot(2) needs root")
def test_nothing_is_opened_or_imported_after_the_root_changed(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/note.txt").write_text("inside")
    options = (f"--chroot={tmp_path}/root", "--preopen=/:/")
    done = guest.run(show(guest.engine, "note.txt"), *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"inside", b"")
    assert guest.run(body("unreachable"), *options).stderr.startswith(b"wasm trap: unreachable\n")


def test_a_preopen_that_is_not_there_is_told(guest: Guest, tmp_path: Path) -> None:
    done = guest.run(show(guest.engine, "x"), f"--preopen={tmp_path}/nowhere:/")
    assert done.returncode == 134
    assert b"nowhere" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("wat", "words"),
    [
        ("(module", "not|WAT text"),
        ('(module (func (export "_start") (i32.add)))', "type mismatch|values remaining|operand"),
        ('(module (func (export "other")))', "exports no function _start|exports no _start"),
    ],
)
def test_a_bad_module_is_refused_before_the_container_is_made(guest: Guest, wat: str, words: str) -> None:
    done = guest.run(wat)
    text = done.stderr.decode()
    assert done.returncode == 1
    assert text.startswith("refused: ")
    assert any(word in text for word in words.split("|")), text
    assert text.count("\n") == 1


def test_an_unknown_import_is_named(guest: Guest) -> None:
    done = guest.run('(module (import "env" "missing" (func)) (memory (export "memory") 1) (func (export "_start")))')
    assert done.returncode in (1, 134)
    assert b"missing" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_small_address_space(engine: str, guest: Guest) -> None:
    if "address_space" not in make(engine).abilities().limits:
        pytest.skip(f"{engine} always reserves more for a memory")
    done = guest.run(EXIT.format(wasi="wasi_snapshot_preview1", status=3), f"--rlimit-as={1 << 30}")
    assert done.returncode == 3, done.stderr


LOOP = body("(loop $again (br $again))")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_a_signal_ends_a_loop(guest: Guest, number: signal.Signals) -> None:
    with subprocess.Popen(guest.command(LOOP, options=("--in-place",)), env=environment()) as process:
        wait_until_busy(process.pid)
        sent = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 128 + number
        assert time.monotonic() - sent < 2


def test_a_signal_ends_a_guest_that_waits_for_input(guest: Guest) -> None:
    command = guest.command(CAT, options=("--in-place",))
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), **streams) as process:
        assert process.stderr is not None
        assert process.stderr.read(1) == b"!"
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")
def test_sigterm_ends_a_loop_that_is_pid_1(guest: Guest) -> None:
    command = ["unshare", "--pid", "--fork", "--kill-child", *guest.command(LOOP, options=("--in-place",))]
    with subprocess.Popen(command, env={**environment(), "PATH": os.environ["PATH"]}) as process:
        child = wait_for_child(process.pid)
        wait_until_busy(child)
        os.kill(child, signal.SIGTERM)
        assert process.wait(10) == 143


def wait_for_child(pid: int) -> int:
    for _ in range(1000):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    pytest.fail("unshare started nothing")


def wait_until_busy(pid: int) -> None:
    """Wait until the process catches SIGTERM and has used the CPU for a while since, as a looping guest does."""
    for _ in range(2000):
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            time.sleep(0.3)
            return
        time.sleep(0.01)
    pytest.fail("the guest never came to run")
