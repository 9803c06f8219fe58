"""Runs the files of a bats suite against two runtimes and compares. scripts/conformance prepares and calls it.

One file at a time, first the one runtime, then the other. bats gets a terminal of its own as stdin, without which most
tests with a foreground container fail for any runtime, and a PID namespace: a test that hangs is killed with all it
started, counted as failed, and bats goes on with the next. With --systemd there is no PID namespace, as systemd is told
numbers of processes that it has to find: what a file leaves behind then comes to this process, and is killed.
"""

import argparse
import contextlib
import ctypes
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

TREE = Path(__file__).resolve().parents[2]
UNIFIED = TREE / "scripts" / "lib" / "unified"
RESULT = re.compile(r"(not ok|ok) \d+ (.*?)(?: # skip ?(.*?))?(?: in \d+ms)?$")
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


def names_in(file: Path) -> "list[str]":
    """The tests of a file, in order, as bats prints them."""
    return [
        match[1].replace('\\"', '"').replace("\\$", "$")
        for match in re.finditer(r'^\s*@test "(.*)" \{', file.read_text(), re.M)
    ]


@contextlib.contextmanager
def terminal() -> "Iterator[int]":
    """A terminal that nobody types on; what is written to it is thrown away, as a full one would stop its writers."""
    master, slave = pty.openpty()

    def drain() -> None:
        with contextlib.suppress(OSError):
            while os.read(master, 65536):
                pass

    threading.Thread(target=drain, daemon=True).start()
    try:
        yield slave
    finally:
        os.close(slave)


