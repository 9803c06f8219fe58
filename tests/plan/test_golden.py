"""The plans of the example bundles, as text that a change of the plan changes visibly.

With PYRUNTIME_GOLDEN=update in the environment the files are written anew instead of compared.
"""

import json
import os
from pathlib import Path

import pytest

from pyruntime.config.spec import Config
from pyruntime.engine.select import detect
from tests.plan.made import facts, plan, request

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
BUNDLES = sorted(path.parent.name for path in (ROOT / "examples" / "bundles").glob("*/config.json"))
PREAMBLE = b"\0asm\1\0\0\0"


def open_program(path: str) -> int:
    """A descriptor of what a bundle would have at this path: a module by its name, else a native program."""
    fd = os.memfd_create(path.rpartition("/")[2])
    os.pwrite(fd, PREAMBLE if path.endswith(".wasm") else b"\x7fELF", 0)
    return fd


def explained(name: str) -> str:
    text = (ROOT / "examples" / "bundles" / name / "config.json").read_text(encoding="utf-8")
    document = json.loads(text.replace("@BUNDLE@", "/bundle"))
    config = Config.read(document, "")
    asked = request(name)
    if config.process is not None and config.process.terminal:
        asked.console_socket = "/run/console"
    steps = plan(document, facts(module=detect(config, open_program)), asked)
    lines = [f"{step.lane} {type(step).__name__}: {step.describe()} [{step.because}]" for step in steps]
    return "\n".join(lines) + "\n"


def test_there_are_bundles() -> None:
    assert {"hello", "hooks", "rootless", "hello-wasm"} <= set(BUNDLES)
    assert {path.stem for path in GOLDEN.glob("*.txt")} <= set(BUNDLES), "a golden plan without its bundle"


@pytest.mark.parametrize("name", BUNDLES)
def test_the_plan_is_the_golden_one(name: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("PYRUNTIME_GOLDEN") == "update":
        file.write_text(explained(name), encoding="utf-8")
    assert explained(name) == file.read_text(encoding="utf-8")
