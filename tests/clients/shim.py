"""A stand-in for a containerd shim: what go-runc sends, and how its answers are read."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.clients.callers import Caller, ConsoleSocket, Ended, Streams, bare_int, last_error


class Failed(Exception):
    """A call that failed; the text is what the shim reports: the last error of the log, else the combined output."""


class Finished(Exception):
    """A kill that came too late: the shim takes it for success."""


class Missing(Exception):
    """A container the runtime does not know: deletes take it for success."""


class Shim(Caller):
    """One task of a shim."""

    @property
    def log(self) -> Path:
        return self.bundle.path / "log.json"

    @property
    def pid_file(self) -> Path:
        return self.bundle.path / "init.pid"

    def prefix(self) -> "list[str]":
        return ["--root", str(self.root), "--log", str(self.log), "--log-format", "json"]

    def ask(self, *words: str, input: bytes = b"") -> str:
        """A call without streams of its own: stdout and stderr come through one pipe. Raises Failed."""
        ended = self.call(*self.prefix(), *words, input=input, merged=True)
        self._check(ended.rc, ended.out)
        return ended.out

    def _check(self, rc: int, output: str) -> None:
        if rc:
            assert self.log.exists(), f"no log file; output: {output}"
            message = last_error(self.log)
            assert message, f"no error in the log; output: {output}"
            raise Failed(message)

    def create(self, streams: "Streams | None" = None, console: "ConsoleSocket | None" = None, *words: str) -> int:
        """create; returns init's pid from the pid file. Raises Failed."""
        more = ["--console-socket", str(console.path)] if console else []
        pid_file = str(self.pid_file)
        self._detached(
            streams, "create", "--bundle", str(self.bundle.path), "--pid-file", pid_file, *more, *words, self.id
        )
        return bare_int(self.pid_file)

    def exec(
        self,
        process: "dict[str, Any]",
        name: str = "exec1",
        streams: "Streams | None" = None,
        console: "ConsoleSocket | None" = None,
        *flags: str,
    ) -> int:
        """exec; returns the process's pid from its pid file. Raises Failed."""
        spec = self.bundle.path / f"{name}-process.json"
        spec.write_text(json.dumps(process))
        pid_file = self.bundle.path / f"{name}.pid"
        more = ["--console-socket", str(console.path)] if console else []
        words = ["--process", str(spec), *more, "--detach", "--pid-file", str(pid_file)]
        self._detached(streams, "exec", *words, *flags, self.id)
        return bare_int(pid_file)

    def _detached(self, streams: "Streams | None", *words: str) -> None:
        null = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = self.popen(*self.prefix(), *words, **(streams.arguments() if streams else null))
        if streams:
            streams.handed()
        self._check(process.wait(30), "")

    def kill(self, number: int, everyone: bool = False) -> None:
        """kill. Raises Finished, Missing or Failed, as the text says."""
        try:
            self.ask("kill", *(["--all"] if everyone else []), self.id, str(number))
        except Failed as error:
            text = str(error)
            late = "os: process already finished", "container not running"
            if any(word in text for word in late) or "no such process" in text.lower():
                raise Finished(text) from None
            raise (Missing(text) if "does not exist" in text else error) from None

    def delete(self, *flags: str) -> None:
        """delete. Raises Missing or Failed."""
        try:
            self.ask("delete", *flags, self.id)
        except Failed as error:
            raise (Missing(str(error)) if "does not exist" in str(error) else error) from None

    def pids(self) -> "list[int]":
        """ps, read from the combined output; `null` is no pid."""
        found: "list[int] | None" = json.loads(self.ask("ps", "--format", "json", self.id))
        return found or []

    def state(self) -> "dict[str, Any]":
        """state, read from the combined output."""
        found: "dict[str, Any]" = json.loads(self.ask("state", self.id))
        return found

    def clean_up(self) -> Ended:
        """What a new shim does for a dead one: it knows root and id, not the driver nor whether anything is there."""
        return self.call("--root", str(self.root), "--log", str(self.log), "--log-format", "json",
                         "delete", "--force", self.id, merged=True)  # fmt: skip
