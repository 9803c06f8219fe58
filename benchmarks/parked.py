"""What containers that wait cost: many of one kind at a time, and the memory of each one's process.

    parked.py [--count 30] [--engine NAME] [--json]

Kinds: a Wasm guest that sleeps in poll_oneoff, the same before `start`; a Linux container that runs busybox's sleep,
the same before `start`. Resident memory (RSS) counts pages that several processes share once for each of them,
proportional memory (PSS) divides them among those who have them: the second is what one more container costs.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import memory

TREE = Path(__file__).resolve().parent.parent
LAUNCHER = TREE / "bin/pyruntime"
SECONDS = 60  # for all of one kind to come to wait

# Prints a line, then waits an hour: a subscription (48 bytes) to the monotonic clock.
SLEEPER = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 512) "parked\\n")
  (func (export "_start")
    (i32.store (i32.const 256) (i32.const 512))
    (i32.store (i32.const 260) (i32.const 7))
    (drop (call $write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 264)))
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))
"""


def pyruntime(state: Path, *words: "str | Path", output: "Path | None" = None) -> None:
    """Call pyruntime; the container's stdout goes to `output`. Raises CalledProcessError."""
    with open(output or os.devnull, "wb") as file:
        subprocess.run([LAUNCHER, "--root", state, *words], stdin=subprocess.DEVNULL, stdout=file, check=True)


def wasm_bundle(folder: Path, engine: str) -> Path:
    """A bundle whose guest sleeps."""
    module = folder / "sleeper.wat"
    module.write_text(SLEEPER)
    pyruntime(folder / "state", "spec", "--wasm", module, "-b", folder / "wasm")
    if engine:
        path = folder / "wasm/config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps({**config, "annotations": {"run.oci.handler": engine}}))
    return folder / "wasm"


def linux_bundle(folder: Path) -> Path:
    """A bundle whose program sleeps."""
    bundle = folder / "linux"
    (bundle / "rootfs/bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", bundle / "rootfs/bin/sh")
    pyruntime(folder / "state", "spec", "-b", bundle)
    path = bundle / "config.json"
    config = json.loads(path.read_text())
    config["process"].update(terminal=False, args=["sh", "-c", "echo parked; exec sleep 3600"])
    path.write_text(json.dumps(config))
    return bundle


def parked(folder: Path, bundle: Path, count: int, start: bool) -> "dict[str, list[int]]":
    """Start `count` containers of a bundle and return the kB of each one's process; all are gone afterwards."""
    state, names = folder / "state", [f"parked-{os.getpid()}-{number}" for number in range(count)]
    try:
        for name in names:
            pyruntime(state, "create", "-b", bundle, "--pid-file", folder / name, name, output=folder / f"{name}.out")
            if start:
                pyruntime(state, "start", name)
        if start:
            await_all([folder / f"{name}.out" for name in names])
        found = [memory(int((folder / name).read_text())) for name in names]
    finally:
        for name in names:
            pyruntime(state, "delete", "--force", name)
    return {kind: [each[kind] for each in found] for kind in ("Rss", "Pss")}


def await_all(outputs: "list[Path]") -> None:
    """Wait until every guest has said that it is about to sleep, and a moment more. Raises TimeoutError."""
    end = time.monotonic() + SECONDS
    while not all(path.read_bytes() for path in outputs):
        if time.monotonic() > end:
            raise TimeoutError(f"not all containers were parked within {SECONDS} s")
        time.sleep(0.05)
    time.sleep(1)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--engine", default="", help="as in the annotation run.oci.handler; default: the first found")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if os.geteuid():
        parser.error("needs root: the containers are root's")
    with tempfile.TemporaryDirectory(prefix="pyruntime-parked-") as name:
        folder = Path(name)
        bundles = {"wasm": wasm_bundle(folder, asked.engine), "linux": linux_bundle(folder)}
        found = {
            f"{kind} {'running' if start else 'created'}": parked(folder, bundle, asked.count, start)
            for kind, bundle in bundles.items()
            for start in (True, False)
        }
    if asked.json:
        print(json.dumps(found))
        return 0
    print(f"{asked.count} at a time; kB of one container's process, median (least to most)")
    for kind, values in found.items():
        cells = [f"{name.upper()} {statistics.median(kb):7.0f} ({min(kb)} to {max(kb)})" for name, kb in values.items()]
        print(f"{kind:14} {'   '.join(cells)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
