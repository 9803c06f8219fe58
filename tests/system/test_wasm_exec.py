"""`exec` of modules: into Wasm containers and native ones, as confined as the container, by the engine it names."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, new_id, wait_until
from tests.system.test_process import Listener, _read_all
from tests.system.wasm import Alive, Make, Wasm, put, wait_for_end, wait_until_busy
from tests.system.wat import CREATE, READ, WRITE, Program

LINES = ("NoNewPrivs", "Seccomp", "CapEff", "CapBnd", "Uid", "Gid")


@pytest.fixture(params=["wasm", "native"])
def name(request: pytest.FixtureRequest, wasm: Wasm, make: Make, alive: Alive) -> str:
    """A running container that holds /other.wasm; its own program is a module or a native one."""
    if request.param == "wasm":
        return alive(holding(wasm(Program().loop()), wasm))
    bundle = holding(make("sleep", "60"), wasm)
    bundle.config["annotations"] = {"run.oci.handler": f"{wasm.engine}-smart"}
    return alive(bundle, busy=False)


FUNCTIONS = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (func (export "first") (call $exit (i32.const 11)))
  (func (export "second") (call $exit (i32.const 22))))"""
Detached = Callable[..., int]


@pytest.fixture
def detached(rt: Runtime, name: str) -> "Iterator[Detached]":
    """Starts a command in the background and returns its pid.

    It becomes our child; the container's pid namespace does not end before we have reaped it.
    """
    pids: "list[int]" = []

    def start(*arguments: str) -> int:
        file = rt.folder / new_id()
        assert rt("exec", "--detach", "--pid-file", file, *arguments).rc == 0
        pids.append(int(file.read_text()))
        return pids[-1]

    yield start
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def holding(bundle: Bundle, wasm: Wasm) -> Bundle:
    """What the tests run."""
    put(bundle, "args.wasm", Program().strings("args"), wasm.engine)
    put(bundle, "env.wasm", Program().strings("environ"), wasm.engine)
    put(bundle, "exit.wasm", Program().exit(42), wasm.engine)
    put(bundle, "functions.wasm", FUNCTIONS, wasm.engine)
    put(bundle, "trap.wasm", Program().do("unreachable"), wasm.engine)
    put(bundle, "loop.wasm", Program().loop(), wasm.engine)
    put(bundle, "status.wasm", Program().cat("proc/self/status"), wasm.engine)
    put(bundle, "host.wasm", Program().cat("proc/sys/kernel/hostname").cat("proc/self/cgroup"), wasm.engine)
    put(bundle, "not.wasm", b"neither binary nor text", wasm.engine)
    put(bundle, "cut.wasm", b"\0asm\1\0\0\0\1", wasm.engine)
    reader = Program().print("name? ")
    put(bundle, "read.wasm", reader.drop(reader.read(0)).print("hello ").show(), wasm.engine)
    writer = Program()
    put(bundle, "write.wasm", writer.drop(writer.open(0, "tmp/made", CREATE, READ | WRITE)), wasm.engine)
    return bundle


def fields(text: str) -> "dict[str, str]":
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key: lines[key].strip() for key in LINES}


def test_arguments_and_environment(rt: Runtime, name: str) -> None:
    assert rt("exec", name, "/args.wasm", "two words", "").out == "/args.wasm\0two words\0\0"
    result = rt("exec", "--env", "A=b c", "--cwd", "/tmp", name, "/env.wasm")
    found = dict(entry.split("=", 1) for entry in result.out.rstrip("\0").split("\0"))
    assert (found["A"], found["PWD"], found["TERM"]) == ("b c", "/tmp", "xterm")


def test_exit_statuses_and_traps(rt: Runtime, name: str) -> None:
    assert rt("exec", name, "/exit.wasm").rc == 42
    result = rt("exec", name, "/trap.wasm")
    assert (result.rc, result.err.splitlines()[0]) == (134, "wasm trap: unreachable")


def test_a_function_of_a_module(rt: Runtime, name: str) -> None:
    assert rt("exec", name, "/exit.wasm#_start").rc == 42
    assert rt("exec", name, "/functions.wasm#second").rc == 22
    result = rt("exec", name, "/functions.wasm#third")
    assert (result.rc, len(result.err.splitlines())) == (255, 1)
    assert "first, second" in result.err


def test_found_in_the_working_directory(rt: Runtime, name: str) -> None:
    assert rt("exec", name, "exit.wasm").rc == 42
    assert rt("exec", name, "./exit.wasm").rc == 42


