"""Run one module by `pyruntime run`, in a bundle made for it and removed afterwards; a program of its own.

    bundled.py [--engine NAME] [--root DIR] [--env A=B]... MODULE [ARGUMENT...]

The guest's `/` is a copy of DIR with the module beside what is in it, so that nothing a test writes reaches the suite's
files; without DIR no directory is opened for the guest. stdin, stdout, stderr and the exit status are the container's.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE))

from pyruntime.cli.made import Made  # noqa: E402  (the line above makes it importable)
from pyruntime.cli.wasmspec import document, place  # noqa: E402

LAUNCHER = TREE / "bin/pyruntime"


class Guest:
    """What a test wants its program to get; `root` is a directory of the suite, `engine` "" for any."""

    def __init__(
        self,
        module: Path,
        arguments: "list[str]",
        env: "dict[str, str]",
        root: "Path | None" = None,
        engine: str = "",
    ) -> None:
        self.module = module
        self.arguments = arguments
        self.env = env
        self.root = root
        self.engine = engine


def make(guest: Guest, folder: Path) -> None:
    """Put the bundle together in `folder`."""
    if guest.root:
        shutil.copytree(guest.root, folder / "rootfs", symlinks=True)
    program = place(Made(), str(guest.module), str(folder))
    config = document(program, guest.arguments, rootless=os.geteuid() != 0)
    config["root"]["readonly"] = False
    config["process"]["env"] = [f"{name}={value}" for name, value in guest.env.items()]
    asked = {"run.oci.handler": guest.engine, "pyruntime.wasm.preopens": "" if guest.root else "none"}
    config["annotations"] = {name: value for name, value in asked.items() if value}
    (folder / "config.json").write_text(json.dumps(config))


def run(guest: Guest) -> int:
    """The exit status of the guest in a container of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pyruntime-wasi-") as name:
        folder = Path(name)
        make(guest, folder / "bundle")
        command = [LAUNCHER, "--root", folder / "state", "run", "-b", folder / "bundle", folder.name]
        return subprocess.run(command, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", default="")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("module", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    env = dict(entry.partition("=")[::2] for entry in asked.env)
    return run(Guest(asked.module, asked.arguments, env, asked.root, asked.engine))


if __name__ == "__main__":
    sys.exit(main())
