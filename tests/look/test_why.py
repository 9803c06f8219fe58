"""Every kind of step has its entry, and every entry is worth reading."""

import importlib
from pathlib import Path

import pytest

import pyruntime.steps
from pyruntime.look.why import TABLE
from pyruntime.steps.base import Step

FOLDER = Path(pyruntime.steps.__file__ or "").parent


def kinds() -> "dict[str, type[Step]]":
    """Every subclass of Step that describes itself."""
    for file in FOLDER.glob("*.py"):
        importlib.import_module(f"pyruntime.steps.{file.stem}")
    found, todo = {}, [Step]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind.__module__.startswith("pyruntime.steps") and kind.describe is not Step.describe:
            found[kind.__name__] = kind
    return found


KINDS = kinds()


def test_every_kind_of_step_has_an_entry_and_every_entry_its_step() -> None:
    assert {"Clone", "ChangeRoot", "Execve"} <= set(KINDS)
    assert set(TABLE) == set(KINDS)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_an_entry_is_complete(name: str) -> None:
    entry = TABLE[name]
    assert len(entry.why) > 60
    assert entry.why.endswith(".")
    assert entry.calls
    assert entry.see
    assert entry.man
    assert entry.fails
    assert all(sign and meaning for sign, meaning in entry.fails)
    assert set(entry.needs) <= set(TABLE)
    assert name not in entry.needs
