"""Guests that try to get out, to use up the host, or to crash what runs them; and five hundred broken modules.

PYRUNTIME_MODULES=500 is the whole campaign; without it a sample is run. PYRUNTIME_SEED makes other modules.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.system import mutants
from tests.system.harness import Bundle, Result, Runtime, new_id
from tests.system.wasm import Wasm
from tests.system.wat import BADF, CREATE, DIRECTORY, READ, ROOT, WRITE, Program, told

COUNT = int(os.environ.get("PYRUNTIME_MODULES", "24"))
SEED = int(os.environ.get("PYRUNTIME_SEED", "1"))
SECRET = "what only the host knows"
TRAPPED = 134
CRASHES = (132, 135, 136, 139, 159)  # SIGILL, SIGBUS, SIGFPE, SIGSEGV, SIGSYS; a guest may exit with any other status


def bounded(bundle: Bundle, seconds: int = 3, memory: str = "64MiB") -> Bundle:
    """The limits under which a stranger's module would be run."""
    bundle.config["annotations"].update({"pyruntime.wasm.timeout": str(seconds), "pyruntime.wasm.memory": memory})
    bundle.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "hard": 256, "soft": 256}, {"type": "RLIMIT_FSIZE", "hard": 1 << 20, "soft": 1 << 20},
        {"type": "RLIMIT_CORE", "hard": 0, "soft": 0},
    ]  # fmt: skip
    (bundle.path / "secret").write_text(SECRET)
    return bundle


def harmless(result: Result) -> Result:
    """It ended as a program ends, told in a line or as a trap, and nobody's traceback is seen."""
    for words in ("Traceback", "internal error", "panicked", SECRET):
        assert words not in result.err + result.out, result
    if result.rc == 1:
        assert len(result.err.splitlines()) <= 1, result
    elif result.rc == TRAPPED:
        assert result.err.startswith("wasm"), result
        assert all(line.startswith("    at ") for line in result.err.splitlines()[1:]), result
    else:
        assert result.rc not in CRASHES, result
    return result


# Ways out

CLIMBS = (
    "../secret", "../../secret", "tmp/../../secret", "./../secret", "/../secret", "..", "../", "tmp/../../../secret",
    "//../secret", "tmp/./../../secret", "link", "deep/link", "proc/self/root/../secret", "proc/1/root/../secret",
    "proc/self/cwd/../secret", "proc/self/fd/3/../secret",
)  # fmt: skip


def test_no_path_leads_out(rt: Runtime, wasm: Wasm) -> None:
    program = Program()
    for path in CLIMBS:
        program.cat(path)
    program.drop(program.symlink("../secret", "made")).cat("made")
    program.drop(program.symlink("../../secret", "tmp/made")).cat("tmp/made")
    program.drop(program.link("../secret", "tmp/hard")).cat("tmp/hard").drop(program.rename("../secret", "tmp/moved"))
    bundle = bounded(wasm(program), 20)
    (bundle.rootfs / "link").symlink_to(bundle.path / "secret")
    (bundle.rootfs / "deep").mkdir()
    (bundle.rootfs / "deep/link").symlink_to("../../secret")
    result = harmless(rt.run(bundle))
    assert result.rc == 0
    assert (bundle.path / "secret").read_text() == SECRET
    assert (bundle.path / "secret").stat().st_nlink == 1


def test_nothing_is_made_outside(rt: Runtime, wasm: Wasm) -> None:
    program = Program()
    program.say("create", program.open(0, "../made", CREATE, WRITE))
    program.say("mkdir", program.path("path_create_directory", "../folder"))
    program.say("symlink", program.symlink("x", "../link")).say("rename", program.rename("etc/group", "../group"))
    program.say("link", program.link("etc/group", "../group")).say(
        "unlink", program.path("path_unlink_file", "../secret")
    )
    bundle = bounded(wasm(program), 20).write()
    before = sorted(os.listdir(bundle.path))
    assert set(told(harmless(rt.run(bundle)).out)) == {"create", "mkdir", "symlink", "rename", "link", "unlink"}
    assert sorted(os.listdir(bundle.path)) == before


