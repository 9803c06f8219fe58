"""The Wasm engines, each asked by loading it."""

import sys
import time
from collections.abc import Iterator

from pyruntime.engine import engines
from pyruntime.engine.find import installing
from pyruntime.look.doctor.verdict import FAIL, Verdict, fail, ok, warn

_NONE = "no Wasm engine runs here"
_FIX = f"{sys.executable} -m {installing('wasmtime')}, as root"


def optional() -> "Iterator[Verdict]":
    """For who runs Linux containers, it is no need."""
    for verdict in found():
        yield warn(_NONE, _FIX) if verdict.level == FAIL else verdict


def found() -> "Iterator[Verdict]":
    """One that runs is enough; the first is wasmtime."""
    begin = time.process_time()
    answers = engines.survey()
    spent = (time.process_time() - begin) * 1000
    able = [answer for answer in answers if answer.abilities]
    for answer in able:
        yield ok(f"{answer.name} {answer.version}")
    if not able:
        for answer in answers:
            yield warn(answer.reason)
        yield fail(_NONE, _FIX)
    else:
        yield ok(f"looking for all engines took {spent:.0f} ms of CPU")
