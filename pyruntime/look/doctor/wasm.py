"""The Wasm engines, each asked by loading it."""

import time
from collections.abc import Iterator

from pyruntime.engine import engines
from pyruntime.look.doctor.verdict import FAIL, Verdict, fail, ok, warn

_NONE, _FIX = "no Wasm engine runs here", "pip install wasmtime, as root and for /usr/bin/python3"


def optional() -> "Iterator[Verdict]":
    """For who runs Linux containers, it is no need."""
    for verdict in found():
        yield warn(_NONE, _FIX) if verdict.level == FAIL else verdict


def found() -> "Iterator[Verdict]":
    """One that runs is enough; the first is wasmtime."""
    begin = time.process_time()
    answers = engines.report()
    spent = (time.process_time() - begin) * 1000
    able = {name: text for name, text in answers.items() if text.startswith("version ")}
    for name, text in able.items():
        yield ok(f"{name} {text.removeprefix('version ')}")
    if not able:
        for text in answers.values():
            yield warn(text)
        yield fail(_NONE, _FIX)
    else:
        yield ok(f"looking for all engines took {spent:.0f} ms of CPU")
