"""A hello as a whole container, as WebAssembly and as a Linux program: ours with each engine, beside crun's.

    wasm.py [--rounds 15] [--json]

A round is one `run` of each candidate, one after the other, so that what else the machine does falls on all alike. CPU
is user and system time of the command and of all that it waited for, the container's process among them; peak is the
largest resident set of any of these processes. Compiled modules are in the cache before the first round. crun counts
if it was built with a Wasm handler; Debian 13's is (`+WASM:wasmedge`), with libwasmedge0 installed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
sys.path.append(str(TREE))

from pyruntime.engine.engines import survey  # noqa: E402 - the path is set first
from pyruntime.engine.wasmtime import Wasmtime, _binary  # noqa: E402

LAUNCHER = TREE / "bin/pyruntime"
HELLO = b"""(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00") (data (i32.const 16) "hello\\n")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""

Costs = dict[str, list[float]]
Command = Callable[[str], list[str]]


def module() -> bytes:
    """The hello as a binary, which every engine takes. Raises Error without the wasmtime package."""
    engine = Wasmtime()
    engine.probe()
    return _binary(engine._load(), HELLO)


def bundle(folder: Path, name: str, arguments: "list[str]", handler: str) -> Path:
    """A bundle over the common rootfs; `handler` is the value of the annotation, "" for none."""
    made = folder / name
    made.mkdir()
    subprocess.run([LAUNCHER, "spec", "-b", made], check=True, stdout=subprocess.DEVNULL)
    path = made / "config.json"
    config = json.loads(path.read_text())
    config["root"] = {"path": str(folder / "rootfs"), "readonly": True}
    config["process"].update(terminal=False, args=arguments)
    if handler:
        config["annotations"] = {"run.oci.handler": handler}
    path.write_text(json.dumps(config))
    return made


def rootfs(folder: Path) -> None:
    """One root file system for all: a busybox and the module."""
    for name in ("bin", "dev", "proc", "sys", "tmp", "etc"):
        (folder / "rootfs" / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", folder / "rootfs/bin/echo")
    (folder / "rootfs/hello.wasm").write_bytes(module())
    (folder / "rootfs/hello.wasm").chmod(0o755)


def candidates(folder: Path) -> "dict[str, Command]":
    """The command line of each, but for the container's id."""
    wasm, linux = ["/hello.wasm"], ["/bin/echo", "hello"]
    names = [answer.name for answer in survey() if answer.abilities]
    found = {f"pyruntime, {name}": (LAUNCHER, bundle(folder, name, wasm, name)) for name in names}
    found["pyruntime, Linux"] = (LAUNCHER, bundle(folder, "linux", linux, ""))
    crun = shutil.which("crun")
    if crun:
        found["crun, Linux"] = (Path(crun), found["pyruntime, Linux"][1])
        if "+WASM" in subprocess.run([crun, "--version"], capture_output=True, text=True).stdout:
            found["crun, its Wasm"] = (Path(crun), bundle(folder, "crun", wasm, "wasm"))
    return {name: commander(folder, tool, made) for name, (tool, made) in found.items()}


def commander(folder: Path, tool: Path, made: Path) -> Command:
    return lambda name: [str(tool), "--root", f"{folder}/state-{tool.name}", "run", "-b", str(made), name]


def once(folder: Path, command: "list[str]") -> "dict[str, float]":
    """One container from beginning to end: CPU ms, wall ms, peak kB. Raises CalledProcessError.

    busybox's `time` starts the command, since the peak of a process counts that of the one it was forked from.
    """
    report = folder / "time"
    watched = ["busybox", "time", "-v", "-o", str(report), *command]
    pid = os.posix_spawnp(watched[0], watched, os.environ, file_actions=_files(folder / "out"))
    _, status, usage = os.wait4(pid, 0)
    text = (folder / "out").read_text()
    if status or text != "hello\n":
        raise subprocess.CalledProcessError(status, command, text)
    said = dict(line.strip().rsplit(": ", 1) for line in report.read_text().splitlines() if ": " in line)
    minutes, seconds = said["Elapsed (wall clock) time (h:mm:ss or m:ss)"].replace("m ", ":").rstrip("s").split(":")
    return {
        "CPU ms": (usage.ru_utime + usage.ru_stime) * 1000,
        "wall ms": (int(minutes) * 60 + float(seconds)) * 1000,
        "peak kB": float(said["Maximum resident set size (kbytes)"]),
    }


def _files(output: Path) -> "list[tuple[int, int, str, int, int] | tuple[int, int, int]]":
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(output), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]


def measured(folder: Path, rounds: int) -> "dict[str, Costs]":
    """Every candidate's costs, a value for each round."""
    chosen = candidates(folder)
    found: "dict[str, Costs]" = {name: {} for name in chosen}
    for number in range(-1, rounds):
        for place, (name, command) in enumerate(chosen.items()):
            cost = once(folder, command(f"bench-wasm-{os.getpid()}-{place}-{number + 1}"))
            if number >= 0:  # the first warms the cache, of modules and of files
                for kind, value in cost.items():
                    found[name].setdefault(kind, []).append(value)
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if os.geteuid():
        parser.error("needs root: the containers are root's")
    with tempfile.TemporaryDirectory(prefix="pyruntime-bench-wasm-") as name:
        folder = Path(name)
        rootfs(folder)
        found = measured(folder, asked.rounds)
    if asked.json:
        print(json.dumps(found))
        return 0
    print(f"one hello, whole container, {asked.rounds} rounds: least (median)")
    for name, costs in found.items():
        cells = [f"{kind} {min(values):8.1f} ({statistics.median(values):8.1f})" for kind, values in costs.items()]
        print(f"{name:22} {'   '.join(cells)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
