"""`spec --wasm`: a bundle that runs as it is, and nothing at all when it can't be made whole."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pyruntime.cli import defaultspec
from pyruntime.cli.wasmspec import document
from pyruntime.config.load import read_config
from pyruntime.config.validate import validate
from pyruntime.engine.engines import make
from pyruntime.errors import Error
from tests.cli.verbs.box import Box

HELLO = Path(__file__).resolve().parents[3] / "examples/bundles/hello-wasm/hello.wat"


def tree(folder: Path) -> "set[str]":
    """Every path below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def written(path: Path) -> "Any":
    return json.loads(path.read_text())


@pytest.mark.parametrize("rootless", [False, True])
def test_what_is_written_is_valid_and_asks_for_less_than_a_shell(rootless: bool) -> None:
    found, shell = document("/x.wasm", ["a"], rootless), defaultspec.document(rootless)
    validate(read_config(json.dumps(found).encode()))
    assert found["process"]["args"] == ["/x.wasm", "a"]
    assert not any(found["process"]["capabilities"].values())
    assert found["process"]["noNewPrivileges"]
    kinds, theirs = ({entry["type"] for entry in each["linux"]["namespaces"]} for each in (found, shell))
    assert kinds == theirs | {"network"}
    assert [entry["destination"] for entry in found["mounts"]] == ["/dev", "/tmp"]
    assert found["linux"].get("resources") == shell["linux"].get("resources")


def test_the_bundle_is_whole(box: Box) -> None:
    box.ok("spec", "--wasm", str(HELLO), "-b", str(box.bundle), "one", "--", "--two", "")
    assert tree(box.bundle) == {"config.json", "rootfs", "rootfs/hello.wat"}
    assert (box.bundle / "rootfs/hello.wat").read_bytes() == HELLO.read_bytes()
    assert written(box.bundle / "config.json") == document("/hello.wat", ["one", "--two", ""])


def test_a_module_without_a_path_and_in_the_current_folder(box: Box, tmp_path: Path) -> None:
    (tmp_path / "own.wasm").write_bytes(b"\0asm\1\0\0\0")
    command = [str(box.launcher), "spec", "--rootless", "-f", "other.json", "--wasm", "own.wasm"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=30)
    assert written(tmp_path / "other.json") == document("/own.wasm", [], rootless=True)
    assert (tmp_path / "rootfs/own.wasm").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x7fELF\2\1\1", "is a native program"),
        (b"#!/bin/sh\n", "is a script"),
        (b"", "is neither WebAssembly binary nor text"),
        (None, "not a regular file"),
    ],
)
def test_what_is_no_program_is_refused_and_nothing_is_made(
    box: Box, tmp_path: Path, content: "bytes | None", words: str
) -> None:
    file = tmp_path / "file"
    if content is None:
        os.mkfifo(file)
    else:
        file.write_bytes(content)
    assert words in box.error("spec", "--wasm", str(file), "-b", str(box.bundle))
    assert not box.bundle.exists()


def test_a_missing_module_is_named(box: Box, tmp_path: Path) -> None:
    text = box.error("spec", "--wasm", str(tmp_path / "nowhere.wasm"), "-b", str(box.bundle))
    assert text == f"--wasm {tmp_path}/nowhere.wasm: no such file or directory"


def test_a_name_that_wasi_cannot_hand_over(box: Box, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff.wasm"
    with open(odd, "wb") as file:
        file.write(b"\0asm\1\0\0\0")
    done = subprocess.run([box.launcher, "spec", "--wasm", odd, "-b", box.bundle], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"not UTF-8" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert not box.bundle.exists()


def test_files_that_are_there_stay_as_they_are(box: Box) -> None:
    (box.bundle / "rootfs").mkdir(parents=True)
    config = box.bundle / "config.json"
    config.write_text("mine")
    command = ("spec", "--wasm", str(HELLO), "-b", str(box.bundle))
    assert box.error(*command) == "File config.json exists. Remove it first"
    assert tree(box.bundle) == {"config.json", "rootfs"}
    assert config.read_text() == "mine"
    config.unlink()
    (box.bundle / "rootfs/hello.wat").write_text("mine")
    assert box.error(*command) == f"File {box.bundle}/rootfs/hello.wat exists. Remove it first"
    assert tree(box.bundle) == {"rootfs", "rootfs/hello.wat"}


def test_a_full_disk_leaves_nothing(box: Box) -> None:
    command = f"ulimit -f 0; exec {box.launcher} spec --wasm {HELLO} -b {box.bundle}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert not box.bundle.exists()


def test_arguments_without_a_module_are_a_program_of_linux(box: Box) -> None:
    box.ok("spec", "-b", str(box.bundle), "echo", "hello")
    assert written(box.bundle / "config.json")["process"]["args"] == ["echo", "hello"]


# Ends with the number of environment variables it was given.
COUNT = """(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (call $exit (i32.load (i32.const 0)))))"""


@pytest.fixture
def engine() -> None:
    try:
        make("wasmtime").probe()
    except Error as error:
        pytest.skip(f"wasmtime cannot run here: {error}")


@pytest.mark.root
def test_the_environment_is_as_empty_as_the_bundle_says(box: Box, engine: None, tmp_path: Path) -> None:
    (tmp_path / "count.wat").write_text(COUNT)
    box.ok("spec", "--wasm", str(tmp_path / "count.wat"), "-b", str(box.bundle))
    assert box("run", "-b", str(box.bundle), box.id()).returncode == 0
    box.configure(process__env=["A=1", "B="], process__cwd="/tmp")
    assert box("run", "-b", str(box.bundle), box.id()).returncode == len(("A", "B", "PWD"))
    (box.bundle / "rootfs/etc").mkdir()
    (box.bundle / "rootfs/etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    assert box("run", "-b", str(box.bundle), box.id()).returncode == len(("A", "B", "PWD", "HOME"))


@pytest.mark.root
def test_it_runs(box: Box, engine: None) -> None:
    box.ok("spec", "--wasm", str(HELLO), "-b", str(box.bundle), "one", "two words")
    done = box("run", "-b", str(box.bundle), box.id())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "hello from WebAssembly\n/hello.wat\none\ntwo words\n"
