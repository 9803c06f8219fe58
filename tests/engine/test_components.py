"""Commands of WASI 0.2: what a component sees and what its end means."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyruntime.engine.engines import make
from pyruntime.errors import Error
from tests.engine import components

HERE = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def _engine() -> None:
    try:
        make("wasmtime").probe()
    except Error as error:
        pytest.skip(f"wasmtime cannot run here: {error}")


class Runner:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "component.wat"

    def command(self, text: "str | bytes", *options: str, argv: "tuple[str, ...]" = ("guest",)) -> "list[str]":
        self.file.write_bytes(text.encode() if isinstance(text, str) else text)
        return [sys.executable, str(HERE / "runner.py"), *options, "wasmtime", str(self.file), "--", *argv]

    def __call__(
        self, text: "str | bytes", *options: str, argv: "tuple[str, ...]" = ("guest",)
    ) -> "subprocess.CompletedProcess[bytes]":
        environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "SECRET": "of the caller"}
        command = self.command(text, *options, argv=argv)
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, env=environment)


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize(("result", "status"), [(0, 0), (1, 1)])
def test_the_result_of_run_is_the_exit_status(run: Runner, result: int, status: int) -> None:
    done = run(components.command(f"(i32.const {result})"))
    assert (done.returncode, done.stderr) == (status, b"")


@pytest.mark.parametrize("version", ["0.2.0", "0.2.3", "0.2.6", "0.2.99"])
def test_every_release_of_0_2_is_the_same_level(run: Runner, version: str) -> None:
    assert run(components.exiting("exit-with-code", 7, version)).returncode == 7


@pytest.mark.parametrize("status", [0, 1, 3, 125, 126, 137, 255])
def test_exit_with_code_is_the_exit_status(run: Runner, status: int) -> None:
    done = run(components.exiting("exit-with-code", status))
    assert (done.returncode, done.stderr) == (status, b"")


@pytest.mark.parametrize("status", [0, 1])
def test_exit(run: Runner, status: int) -> None:
    done = run(components.exiting("exit", status))
    assert (done.returncode, done.stderr) == (status, b"")


def test_arguments_and_environment_are_those_given_and_no_others(run: Runner) -> None:
    done = run(components.ARGUMENTS, "--env", "A=b=c", "--env", "EMPTY=", argv=("guest", "one", "zwei Wörter"))
    assert done.stdout.decode().split("\n") == ["guest", "one", "zwei Wörter", "A", "b=c", "EMPTY", "", ""]
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("network", [(), ("--network", "all")])
def test_a_command_that_imports_sockets_gets_the_same_with_and_without_the_network(
    run: Runner, network: "tuple[str, ...]"
) -> None:
    """With it, the world is ours and not the library's."""
    text = components.ARGUMENTS.replace("(component\n", f"(component {components.NETWORKED}\n", 1)
    done = run(text, "--env", "A=b", *network, argv=("guest", "two words"))
    assert (done.returncode, done.stdout.decode().split("\n")) == (0, ["guest", "two words", "A", "b", ""])
    assert (
        run(
            components.exiting("exit-with-code", 9).replace("(component\n", f"(component {components.NETWORKED}\n", 1),
            *network,
        ).returncode
        == 9
    )


@pytest.mark.parametrize("network", [(), ("--network", "all")])
def test_waiting_for_several_things_at_once(run: Runner, network: "tuple[str, ...]") -> None:
    done = run(components.POLL, *network)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ready\n", b"")


def test_a_trap_names_its_kind_and_where_it_was(run: Runner) -> None:
    done = run(components.command("(unreachable)"))
    first, second = done.stderr.decode().splitlines()
    assert done.returncode == 134
    assert first == "wasm trap: unreachable"
    assert second.startswith("    at <no name> (function 0, offset 0x")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("(i32.div_u (i32.const 1) (i32.const 0))", "integer division by zero"),
        ("(i32.trunc_f32_u (f32.const -5))", "integer overflow"),
        ("(drop (i32.load (i32.const 0))) (i32.const 0)", "out of bounds memory access"),
    ],
)
def test_kinds_of_traps_are_called_as_those_of_modules(run: Runner, body: str, kind: str) -> None:
    text = components.command(body).replace('(func (export "run")', '(memory 0) (func (export "run")')
    assert run(text).stderr.decode().splitlines()[0] == f"wasm trap: {kind}"