def test_what_was_opened_and_then_moved(rt: Runtime, wasm: Wasm) -> None:
    """A folder's descriptor leads no further up once the folder lies elsewhere."""
    program = Program()
    program.drop(program.path("path_create_directory", "tmp/a")).drop(program.path("path_create_directory", "tmp/a/b"))
    program.drop(program.open(0, "tmp/a/b", DIRECTORY)).drop(program.rename("tmp/a/b", "b"))
    up = program.string("../../secret")
    program.say("open", program.call("path_open", program.slot(0), 1, *up, 0, READ, 0, 0, 1100))
    assert told(harmless(rt.run(bounded(wasm(program), 20))).out)["open"] != 0


# Descriptors


def test_renumbering(rt: Runtime, wasm: Wasm) -> None:
    """Onto numbers that are closed, far away, the root's own; and use of what was renamed."""
    program = Program()
    program.drop(program.open(0, "etc/group"))
    for number in (77, 100000, 0x7FFFFFFF, -1):
        program.say(f"to {number & 0xFFFFFFFF}", program.call("fd_renumber", program.slot(0), number))
    program.say("close", program.call("fd_close", program.slot(0)))
    program.say("closed", program.call("fd_renumber", program.slot(0), 5))
    program.say("twice", program.call("fd_close", program.slot(0)))
    program.say("itself", program.call("fd_renumber", ROOT, ROOT)).say("root", program.call("fd_renumber", ROOT, 2))
    program.say("gone", program.open(1, "etc/group"))
    result = harmless(rt.run(bounded(wasm(program), 20)))
    found = told(result.out)
    assert found["closed"] != 0
    assert found["twice"] != 0
    assert found["gone"] in (BADF, 0)


def many(count: int, path: str = "etc/group", flags: int = 0) -> Program:
    """Open `count` times without closing, go on after errors, and tell how often it went well."""
    program = Program(more="(global $good (mut i32) (i32.const 0))")
    program.do(f"(loop $more (if (i32.eqz {program.open(0, path, flags)})")
    program.do("(then (global.set $good (i32.add (global.get $good) (i32.const 1)))))")
    program.do("(local.set $i (i32.add (local.get $i) (i32.const 1)))")
    program.do(f"(br_if $more (i32.lt_u (local.get $i) (i32.const {count}))))")
    return program.say("opened", "(global.get $good)")


@pytest.mark.parametrize(("path", "flags"), [("etc/group", 0), ("tmp", DIRECTORY)])
def test_a_million_handles(rt: Runtime, wasm: Wasm, path: str, flags: int) -> None:
    """Only as many as RLIMIT_NOFILE allows; the time limit ends the rest."""
    result = harmless(rt.run(bounded(wasm(many(1_000_000, path, flags)), 4), timeout=60))
    assert result.rc == TRAPPED or told(result.out)["opened"] < 256


# Memory, stack, time


def test_growth_to_4_gib(rt: Runtime, wasm: Wasm) -> None:
    program = Program()
    for pages in (65535, 65536, 32768, 2000):
        program.say(f"{pages}", f"(i32.lt_s (memory.grow (i32.const {pages})) (i32.const 0))")
    program.say("some", "(i32.lt_s (memory.grow (i32.const 16)) (i32.const 0))")
    found = told(harmless(rt.run(bounded(wasm(program), 20))).out)
    assert found == {"65535": 1, "65536": 1, "32768": 1, "2000": 1, "some": 0}