def test_standard_streams(rt: Runtime, name: str, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("ada")
    with (tmp_path / "input").open() as file:
        assert rt("exec", name, "/read.wasm", stdin=file).out == "name? hello ada"


def test_it_is_inside(rt: Runtime, name: str, detached: Detached) -> None:
    """The namespaces and the cgroup are the container's."""
    out = rt("exec", name, "/host.wasm").out.splitlines()
    init = Path(f"/proc/{rt.state(name)['pid']}/cgroup").read_text().splitlines()
    assert out[0] == "inside"
    assert out[-1].startswith("0::/")
    pid = detached(name, "/loop.wasm")
    assert Path(f"/proc/{pid}/cgroup").read_text().splitlines() == init
    for kind in ("pid", "net", "ipc", "uts", "mnt"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/{rt.state(name)['pid']}/ns/{kind}")


def test_detached_and_killed(rt: Runtime, name: str, detached: Detached) -> None:
    pid = detached(name, "/loop.wasm")
    wait_until_busy(pid)
    assert str(pid) in rt("ps", name).out
    os.kill(pid, 15)
    wait_for_end(pid, 2)
    assert rt.status(name) == "running"


@pytest.mark.parametrize(("number", "code"), [(15, 143), (2, 130), (9, 137)])
def test_a_signal_is_passed_on(rt: Runtime, name: str, number: int, code: int) -> None:
    file = rt.folder / "pid"
    process, _ = rt.popen("exec", "--pid-file", file, name, "/loop.wasm")
    wait_until(lambda: file.exists() and file.read_text() != "", "it runs")
    wait_until_busy(int(file.read_text()))
    sent = time.monotonic()
    os.kill(int(file.read_text()) if number == 9 else process.pid, number)
    assert process.wait(10) == code
    assert time.monotonic() - sent < 2


def test_a_terminal(name: str, tmp_path: Path, detached: Detached) -> None:
    listener = Listener(tmp_path / "socket")
    detached("--tty", "--console-socket", str(listener.path), name, "/read.wasm")
    _, master = listener.receive()
    listener.socket.close()
    os.write(master, b"ada\n")
    assert b"hello ada" in _read_all(master)
    os.close(master)


def test_as_confined_as_a_modules_own_container(rt: Runtime, wasm: Wasm, alive: Alive) -> None:
    bundle = holding(wasm(Program().cat("proc/self/status").loop()), wasm)
    name = new_id()
    result = rt.run(bundle, "--detach", id=name)
    assert result.rc == 0
    wait_until(lambda: "Seccomp_filters" in result.out, "it has told")
    mine, its = fields(rt("exec", name, "/status.wasm").out), fields(result.out)
    rt("delete", "--force", name)
    assert mine == its
    assert (mine["NoNewPrivs"], mine["Seccomp"]) == ("1", "2")


def test_confined_in_a_native_container(rt: Runtime, name: str) -> None:
    found = fields(rt("exec", "--user", "1000:1001", name, "/status.wasm").out)
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert (found["Uid"].split()[0], found["Gid"].split()[0]) == ("1000", "1001")
    assert int(found["CapEff"], 16) & ~(1 << 29 | 1 << 5 | 1 << 10) == 0


def test_native_programs_go_on(rt: Runtime, name: str) -> None:
    """And are filtered no more than before."""
    result = rt("exec", name, "sh", "-c", "grep Seccomp: /proc/self/status; id -u; exit 3")
    assert (result.rc, result.out) == (3, "Seccomp:\t0\n0\n")


def test_an_annotation_does_not_make_native_programs_modules(rt: Runtime, wasm: Wasm, alive: Alive) -> None:
    bundle = wasm(Program().loop())
    bundle.config["annotations"] = {"run.oci.handler": wasm.engine}
    assert rt("exec", alive(bundle), "sh", "-c", "exit 3").rc == 3


def test_the_containers_own_profile_and_no_other(rt: Runtime, wasm: Wasm, alive: Alive) -> None:
    bundle = holding(wasm(Program().loop()), wasm)
    rules = [{"names": ["mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
    maker = Program()
    put(bundle, "mkdir.wasm", maker.say("mkdir", maker.path("path_create_directory", "tmp/x")), wasm.engine)
    result = rt("exec", alive(bundle), "/mkdir.wasm")
    assert result.rc == 0
    assert result.out.strip() != "mkdir 0"
    assert not (bundle.rootfs / "tmp/x").exists()


@pytest.mark.parametrize(("program", "words"), [("/not.wasm", "permission denied"), ("/cut.wasm", "not a valid"),
                                                ("/gone.wasm", "no such file")])  # fmt: skip
def test_errors_are_one_line(rt: Runtime, name: str, program: str, words: str) -> None:
    result = rt("exec", name, program)
    assert result.rc == 255
    assert words in result.err, result
    assert len(result.err.splitlines()) == 1
    assert "Traceback" not in result.err


def test_files_are_the_users(rt: Runtime, name: str) -> None:
    assert rt("exec", name, "/write.wasm").rc == 0
    made = Path(rt.state(name)["rootfs"]) / "tmp/made"
    assert made.stat().st_uid == 0


def test_a_user_namespace(rt: Runtime, wasm: Wasm, alive: Alive) -> None:
    bundle = holding(wasm(Program().loop()), wasm).user_namespace()
    name = alive(bundle)
    assert rt("exec", name, "/write.wasm").rc == 0
    assert (bundle.rootfs / "tmp/made").stat().st_uid == 100000


def test_into_a_created_container(rt: Runtime, wasm: Wasm) -> None:
    name = new_id()
    assert rt.create(holding(wasm(Program().loop()), wasm), id=name).rc == 0
    assert rt("exec", name, "/exit.wasm").rc == 42
    assert rt("delete", "--force", name).rc == 0


def test_a_fifo_and_a_link_out_of_the_root(rt: Runtime, wasm: Wasm, alive: Alive) -> None:
    """What is looked for is a regular file below the container's root."""
    bundle = wasm(Program().loop())
    os.mkfifo(bundle.rootfs / "fifo.wasm")
    (bundle.path / "outside.wasm").write_text(Program().exit(42).text())
    (bundle.rootfs / "link.wasm").symlink_to(bundle.path / "outside.wasm")
    (bundle.rootfs / "up.wasm").symlink_to("../outside.wasm")
    name = alive(bundle)
    for program in ("/fifo.wasm", "/link.wasm", "/up.wasm", "/../outside.wasm"):
        assert rt("exec", name, program, timeout=10).rc == 255, program
