"""Programs that others compiled, run as containers: CPython, and a way from Verilog to the bits of a chip.

PYRUNTIME_WASM_PROGRAMS is a directory that scripts/wasm-programs has filled.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = os.environ.get("PYRUNTIME_WASM_PROGRAMS", "")
DRIVER = [sys.executable, str(Path(__file__).resolve().parents[2] / "benchmarks/programs.py")]
JOBS = (("cpython",), ("icepll",), ("yosys", "nextpnr", "icepack"))

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS, reason="needs PYRUNTIME_WASM_PROGRAMS, a directory of scripts/wasm-programs"),
]


@pytest.mark.parametrize("names", JOBS, ids="+".join)
def test_job(names: "tuple[str, ...]") -> None:
    done = subprocess.run([*DRIVER, PROGRAMS, *names], capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == list(names)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = subprocess.run([*DRIVER, tmp_path, "icepll"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "icepll.wasm is not there" in done.stdout
