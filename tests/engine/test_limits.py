# ruff: noqa: F811 - fixtures are imported by their names
"""What a guest may use, what it calls, and what is told of it when it goes wrong; for engines that can do it."""

import os
import signal
import subprocess
import time

import pytest

from pyruntime.engine.engines import make
from tests.engine.test_guests import CAT, LOOP, Guest, body, engine, environment, guest, wait_until_busy  # noqa: F401

GROW = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $exit (i32.and (i32.const 255) (memory.grow (i32.const {pages}))))))"""

MANY = """(module (memory (export "memory") 1) {more}
  (func (export "_start") unreachable)
  (func $inner (export "other") {body}) (func $outer (export "outer") (call $inner))
  (func (export "takes") (param i32)) (func (export "gives") (result i32 i64 f64) i32.const 7 i64.const 8 f64.const 9)
  (global (export "number") i32 (i32.const 1)))"""


def keeps(guest: Guest, name: str) -> None:
    if name not in make(guest.engine).limits:
        pytest.skip(f"{guest.engine} keeps no limit of {name}")


def test_fuel_runs_out(guest: Guest) -> None:
    keeps(guest, "fuel")
    done = guest.run(LOOP, "--fuel=100000")
    assert done.returncode == 134
    assert done.stderr.startswith(b"wasm trap: out of fuel\n")


def test_enough_fuel_changes_nothing(guest: Guest) -> None:
    keeps(guest, "fuel")
    assert guest.run(body("nop"), "--fuel=1000").returncode == 0


def test_time_runs_out(guest: Guest) -> None:
    keeps(guest, "seconds")
    began = time.monotonic()
    done = guest.run(LOOP, "--seconds=0.3")
    assert done.returncode == 134
    assert done.stderr.startswith(b"wasm trap: interrupted")
    assert 0.3 <= time.monotonic() - began < 20


def test_time_runs_out_while_it_waits_for_input(guest: Guest) -> None:
    keeps(guest, "seconds")
    reader, writer = os.pipe()
    command = guest.command(CAT, options=("--seconds=0.3",))
    done = subprocess.run(command, stdin=reader, capture_output=True, timeout=60, env=environment())
    os.close(reader)
    os.close(writer)
    assert done.returncode == 134
    assert b"wasm trap: interrupted" in done.stderr


def test_enough_time_changes_nothing(guest: Guest) -> None:
    keeps(guest, "seconds")
    assert guest.run(body("nop"), "--seconds=60").returncode == 0


def test_a_signal_ends_a_guest_with_a_time_limit(guest: Guest) -> None:
    keeps(guest, "seconds")
    command = guest.command(LOOP, options=("--in-place", "--seconds=60"))
    with subprocess.Popen(command, env=environment()) as process:
        wait_until_busy(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143


def test_a_signal_ends_a_guest_whose_time_is_longer_than_poll_can_wait(guest: Guest) -> None:
    """2147483 seconds are what poll(2) takes."""
    keeps(guest, "seconds")
    command = guest.command(LOOP, options=("--in-place", "--seconds=9999999"))
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE) as process:
        wait_until_busy(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize(("pages", "status"), [(15, 1), (16, 255), (60000, 255)])
def test_memory_grows_up_to_its_limit(guest: Guest, pages: int, status: int) -> None:
    keeps(guest, "memory")
    assert guest.run(GROW.format(pages=pages), f"--memory={16 << 16}").returncode == status


def test_memory_that_is_too_small_to_begin_with_is_told(guest: Guest) -> None:
    keeps(guest, "memory")
    done = guest.run('(module (memory (export "memory") 17) (func (export "_start")))', f"--memory={16 << 16}")
    assert done.returncode in (1, 134)  # some say so before the container is made
    assert b"memory" in done.stderr


def test_a_huge_table_is_refused(guest: Guest) -> None:
    keeps(guest, "memory")
    if guest.engine == "wasmedge":
        pytest.skip("WasmEdge bounds no tables: the container's memory does")
    grow = "(if (i32.ne (table.grow $t (ref.null func) (i32.const 50000000)) (i32.const -1)) (then unreachable))"
    assert guest.run(body(grow, "(table $t 1 funcref)")).returncode == 0


def test_a_function_by_its_name(guest: Guest) -> None:
    assert guest.run(MANY.format(body="nop", more=""), "--function=other").returncode == 0
    assert guest.run(MANY.format(body="nop", more="")).returncode == 134


def test_results_are_dropped(guest: Guest) -> None:
    assert guest.run(MANY.format(body="nop", more=""), "--function=gives").returncode == 0


@pytest.mark.parametrize(("function", "words"), [("takes", b"takes"), ("absent", b"absent"), ("number", b"number")])
def test_what_cannot_be_called_is_refused(guest: Guest, function: str, words: bytes) -> None:
    done = guest.run(MANY.format(body="nop", more=""), f"--function={function}")
    assert done.returncode == 1
    assert done.stderr.startswith(b"refused: ")
    assert words in done.stderr


def test_a_backtrace_names_functions_and_offsets(guest: Guest) -> None:
    if guest.engine != "wasmtime":
        pytest.skip(f"{guest.engine}: where a trap was is not asked for")
    done = guest.run(MANY.format(body="unreachable", more=""), "--function=outer")
    kind, inner, outer = done.stderr.decode().splitlines()
    assert kind == "wasm trap: unreachable"
    assert inner.startswith("    at inner (function 1, offset 0x")
    assert outer.startswith("    at outer (function 2, offset 0x")
    assert int(inner.rpartition("0x")[2].rstrip(")"), 16) < int(outer.rpartition("0x")[2].rstrip(")"), 16)


def test_names_of_functions_cannot_drive_a_terminal(guest: Guest) -> None:
    wat = r'(module (memory (export "memory") 1) (func $"a\1b[2J\0ab" (export "_start") unreachable))'
    done = guest.run(wat)
    assert done.returncode == 134
    assert b"\x1b" not in done.stderr
    assert all(line.startswith((b"wasm trap: ", b"    at ")) for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("gojs", b"GOOS=wasip1"),
        ("wasix_32v1", b"WASIX"),
        ("nobody", b"no engine here has"),
    ],
)
def test_imports_are_named_with_who_has_them(
    guest: Guest,
    module: str,
    words: bytes,
) -> None:
    if guest.engine != "wasmtime":
        pytest.skip(f"{guest.engine} has its own words")
    wat = f'(module (import "{module}" "one" (func)) (import "{module}" "two" (func)) (func (export "_start")))'
    done = guest.run(wat)
    assert done.returncode == 1
    assert f"it imports {module}.one and 1 more, which ".encode() in done.stderr
    assert words in done.stderr
