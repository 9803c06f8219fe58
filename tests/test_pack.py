"""The packs: what a start runs from them, and when it had better not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyruntime import pack

ROOT = Path(__file__).resolve().parent.parent
MINE = "/usr/bin/python3"
FLAGS = "-IBSXutf8"
# Without a verb's name as an argument nothing is preloaded; `-X importtime` tells of ordinary imports only.
MARK = "import posix; posix.write(2, b'fresh\\n')\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the checkout without anything compiled."""
    return copied(tmp_path / "tree")


def copied(tree: Path) -> Path:
    shutil.copytree(ROOT / "pyruntime", tree / "pyruntime", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "bin", tree / "bin")
    return tree


def write(tree: Path, python: str = MINE) -> None:
    subprocess.run([python, "-IS", tree / "pyruntime" / "pack.py"], check=True, timeout=60)


def state(tree: Path, python: str = MINE) -> "tuple[str, bool]":
    """What `state` of nobody says, and whether its module came from a pack."""
    done = subprocess.run(
        [python, FLAGS, "-X", "importtime", tree / "bin" / "pyruntime", "--root", tree / "state", "state", "nobody"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "container does not exist: nobody" in done.stderr
    return done.stderr, "| pyruntime.cli.verbs.state" not in done.stderr.replace("  ", " ").replace("|  ", "| ")


def packed(tree: Path, python: str = MINE) -> bool:
    text, _ = state(tree, python)
    return not any(line.endswith(" pyruntime.cli.verbs.state") for line in text.splitlines())
