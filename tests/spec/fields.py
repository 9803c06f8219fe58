"""Every path that a configuration record knows, read from the records themselves."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pyruntime.config
from pyruntime.config.record import Record
from pyruntime.config.spec import Config

FOLDER = Path(pyruntime.config.__file__ or "").parent


def records() -> "dict[str, type[Record]]":
    """Every record class below `pyruntime.config`, by name."""
    for file in sorted(FOLDER.glob("*.py")):
        importlib.import_module(f"pyruntime.config.{file.stem}")
    found: "dict[str, type[Record]]" = {}
    todo = [Record]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind is not Record and kind.__module__.startswith("pyruntime.config."):
            assert kind.__name__ not in found, f"two records are called {kind.__name__}"
            found[kind.__name__] = kind
    return found


def config_paths() -> "list[str]":
    """All paths of config.json: `a.b`, `a[].b` for the elements of a list, `a{}.b` for those of a map."""
    return list(_paths(Config, "", records()))


def _paths(kind: "type[Record]", prefix: str, known: "dict[str, type[Record]]") -> "Iterator[str]":
    for key, field in kind._fields.items():
        annotation = kind.__annotations__[field.name]
        words = re.findall(r"\w+", annotation if isinstance(annotation, str) else annotation.__name__)
        yield prefix + key
        inner = [known[word] for word in words if word in known]
        mark = "[]" if "list" in words else "{}" if "dict" in words else ""
        for record in inner:
            yield from _paths(record, f"{prefix}{key}{mark}.", known)
