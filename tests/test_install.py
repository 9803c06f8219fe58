"""What an installer makes of the tree: the launcher byte for byte, executable, beside a compiled package."""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pyruntime.cli.options import VERBS

ROOT = Path(__file__).resolve().parent.parent
PIECES = ("bin", "pyruntime", "scripts", "pyproject.toml", "LICENSE", "README.md")

needs_tools = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None or importlib.util.find_spec("build") is None,
    reason="the build backend is not installed, and nothing is downloaded here",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of this tree: a build must not leave anything in the tree itself."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in PIECES:
        piece = ROOT / name
        if piece.is_dir():
            shutil.copytree(piece, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(piece, source / name)
    words = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(source)]
    subprocess.run(words, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@needs_tools
def test_the_wheel_holds_the_launcher_untouched(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".data/data/bin/pyruntime"))
        assert archive.read(name) == (ROOT / "bin" / "pyruntime").read_bytes()
        assert archive.getinfo(name).external_attr >> 16 & 0o777 == 0o755


@needs_tools
def test_the_wheel_asks_for_nothing_and_brings_the_whole_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "pyruntime").rglob("*.py")}
    assert required == []
    assert sources - names == set()


@needs_tools
def test_the_wheel_brings_manual_pages_and_completions(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition(".data/data/")[2] for name in archive.namelist()}
    assert {f"share/man/man1/pyruntime{suffix}.1" for suffix in ("", *(f"-{verb}" for verb in VERBS))} <= names
    assert {
        "share/bash-completion/completions/pyruntime",
        "share/zsh/site-functions/_pyruntime",
        "share/fish/vendor_completions.d/pyruntime.fish",
    } <= names


@needs_tools
@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="this environment has no pip to install with")
def test_pip_installs_a_command_that_runs(wheel: Path, tmp_path: Path, launcher: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--ignore-installed"]
    subprocess.run([*pip, "--prefix", str(tmp_path), str(wheel)], check=True, capture_output=True)
    command = tmp_path / "bin" / "pyruntime"
    assert command.read_bytes() == launcher.read_bytes()
    assert os.access(command, os.X_OK)
    assert list(tmp_path.rglob("launch.*.pyc")), "pip compiles what the launcher never would"
    installed = subprocess.run([command, "--version"], capture_output=True, check=True, env={}, cwd="/")
    checkout = subprocess.run([launcher, "--version"], capture_output=True, check=True)
    told = [
        [line for line in ran.stdout.splitlines() if not line.startswith(b"commit:")] for ran in (installed, checkout)
    ]
    assert told[0] == told[1], "but for the commit, which an installed package does not know"
    assert installed.stderr == b""
