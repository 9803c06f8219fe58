"""The examples that need a compiler or a download: built where that is there, run, and seen to print what they say."""

import os
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.wasm import answers
from tests.test_docs import demand

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MISSING = re.compile(r"^build: (no .* here.*|npm pack .* failed)$", re.MULTILINE)

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture
def run(launcher: Path, tmp_path: Path) -> "Iterator[Run]":
    """A function that builds an example and runs it; no container survives the test."""
    demand("wasm", launcher)
    state = tmp_path / "state"
    numbers = iter(range(100))

    def built_and_run(name: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        bundle = tmp_path / name
        if not bundle.exists():
            build(name, bundle)
        command = [launcher, "--root", state, "run", "-b", bundle, f"examples-{os.getpid()}-{next(numbers)}"]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=300, check=False)

    yield built_and_run
    assert not state.exists() or not os.listdir(state)


def build(name: str, bundle: Path) -> None:
    """Run the example's build script; skip with its reason where it says that something is not here."""
    script = EXAMPLES / "bundles" / name / "build"
    done = subprocess.run([script, bundle], capture_output=True, text=True, timeout=600, check=False)
    if found := MISSING.search(done.stderr):
        pytest.skip(found[1])
    assert done.returncode == 0, done.stderr
    assert (bundle / "config.json").exists()


def shown(page: str) -> "list[str]":
    """The lines that a README says one sees: its first block without a language."""
    found = re.search(r"^You see.*?^```\n(.*?)^```$", (EXAMPLES / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{page} does not say what one sees"
    return found[1].splitlines()


def test_c(run: Run, tmp_path: Path) -> None:
    done = run("c-wasm")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == shown("bundles/c-wasm/README.md")
    config = tmp_path / "c-wasm/config.json"
    config.write_text(config.read_text().replace('"rbind", "ro"', '"rbind"').replace('verse.txt"', 'verse.txt", "/x"'))
    done = run("c-wasm")
    assert done.returncode == 1
    assert "to write to it: allowed" in done.stdout
    assert done.stderr.startswith("/x: ")


def test_rust(run: Run) -> None:
    done = run("rust-wasm")
    *lines, status = shown("bundles/rust-wasm/README.md")
    assert done.stdout.splitlines() == lines
    assert (done.returncode, done.stderr) == (int(status), "")


def test_sockets_of_wasmedge(run: Run, launcher: Path, tmp_path: Path) -> None:
    if "wasmedge" not in answers():
        pytest.skip("needs wasmedge (docs/how-to/run-wasm.md says where it is looked for)")
    bundle, lines = tmp_path / "wasmedge-echo", shown("bundles/wasmedge-echo/README.md")
    build("wasmedge-echo", bundle)
    command = [launcher, "--root", tmp_path / "state", "run", "-b", bundle, f"examples-{os.getpid()}-echo"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{lines[0]}\n"
        with urllib.request.urlopen("http://127.0.0.1:8080/", timeout=20) as answer:
            assert answer.read().decode() == f"{lines[1]}\n"
        with urllib.request.urlopen("http://127.0.0.1:8080/echo", lines[2].encode(), timeout=20) as answer:
            assert answer.read().decode() == lines[2]
        process.terminate()
        assert process.wait(20) == 143


def test_go(run: Run) -> None:
    done = run("go-wasm", stdin="one\ntwo\n")
    *lines, last = shown("bundles/go-wasm/README.md")
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, lines, f"{last}\n")


def test_python(run: Run) -> None:
    done = run("python-wasm")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == shown("bundles/python-wasm/README.md")


def test_pod(launcher: Path, tmp_path: Path) -> None:
    demand("busybox", launcher)
    demand("wasm", launcher)
    program = tmp_path / "pyruntime"
    program.write_text(f'#!/bin/sh\nexec {launcher} --root {tmp_path}/state "$@"\n')
    program.chmod(0o755)
    output = tmp_path / "output"
    with output.open("wb") as file:  # a pipe would be held open by the side-car
        done = subprocess.run(
            [EXAMPLES / "pod/run", tmp_path / "pod"],
            env={**os.environ, "PYRUNTIME": str(program)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    lines = [line.rstrip() for line in output.read_text().splitlines()]
    assert done.returncode == 0, lines
    for line, wanted in zip(lines, shown("pod/README.md"), strict=True):
        assert re.fullmatch(".*".join(map(re.escape, wanted.split("…"))), line), line
    assert os.listdir(tmp_path / "state") == []
