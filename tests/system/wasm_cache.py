"""A cache of compiled modules of each test's own, and bundles that hold a module."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyruntime.engine.cache import SYSTEM
from tests.system.harness import Bundle, Runtime
from tests.system.wasm import Make, answers, put
from tests.system.wat import Program


@pytest.fixture(autouse=True)
def cache(own_mounts: None, rt: Runtime, tmp_path: Path) -> "Iterator[Path]":
    """A cache of the test's own, in its mount namespace; and an engine."""
    if "wasmtime" not in answers():
        pytest.skip("needs wasmtime (docs/how-to/run-wasm.md says where it is looked for)")
    folder = Path(SYSTEM)
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder.parent], check=True)
    yield folder
    subprocess.run(["umount", folder.parent], check=True)


def hello(text: str = "hello\n") -> Program:
    return Program().print(text)


def made(make: Make, program: "Program | str | bytes", *arguments: str, path: str = "guest.wasm") -> Bundle:
    bundle = make(f"/{path}", *arguments)
    (bundle.rootfs / path).parent.mkdir(parents=True, exist_ok=True)
    put(bundle, path, program)
    return bundle


def annotated(bundle: Bundle, **values: str) -> Bundle:
    bundle.config["annotations"] = {f"pyruntime.wasm.{name}": value for name, value in values.items()}
    return bundle


def artefacts(cache: Path) -> "list[Path]":
    return sorted(path for path in cache.iterdir() if len(path.name) == 64) if cache.is_dir() else []


def large(functions: int) -> str:
    """A module whose compilation takes more memory than it has bytes, several times."""
    stores = "".join(
        f"(i32.store (i32.const {4 * j}) (i32.mul (i32.load (i32.const {4 * j + 4})) (local.get 0)))" for j in range(40)
    )
    bodies = "".join(f"(func $f{index} (param i32) {stores})" for index in range(functions))
    calls = "".join(f"(call $f{index} (i32.const {index}))" for index in range(functions))
    return f'(module (memory (export "memory") 1) {bodies} (func (export "_start") {calls}))'