MODULES = {
    "memory that begins with 4 GiB": '(module (memory (export "memory") 65536) (func (export "_start")))',
    "a table of 2^32 - 1": '(module (table 0xffffffff funcref) (func (export "_start")))',
    "a table that grows": """(module (table 1 funcref) (func (export "_start") (loop $more
        (br_if $more (i32.ge_s (table.grow (ref.null func) (i32.const 1000000)) (i32.const 0))))))""",
    "no end of calls": '(module (func $a (call $b)) (func $b (call $a)) (func (export "_start") (call $a)))',
    "calls through a table": """(module (type $t (func)) (table 1 funcref) (elem (i32.const 0) $again)
        (func $again (call_indirect (type $t) (i32.const 0))) (func (export "_start") (call $again)))""",
    "large frames": f"""(module (func $deep (local {"i64 " * 5000}) (call $deep))
        (func (export "_start") (call $deep)))""",
    "a start that loops": '(module (func $s (loop (br 0))) (start $s) (func (export "_start")))',
    "a start that traps": '(module (func $s unreachable) (start $s) (func (export "_start")))',
    "nothing exported": "(module)",
    "_start with parameters": '(module (func (export "_start") (param i32)))',
    "_start that is a memory": '(module (memory (export "_start") 1))',
    "an import nobody has": '(module (import "env" "system" (func (param i32))) (func (export "_start")))',
    "no memory to speak of": """(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 9) (i32.const 0)))))""",
    "deep nesting": f'(module (func (export "_start") {"(block " * 20000} {")" * 20000}))',
    "many functions": f'(module {"(func) " * 50000} (func (export "_start")))',
    "many locals": f'(module (func (export "_start") (local {"i32 " * 49999})))',
    "a long name": f'(module (func (export "_start")) (func (export "{"n" * 90000}")))',
}


@pytest.mark.parametrize("name", MODULES)
def test_excessive_modules(rt: Runtime, wasm: Wasm, name: str) -> None:
    result = harmless(rt.run(bounded(wasm(MODULES[name]), 3), timeout=60))
    assert result.rc in (0, 1, TRAPPED)
    assert len(result.err) < 8192


@pytest.mark.parametrize("kind", ["compute", "host calls", "sleep"])
def test_no_end(rt: Runtime, wasm: Wasm, kind: str) -> None:
    """The time limit ends what never ends, wherever it is."""
    program = Program()
    calls = {"compute": "", "host calls": program.call("sched_yield"), "sleep": _sleep(program)}[kind]
    program.do(f"(loop $again {f'(drop {calls})' if calls else ''} (br $again))")
    result = harmless(rt.run(bounded(wasm(program), 1), timeout=30))
    assert result.rc == TRAPPED
    assert result.seconds < 15


def _sleep(program: Program) -> str:
    """poll_oneoff of a clock in an hour."""
    program.do("(i32.store (i32.const 2064) (i32.const 1)) (i64.store (i32.const 2072) (i64.const 3600000000000))")
    return program.call("poll_oneoff", 2048, 3072, 1, 64)


@pytest.mark.parametrize("reader", ["nobody", "gone"])
def test_endless_output(rt: Runtime, wasm: Wasm, reader: str) -> None:
    """Into a pipe that is full, or whose other end is closed: little memory, and an end."""
    program = Program().do("(loop $again").print("y" * 4096).do("(br $again))")
    read_end, write_end = os.pipe()
    if reader == "gone":
        os.close(read_end)
    name = new_id()
    process, base = rt.popen("run", "--bundle", bounded(wasm(program), 4).write().path, name, stdout=write_end)
    os.close(write_end)
    peak = 0
    while process.poll() is None:
        state = rt.state(name)
        if state.get("pid"):
            peak = max(peak, _peak(state["pid"]))
    if reader == "nobody":
        os.close(read_end)
    assert peak < 400 << 20
    assert "Traceback" not in base.with_suffix(".err").read_text()
    assert process.returncode != 0