def test_fuel_and_time_run_out(run: Runner) -> None:
    forever = components.command("(loop $on (br $on)) (i32.const 0)")
    done = run(forever, "--fuel", "100000")
    assert (done.returncode, done.stderr.decode().splitlines()[0]) == (134, "wasm trap: out of fuel")
    begin = time.monotonic()
    done = run(forever, "--seconds", "0.3")
    assert (done.returncode, done.stderr.decode().splitlines()[0]) == (134, "wasm trap: interrupted")
    assert time.monotonic() - begin < 20


def test_memory_does_not_grow_beyond_the_limit(run: Runner) -> None:
    """memory.grow of 100 pages is refused, so its result is not that of the success, 1."""
    text = components.command("(i32.eq (memory.grow (i32.const 100)) (i32.const 1))")
    text = text.replace('(func (export "run")', '(memory 1) (func (export "run")')
    assert run(text).returncode == 1
    assert run(text, "--memory", str(1 << 20)).returncode == 0


def test_a_function_by_name(run: Runner) -> None:
    text = """(component
      (core module $m
        (func (export "good") (result i32) (i32.const 5)) (func (export "bad") (result i32) (i32.const 1)))
      (core instance $m (instantiate $m))
      (func (export "number") (result u32) (canon lift (core func $m "good")))
      (func $bad (result (result)) (canon lift (core func $m "bad")))
      (func (export "takes") (param "x" u32) (result u32) (canon lift (core func $t "f")))
      (instance $i (export "try" (func $bad)))
      (export "a:b/c" (instance $i)))"""
    text = text.replace(
        '(func (export "takes")',
        '(core module $tm (func (export "f") (param i32) (result i32) (local.get 0)))'
        ' (core instance $t (instantiate $tm)) (func (export "takes")',
    )
    assert run(text, "--function", "number").returncode == 0
    assert run(text, "--function", "a:b/c#try").returncode == 1
    assert b"takes 1 parameters" in run(text, "--function", "takes").stderr
    assert b"exports no function other, but a:b/c#try, number, takes" in run(text, "--function", "other").stderr
    assert b"exports neither wasi:cli/run@0.2 nor wasi:http/incoming-handler@0.2, but" in run(text).stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (components.exiting("exit", 0, "0.3.0"), "imports wasi:cli/exit@0.3.0, and there is WASI 0.2 only"),
        ('(component (import "my:own/thing@1.0.0" (instance)))', "imports my:own/thing@1.0.0, which nobody provides"),
        ('(component (import "f" (func)))', "imports f, which nobody provides"),
        ("(component (nonsense))", "not valid WAT text"),
        (b"\0asm\x0d\0\1\0\xff\xff", "not a valid Wasm component"),
    ],
)
def test_what_cannot_run_is_refused_by_name(run: Runner, text: "str | bytes", words: str) -> None:
    done = run(text)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("refused: process.args[0]: ")
    assert words in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def test_a_component_that_was_compiled_is_loaded_from_its_artefact(tmp_path: Path) -> None:
    from pyruntime.engine import base
    from pyruntime.engine.select import Selection

    engine, text = make("wasmtime"), components.command("(i32.const 0)").encode()
    artefact = tmp_path / "artefact"
    artefact.write_bytes(engine.compile(text, base.Limits()))
    selection = Selection("", "x", text, "the test", "wasm-component")
    for form in (str(artefact), artefact.read_bytes()):
        assert engine.load(form, selection, base.Limits()).start(base.Guest(["x"], [])) == 0
    artefact.write_bytes(b"garbage" * 100)
    with pytest.raises(Error, match="the compiled component"):
        engine.load(str(artefact), selection, base.Limits())


def test_a_signal_ends_a_component_that_computes(run: Runner) -> None:
    command = run.command(components.command("(loop $on (br $on)) (i32.const 0)"), "--in-place")
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment) as process:
        status = Path(f"/proc/{process.pid}/status")
        end = time.monotonic() + 30
        while "Threads:\t2" not in status.read_text():
            assert time.monotonic() < end
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143
