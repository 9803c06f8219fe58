"""Every preview 1 test of the WASI test suite, from detection to exit status; and that its manifests are read right.

PYRUNTIME_WASI_TESTSUITE is a checkout of WebAssembly/wasi-testsuite, branch prod/testsuite-base;
PYRUNTIME_WASI_ENGINE an engine, where it is not to be the first that is found.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wasi import adapter
from tests.wasi.suite import Case, cases, operations

CHECKOUT = os.environ.get("PYRUNTIME_WASI_TESTSUITE", "")
ENGINE = os.environ.get("PYRUNTIME_WASI_ENGINE", "")
CASES = list(cases(Path(CHECKOUT))) if CHECKOUT else []
HERE = Path(__file__).resolve().parent

EXIT = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 33))))"""


@pytest.mark.skipif(not CHECKOUT, reason="needs PYRUNTIME_WASI_TESTSUITE, a checkout of WebAssembly/wasi-testsuite")
def test_the_checkout_holds_the_binaries() -> None:
    assert len([case for case in CASES if not case.skipped()]) >= 72


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case) -> None:
    if case.skipped():
        pytest.skip(case.skipped())
    assert case.failures(ENGINE) == []


def test_both_forms_of_a_specification_say_the_same() -> None:
    old = {"args": ["a"], "env": {"A": "1"}, "root": "r", "exit_code": 3, "stdout": "x"}
    run = {"type": "run", "args": ["a"], "env": {"A": "1"}, "root": "r"}
    new = [run, {"type": "read", "id": "stdout", "payload": "x"}, {"type": "wait", "exit_code": 3}]
    assert operations(old) == new == operations({"operations": new})
    assert operations({}) == [{"type": "run"}, {"type": "wait", "exit_code": 0}]


def made(folder: Path, level: str, spec: "dict[str, object] | None") -> Case:
    """The one test of a checkout made of one module."""
    place = folder / "tests/c/testsuite" / level
    place.mkdir(parents=True)
    (place / "manifest.json").write_text(json.dumps({"name": "made", "version": level}))
    (place / "exit.wasm").write_text(EXIT)
    if spec is not None:
        (place / "exit.json").write_text(json.dumps(spec))
    (case,) = cases(folder)
    return case


def test_what_no_engine_has_is_skipped_and_why(tmp_path: Path) -> None:
    assert "wasm32-wasip3" in made(tmp_path / "a", "wasm32-wasip3", None).skipped()
    assert "connect" in made(tmp_path / "b", "wasm32-wasip1", {"operations": [{"type": "connect"}]}).skipped()
    assert made(tmp_path / "c", "wasm32-wasip1", None).skipped() == ""


def test_the_adapter_and_we_run_the_same_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYRUNTIME_WASI_ENGINE", raising=False)
    case = made(tmp_path, "wasm32-wasip1", {"args": ["a", "-b"], "env": {"A": "1=2"}, "root": "r"})
    root = str(case.module.parent / "r")
    argv = adapter.compute_argv(
        str(case.module), (["a", "-b"], {"A": "1=2"}, root), [], "wasi:cli/command", "wasm32-wasip1"
    )
    assert argv == case.command()


@pytest.mark.root
def test_a_failure_is_seen(tmp_path: Path, launcher: Path) -> None:
    done = subprocess.run([launcher, "features"], capture_output=True, check=True)
    if b"pyruntime.wasm.wasmtime" not in done.stdout:
        pytest.skip("needs a Wasm engine: pip install wasmtime")
    good = made(tmp_path / "good", "wasm32-wasip1", {"exit_code": 33})
    bad = made(tmp_path / "bad", "wasm32-wasip1", {"exit_code": 32, "stdout": "text"})
    assert good.failures() == []
    status, text = bad.failures()
    assert "exit status 33, expected 32" in status
    assert "expected 'text'" in text
    driver = [sys.executable, str(HERE / "suite.py")]
    done = subprocess.run([*driver, tmp_path / "bad"], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"0 passed, 1 failed, 0 skipped" in done.stdout
    assert subprocess.run([*driver, tmp_path], capture_output=True, check=False).returncode == 1
