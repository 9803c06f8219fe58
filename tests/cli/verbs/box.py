"""Commands of the launcher, on a state root and a bundle of one test."""

import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

_numbers = itertools.count()


class Box:
    """Commands of one test; every container is gone after it."""

    def __init__(self, launcher: Path, folder: Path) -> None:
        self.launcher = launcher
        self.folder = folder
        self.root = folder / "state"
        self.bundle = folder / "bundle"
        self.made: "list[str]" = []

    def __call__(
        self, *words: str, stdin: str = "", env: "dict[str, str] | None" = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run `pyruntime --root STATE WORDS`; stdin is text. Output goes to files, which containers may hold open."""
        return self.plain("--root", str(self.root), *words, stdin=stdin, env=env)

    def plain(
        self, *words: str, stdin: str = "", env: "dict[str, str] | None" = None
    ) -> "subprocess.CompletedProcess[str]":
        """The same without --root."""
        files = [self.folder / name for name in ("stdin", "stdout", "stderr")]
        files[0].write_text(stdin)
        with files[0].open() as source, files[1].open("w") as out, files[2].open("w") as err:
            command = [str(self.launcher), *words]
            done = subprocess.run(command, stdin=source, stdout=out, stderr=err, check=False, timeout=60, env=env)
        return subprocess.CompletedProcess(command, done.returncode, files[1].read_text(), files[2].read_text())

    def ok(self, *words: str, stdin: str = "") -> str:
        """stdout of a command that has to succeed and to say nothing else."""
        done = self(*words, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), f"{words}: {done.stderr}"
        return done.stdout

    def error(self, *words: str, code: int = 1) -> str:
        """The text of a command that has to fail, told once, in one line."""
        log = self.folder / "log.json"
        log.unlink(missing_ok=True)
        done = self("--log", str(log), "--log-format", "json", *words)
        assert done.returncode == code, done.stderr
        lines = log.read_text().splitlines()
        assert len(lines) == 1
        entry = json.loads(lines[0])
        assert entry["level"] == "error"
        assert done.stderr == entry["msg"] + "\n"
        return str(entry["msg"])

    def configure(self, **changes: "Any") -> None:
        """Change the bundle's config.json: `process__args=[...]` for `process.args`."""
        path = self.bundle / "config.json"
        config = json.loads(path.read_text())
        for name, value in changes.items():
            *parents, last = name.split("__")
            where = config
            for each in parents:
                where = where.setdefault(each, {})
            where[last] = value
        path.write_text(json.dumps(config))

    def id(self) -> str:
        """A new container's id."""
        name = f"verbs-{os.getpid()}-{next(_numbers)}"
        self.made.append(name)
        return name

    def create(self, *options: str) -> str:
        """A created container's id."""
        name = self.id()
        self.ok(
            *(word for word in options if word.startswith("--cgroup-manager")), "create", "-b", str(self.bundle), name
        )
        return name

    def running(self, *options: str) -> str:
        """A running container's id."""
        name = self.create(*options)
        self.ok("start", name)
        return name

    def state(self, name: str) -> "dict[str, Any]":
        """What `state` shows."""
        found: "dict[str, Any]" = json.loads(self.ok("state", name))
        return found

    def file(self, name: str) -> Path:
        """The container's state file."""
        return self.root / name / "state.json"

    def cgroup(self, name: str) -> Path:
        """The container's cgroup."""
        return Path(json.loads(self.file(name).read_text())["cgroup_paths"][""])


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