def _peak(pid: int) -> int:
    """The largest resident memory of a process so far, in bytes; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)


HUGE: "tuple[tuple[str | int, ...], ...]" = (  # the function and its arguments
    ("fd_write", 1, 16, -1, 64), ("fd_read", 0, 16, -1, 64), ("fd_write", 1, 16, 1, 64), ("fd_read", 0, 16, 1, 64),
    ("fd_write", 1, -8, 1, 64), ("random_get", 65536, -1), ("random_get", -16, 64),
    ("poll_oneoff", 2048, 3072, 0x7FFFFFF, 64), ("poll_oneoff", 2048, 3072, -1, 64),
    ("fd_readdir", ROOT, 65536, -1, 0, 64), ("args_get", -4, -4), ("environ_get", -4, -4),
    ("path_open", ROOT, 0, 4096, -1, 0, READ, 0, 0, 64), ("path_open", ROOT, 0, 4096, 0x7FFFFFFF, 0, READ, 0, 0, 64),
    ("path_readlink", ROOT, 4096, 3, 65536, -1, 64), ("path_symlink", 4096, -1, ROOT, 4096, -1),
    ("fd_pread", 0, 16, 0xFFFFFFF, 0, 64), ("fd_allocate", ROOT, 0, -1), ("fd_prestat_dir_name", ROOT, 65536, -1),
    ("clock_time_get", -1, 0, 64), ("fd_seek", 1, -1, -1, 64), ("fd_advise", ROOT, -1, -1, 99),
)  # fmt: skip


def test_huge_buffers(rt: Runtime, wasm: Wasm) -> None:
    """Sizes and counts beyond memory in every call that takes one; one guest for each, as a call may trap."""
    for name, *arguments in HUGE:
        program = Program()
        program.do("(i32.store (i32.const 16) (i32.const 65536)) (i32.store (i32.const 20) (i32.const -1))")
        program.say("errno", program.call(str(name), *arguments))
        result = harmless(rt.run(bounded(wasm(program)), timeout=30))
        assert result.rc in (0, TRAPPED), (name, arguments, result)


# Broken modules


def test_broken_modules(rt: Runtime, wasm: Wasm) -> None:
    """Every mutant is refused or runs, in one line or as a trap; nothing of the host is changed or told."""
    pytest.importorskip("wasmtime", reason="its WAT reader makes the binaries")
    ends: "Counter[str]" = Counter()
    for number, content in enumerate(mutants.mutants(COUNT, SEED)):
        ends[_ended(rt, wasm, content, f"mutant {number} of seed {SEED}")] += 1
    print(f"{wasm.engine}: {dict(ends)}", file=sys.stderr)
    assert ends["refused"] > 0


def _ended(rt: Runtime, wasm: Wasm, content: bytes, name: str) -> str:
    bundle = bounded(wasm(content)).write()
    before = {path.name: path.stat().st_mtime_ns for path in bundle.path.iterdir() if path.name != "rootfs"}
    result = rt("run", "--bundle", bundle.path, new_id(), timeout=60)
    try:
        harmless(result)
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}") from None
    assert {path.name: path.stat().st_mtime_ns for path in bundle.path.iterdir() if path.name != "rootfs"} == before
    return {1: "refused", TRAPPED: "trapped", 0: "ran"}.get(result.rc, f"status {result.rc}")


HEADER = b"\0asm\1\0\0\0"
SECTION = st.tuples(st.integers(0, 14), st.binary(max_size=40), st.integers(-2, 2)).map(
    lambda made: bytes([made[0], max(0, len(made[1]) + made[2])]) + made[1]
)
STRANGE = st.one_of(
    st.lists(SECTION, max_size=8).map(lambda sections: HEADER + b"".join(sections)),
    st.binary(max_size=200).map(lambda tail: b"\0asm" + tail),
    st.text("()module func$0 \"\\;", max_size=80).map(lambda text: b"(module " + text.encode()),
)  # fmt: skip


def test_strange_modules(rt: Runtime, wasm: Wasm) -> None:
    """Sections of any kind and length, and texts that begin as WAT."""

    @settings(
        max_examples=max(8, COUNT // 5), deadline=None, database=None, phases=[Phase.generate], derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(STRANGE)
    def every(content: bytes) -> None:
        _ended(rt, wasm, content, content.hex())

    every()
