"""The tests of the WASI test suite (WebAssembly/wasi-testsuite, branch prod/testsuite-base holds the binaries).

Read by the rules of the suite's doc/specification.md, and run one by one with bundled.py. The suite's own runner needs
Python 3.12; this one every Python that pyruntime runs on.

    suite.py DIRECTORY [--engine NAME]      run all, print what failed and the counts
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUNDLED = Path(__file__).resolve().with_name("bundled.py")
LEVEL = "wasm32-wasip1"
SECONDS = 120  # for one test, compilation included
KNOWN = {"run", "read", "write", "wait"}


class Case:
    """One module of the suite with what it is to be given and what it is to do."""

    def __init__(self, module: Path, level: str) -> None:
        self.module = module
        self.level = level
        spec = module.with_suffix(".json")
        self.operations = operations(json.loads(spec.read_text()) if spec.exists() else {})

    @property
    def name(self) -> str:
        """Language and name: `rust/fd_readdir`."""
        return f"{self.module.parents[2].name}/{self.module.stem}"

    def of(self, kind: str) -> "dict[str, Any]":
        """The first operation of a kind, {} if there is none."""
        return next((each for each in self.operations if each["type"] == kind), {})

    def skipped(self) -> str:
        """Why it is not run; "" if it is."""
        if self.level != LEVEL:
            return f"needs {self.level}, which no engine here has"
        unknown = sorted({each["type"] for each in self.operations} - KNOWN)
        return f"needs the operation {unknown[0]}" if unknown else ""

    def command(self, engine: str = "") -> "list[str]":
        """The command that runs it."""
        run = self.of("run")
        argv = [sys.executable, str(BUNDLED), "--engine", engine]
        for pair in run.get("env", {}).items():
            argv += ["--env", "=".join(pair)]
        if run.get("root"):
            argv += ["--root", str(self.module.parent / run["root"])]
        return [*argv, str(self.module), *run.get("args", [])]

    def failures(self, engine: str = "") -> "list[str]":
        """Run it; what was not as expected, in words."""
        given = "".join(each.get("payload", "") for each in self.operations if each["type"] == "write")
        try:
            done = subprocess.run(
                self.command(engine), input=given, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return [f"not done within {SECONDS} s"]
        wanted = self.of("wait").get("exit_code", 0)
        found = []
        if done.returncode != wanted:
            found.append(f"exit status {done.returncode}, expected {wanted}; stderr: {done.stderr.strip()}")
        for stream in ("stdout", "stderr"):
            if (text := self.expected(stream)) is not None and not getattr(done, stream).startswith(text):
                found.append(f"{stream} {getattr(done, stream)!r}, expected {text!r}")
        return found

    def expected(self, stream: str) -> "str | None":
        """What is to be read from a stream, None if nothing is asked."""
        reads = [each for each in self.operations if each["type"] == "read" and each.get("id", "stdout") == stream]
        return "".join(each.get("payload", "") for each in reads) if reads else None


def operations(spec: "dict[str, Any]") -> "list[dict[str, Any]]":
    """The steps of a test; the older form names the same things at the top level."""
    if "operations" in spec:
        found: "list[dict[str, Any]]" = spec["operations"]
        return found
    reads = [{"type": "read", "id": name, "payload": spec[name]} for name in ("stdout", "stderr") if name in spec]
    run = {key: spec[key] for key in ("args", "env", "root") if key in spec}
    return [{"type": "run", **run}, *reads, {"type": "wait", "exit_code": spec.get("exit_code", 0)}]


def cases(checkout: Path) -> "Iterator[Case]":
    """Every test with a binary below a checkout of the suite."""
    for manifest in sorted(checkout.glob("tests/*/testsuite/*/manifest.json")):
        level = json.loads(manifest.read_text())["version"]
        for module in sorted(manifest.parent.glob("*.wasm")):
            yield Case(module, level)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--engine", default="", help="as in the annotation run.oci.handler; default: the first found")
    asked = parser.parse_args()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for case in cases(asked.checkout):
        if case.skipped():
            counts["skipped"] += 1
            continue
        failures = case.failures(asked.engine)
        counts["failed" if failures else "passed"] += 1
        for text in failures:
            print(f"{case.name}: {text}", flush=True)
    if not sum(counts.values()):
        print(f"{asked.checkout}: no tests/*/testsuite/*/manifest.json with binaries beside it", file=sys.stderr)
        return 1
    seconds = sum(os.times()[:4])
    print(", ".join(f"{number} {kind}" for kind, number in counts.items()) + f"; {seconds:.1f} CPU seconds")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