class Runner:
    """Runs files of the suite with one runtime."""

    def __init__(self, name: str, runtime: Path, options: argparse.Namespace) -> None:
        self.name = name
        self.patience: int = options.patience
        self.systemd: bool = options.systemd
        self.logs: Path = options.results / name
        self.scratch: Path = options.scratch / ("tmp-" + name)
        for each in (self.logs, self.scratch, options.scratch / name):
            each.mkdir(parents=True, exist_ok=True)
        self.runtime = as_runc(runtime, options.scratch / name)

    def run(self, file: Path) -> "dict[str, str]":
        """What became of each test of a file; what bats says goes to a log of the file's name."""
        left = names_in(file)
        results: dict[str, str] = {}
        with (self.logs / (file.stem + ".tap")).open("w", buffering=1) as log:
            while left:
                done, hung = self.bats(file, left if results else [], log)
                results |= done
                rest = [name for name in left if name not in results]
                if not hung or not rest:
                    break
                log.write(f"not ok {rest[0]} # nothing was said for {self.patience} s: killed\n")
                results[rest[0]] = FAILED
                left = rest[1:]
        return dict.fromkeys(names_in(file), FAILED) | results

    def bats(self, file: Path, names: "list[str]", log: TextIO) -> "tuple[dict[str, str], bool]":
        """Run bats once, for all tests or those named: their results, and whether it had to be killed."""
        argv = ["setsid", "--ctty", "--wait", *([] if self.systemd else namespaces()), "bats", "--tap"]
        if names:
            argv += ["--filter", "^(" + "|".join(map(pattern, names)) + ")$"]
        environment = {
            **os.environ,
            "RUNC": str(self.runtime),
            "TMPDIR": str(self.scratch),
            "GIT_ALLOW_PROTOCOL": "file",  # a test that clones from the network fails at once
            **({"RUNC_USE_SYSTEMD": "1"} if self.systemd else {}),
        }
        with (
            terminal() as stdin,
            subprocess.Popen(
                [*argv, str(file)], env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process,
        ):
            results, hung = {}, False
            for line in lines_of(process, self.patience):
                hung = line is None
                log.write(f"{line}\n" if line is not None else "")
                if match := RESULT.match(line or ""):
                    verdict, name, skipped = match.groups()
                    results[name] = SKIPPED if skipped is not None else PASSED if verdict == "ok" else FAILED
        if self.systemd:
            end_what_is_left()
        return results, hung


def as_runc(runtime: Path, folder: Path) -> Path:
    """The runtime by a name that the suite knows, as one that takes runc's place is installed: a link, if need be."""
    if runtime.name == "runc":
        return runtime
    link = folder / "runc"
    link.unlink(missing_ok=True)
    link.symlink_to(runtime)
    return link


def adopt() -> None:
    """Become the parent of what this process's descendants leave behind, and reap it: tests wait until it is gone."""

    def reap(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    signal.signal(signal.SIGCHLD, reap)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_what_is_left() -> None:
    """Kill children until there are none: those of a killed one come to this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while left := children.read_text().split():
        for pid in map(int, left):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def namespaces() -> "list[str]":
    """The command that gives bats a PID namespace, and a unified cgroup tree where the host has none."""
    if "cgroup2fs" not in subprocess.check_output(["stat", "-f", "-c", "%T", "/sys/fs/cgroup"], text=True):
        return [str(UNIFIED)]
    private = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*private, "bash", "-c", '"$@"; exit $?', "init"]  # not exec: PID 1 reaps


def pattern(name: str) -> str:
    """A regular expression of bash for a name; what either of them may see as special is any character."""
    return re.sub(r"[^\w ,/:=-]", ".", name)


def lines_of(process: "subprocess.Popen[bytes]", patience: int) -> "Iterator[str | None]":
    """What a command says, line by line; None and its end if it says nothing for so many seconds."""
    assert process.stdout is not None
    text = b""
    while select.select([process.stdout], [], [], patience)[0]:
        data = os.read(process.stdout.fileno(), 65536)
        if not data:
            return
        *lines, text = (text + data).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
    process.terminate()  # unified ends all it has started
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    process.kill()
    yield None


def count(results: "dict[str, str]") -> str:
    """Cells of the table: passed, failed, skipped."""
    verdicts = list(results.values())
    return " | ".join(str(verdicts.count(each)) for each in (PASSED, FAILED, SKIPPED))


def version(runtime: Path) -> str:
    """The first line of --version."""
    return subprocess.run([runtime, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]


def files(suite: Path, wanted: "list[str]") -> "list[Path]":
    """The files of the suite, or those named."""
    if not wanted:
        return sorted(suite.glob("*.bats"))
    found = [suite / (name.removesuffix(".bats") + ".bats") for name in wanted]
    for file in found:
        if not file.exists():
            sys.exit(f"conformance: {file.name}: no such file in the suite")
    return found


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/conformance")
    parser.add_argument("--suite", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, default=TREE / "bin" / "pyruntime")
    parser.add_argument("--reference", type=Path, default=shutil.which("runc"))
    parser.add_argument("--results", type=Path)
    parser.add_argument("--systemd", action="store_true", help="cgroups are systemd's: runc's --systemd-cgroup")
    parser.add_argument("--patience", type=int, default=180, help="seconds of silence after which a test hangs")
    parser.add_argument("tests", nargs="*")
    given = parser.parse_args()
    given.results = given.results or given.scratch / "results"
    return given


def main() -> int:
    """Run all, print the table and the differences. 1 if the reference passed a test that the runtime did not."""
    given = options()
    if given.systemd:
        adopt()
    reference = Runner(Path(given.reference).name, Path(given.reference), given)
    runtime = Runner(given.runtime.name, given.runtime, given)
    told = [f"{each.name}: {version(each.runtime)}" for each in (reference, runtime)]
    print(" | ".join(told) + "; each: passed | failed | skipped\n")
    print(
        "| file | "
        + " | ".join(
            [
                *(f"{reference.name} {each}" for each in (PASSED, FAILED, SKIPPED)),
                *(f"{runtime.name} {each}" for each in (PASSED, FAILED, SKIPPED)),
            ]
        )
        + " |"
    )
    print("|---" * 7 + "|")
    theirs: dict[str, str] = {}
    ours: dict[str, str] = {}
    for file in files(given.suite, given.tests):
        one, other = reference.run(file), runtime.run(file)
        print(f"| {file.stem} | {count(one)} | {count(other)} |", flush=True)
        theirs |= {f"{file.stem}: {name}": verdict for name, verdict in one.items()}
        ours |= {f"{file.stem}: {name}": verdict for name, verdict in other.items()}
    print(f"| all | {count(theirs)} | {count(ours)} |")
    missing = [name for name, verdict in theirs.items() if verdict == PASSED and ours[name] != PASSED]
    gained = [name for name, verdict in ours.items() if verdict == PASSED and theirs[name] != PASSED]
    print(f"\n{len(missing)} tests that {reference.name} passes and {runtime.name} does not:")
    print("".join(f"  {name} ({ours[name]})\n" for name in missing))
    print(f"{len(gained)} tests that {runtime.name} passes and {reference.name} does not:")
    print("".join(f"  {name} ({theirs[name]})\n" for name in gained))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
