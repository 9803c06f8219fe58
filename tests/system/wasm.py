"""Wasm containers for the tests: bundles that hold a guest, and the engines that can run it here."""

import functools
import json
import os
import select
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyruntime.engine.select import ENGINES
from tests.system.harness import ROOT, Bundle, Runtime, new_id, wait_until
from tests.system.wat import Program

Make = Callable[..., Bundle]
Alive = Callable[..., str]
TEXT = ("wasmtime", "wasmer")  # engines that take WAT
BUSY = 0.2  # seconds of CPU after which a guest that loops has certainly begun


@functools.cache
def answers(launcher: Path = ROOT / "bin/pyruntime") -> "dict[str, str]":
    """What `features` says of each engine that can run here: its version."""
    done = subprocess.run([launcher, "features"], capture_output=True, check=True, timeout=60)
    found: "dict[str, str]" = json.loads(done.stdout).get("annotations", {})
    return {name: found[key] for name in ENGINES if (key := f"pyruntime.wasm.{name}") in found}


class Wasm:
    """Makes bundles whose program is a guest, to be run by one engine."""

    def __init__(self, make: Make, engine: str) -> None:
        self.make = make
        self.engine = engine

    def __call__(self, program: "Program | str | bytes", *arguments: str) -> Bundle:
        """A bundle of the guest with these arguments."""
        bundle = self.make("/guest.wasm", *arguments)
        put(bundle, "guest.wasm", program, self.engine)
        bundle.config["annotations"] = {"run.oci.handler": f"{self.engine}-smart"}
        return bundle


def put(bundle: Bundle, name: str, program: "Program | str | bytes", engine: str = "wasmtime") -> None:
    """Put another guest in a bundle's rootfs, as a binary if the engine takes no text."""
    content = program.text() if isinstance(program, Program) else program
    if isinstance(content, str):
        content = content.encode() if engine in TEXT else binary(content)
    (bundle.rootfs / name).write_bytes(content)


def binary(text: str) -> bytes:
    """The module that is written as this text."""
    wasmtime = pytest.importorskip("wasmtime", reason="wasmtime, which translates the tests' text, is not installed")
    return bytes(wasmtime.wat2wasm(text))


@pytest.fixture(params=ENGINES)
def wasm(request: pytest.FixtureRequest, make: Make) -> Wasm:
    """A test that asks for it is run once for each engine, and skipped for those that are not here."""
    if request.param not in answers():
        pytest.skip(f"needs {request.param} (docs/how-to/run-wasm.md says where it is looked for)")
    return Wasm(make, request.param)


@pytest.fixture
def alive(rt: Runtime) -> "Iterator[Alive]":
    """Starts a bundle in the background and returns its id, when `busy` once the guest has used CPU for a while."""
    names: "list[str]" = []

    def start(bundle: Bundle, busy: bool = True) -> str:
        names.append(new_id())
        result = rt.run(bundle, "--detach", id=names[-1])
        assert result.rc == 0, result
        if busy:
            wait_until_busy(rt.state(names[-1])["pid"])
        return names[-1]

    yield start
    for name in names:
        rt("delete", "--force", name)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def wait_until_busy(pid: int) -> None:
    """Until the process has used as much CPU as only a guest that loops does."""
    before = cpu_seconds(pid)
    wait_until(lambda: cpu_seconds(pid) > before + BUSY, "the guest loops", 20)


def wait_for_end(pid: int, seconds: float = 10) -> None:
    """Until a process, not necessarily our child, has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = select.select([pidfd], [], [], seconds)[0]
    os.close(pidfd)
    assert ended, f"process {pid} goes on after {seconds} s"
