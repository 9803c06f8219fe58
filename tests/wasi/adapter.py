"""The adapter by which the WASI test suite's own runner (Python 3.12) drives pyruntime.

    python3 run-tests --runtime-adapter tests/wasi/adapter.py

Every test becomes a bundle and a `pyruntime run`. PYRUNTIME_WASI_ENGINE names an engine; else the first one is taken.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LAUNCHER = HERE.parents[1] / "bin/pyruntime"


def get_name() -> str:
    """What the runner's report calls us."""
    return "pyruntime"


def get_version() -> str:
    """The version alone, as the runner wants it."""
    done = subprocess.run([LAUNCHER, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[2]


def get_wasi_versions() -> "list[str]":
    """The levels of WASI whose tests are run."""
    return ["wasm32-wasip1"]


def get_wasi_worlds() -> "list[str]":
    """The worlds whose tests are run."""
    return ["wasi:cli/command"]


def compute_argv(
    test_path: str,
    args_env_root: "tuple[list[str], dict[str, str], str | None]",
    proposals: "list[str]",
    wasi_world: str,
    wasi_version: str,
) -> "list[str]":
    """The command that runs one test; its bundle is gone when the command has ended."""
    args, env, root = args_env_root
    argv = [sys.executable, str(HERE / "bundled.py"), "--engine", os.environ.get("PYRUNTIME_WASI_ENGINE", "")]
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    if root:
        argv += ["--root", str(root)]
    return [*argv, test_path, *args]
