"""The plans of the example bundles, as text that a change of the plan changes visibly.

With PYRUNTIME_GOLDEN=update in the environment the files are written anew instead of compared.
"""

import json
import os
from pathlib import Path

import pytest

from pyruntime.cgroup.systemd.manager import About
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


def explained(name: str, systemd: bool = False) -> str:
    text = (ROOT / "examples" / "bundles" / name / "config.json").read_text(encoding="utf-8")
    document = json.loads(text.replace("@BUNDLE@", "/bundle"))
    config = Config.read(document, "")
    asked = request(name)
    if config.process is not None and config.process.terminal:
        asked.console_socket = "/run/console"
    found = facts(module=detect(config, open_program))
    if systemd:
        asked.systemd = True
        found.systemd = About("/run/dbus/system_bus_socket", False, 257, "/")
    steps = plan(document, found, asked)
    lines = [f"{step.lane} {type(step).__name__}: {step.describe()} [{step.because}]" for step in steps]
    return "\n".join(lines) + "\n"


def test_there_are_bundles() -> None:
    assert {"hello", "hooks", "rootless", "hello-wasm"} <= set(BUNDLES)
    stems = {path.stem.removesuffix("-systemd") for path in GOLDEN.glob("*.txt")}
    assert stems <= set(BUNDLES), "a golden plan without its bundle"


def compare(text: str, file: Path) -> None:
    if os.environ.get("PYRUNTIME_GOLDEN") == "update":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BUNDLES)
def test_the_plan_is_the_golden_one(name: str) -> None:
    compare(explained(name), GOLDEN / f"{name}.txt")


def test_the_plan_with_systemd_is_the_golden_one() -> None:
    compare(explained("limits", systemd=True), GOLDEN / "limits-systemd.txt")
