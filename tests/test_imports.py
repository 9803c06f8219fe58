"""Imports go one way: the table of layers in docs/design/architecture.md is the rule, and is read from there."""

import ast
import re
from pathlib import Path

import pytest

from pyruntime.cli.options import LOOK, VERBS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pyruntime"
EVERYTHING = {entry.stem for entry in PACKAGE.iterdir() if not entry.name.startswith("__")}
HEAVY = {
    *("argparse", "collections", "contextlib", "ctypes", "dataclasses", "enum", "functools", "json", "logging"),
    *("os", "pathlib", "re", "shutil", "signal", "socket", "struct", "subprocess", "tempfile", "typing"),
}


def allowed_layers(cell: str) -> "set[str]":
    named = set(re.findall(r"`(\w+)`", cell))
    return EVERYTHING - named if cell.startswith("everything") else named


def layers() -> "tuple[dict[str, set[str]], set[str]]":
    """What each package may import, and the modules that belong to everyone."""
    text = (
        (ROOT / "docs/design/architecture.md")
        .read_text(encoding="utf-8")
        .partition("## Layers")[2]
        .partition("\n## ")[0]
    )
    rows = re.findall(r"^\| `(\w+)/` \|.*\| ([^|]+) \|$", text, re.MULTILINE)
    everyone = re.search(r"^(.*) belong to everyone", text, re.MULTILINE)
    assert rows, "the table of layers is gone"
    assert everyone, "the line about what belongs to everyone is gone"
    return {name: allowed_layers(cell) for name, cell in rows}, set(re.findall(r"`(\w+)\.py`", everyone[1]))


LAYERS, EVERYONE = layers()
LAYERS["launch"] = {"cli"}
LAYERS["pack"] = {"launch"}


class Import:
    """One module that a file imports: its absolute name, and whether a type checker alone or a function asks for it."""

    def __init__(self, name: str, line: int, typing_only: bool, at_top: bool) -> None:
        self.name = name
        self.line = line
        self.typing_only = typing_only
        self.at_top = at_top


def absolute(node: ast.ImportFrom, package: "list[str]") -> str:
    if not node.level:
        return node.module or ""
    base = package[: len(package) - node.level + 1]
    return ".".join(base + ([node.module] if node.module else []))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports_of(tree: ast.AST, package: "list[str]", typing_only: bool = False, at_top: bool = True) -> "list[Import]":
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, typing_only, at_top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, package)
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "pyruntime" else [base]
            found += [Import(name, node.lineno, typing_only, at_top) for name in names]
        else:
            inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            found += imports_of(node, package, typing_only or is_type_checking(node), at_top and not inside)
    return found


def read(path: Path) -> "list[Import]":
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return imports_of(ast.parse(path.read_text(encoding="utf-8")), parts[:-1])


def layer_of(module: str) -> str:
    words = module.split(".")
    return words[1] if len(words) > 1 else ""


FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]


def test_every_package_has_its_row() -> None:
    assert EVERYTHING - set(LAYERS) - EVERYONE == set()
    assert LAYERS["cgroup"] == {"kernel"}
    assert LAYERS["config"] == set()


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_imports_go_down_the_layers_only(path: Path) -> None:
    own = layer_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    allowed = LAYERS.get(own, set()) | EVERYONE | {own}
    wrong = [
        f"{path.name}:{item.line} imports {item.name}"
        for item in read(path)
        if item.name.split(".")[0] == "pyruntime" and not item.typing_only and layer_of(item.name) not in allowed
    ]
    assert wrong == []


def test_only_the_base_of_steps_is_known_to_the_walk() -> None:
    files = [path for path in FILES if path.parent.name == "walk"]
    names = {item.name for path in files for item in read(path) if layer_of(item.name) == "steps"}
    assert files
    assert names <= {"pyruntime.steps.base"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def loads(item: Import) -> bool:
    return item.at_top and not item.typing_only


COLD = {f"pyruntime.cli.verbs.{verb.name}" for verb in VERBS.values() if verb.group == LOOK}


def test_what_is_heavy_is_never_loaded_by_a_module_that_is_not() -> None:
    """A module that needs something heavy is itself imported inside functions only; `look` is cold altogether."""
    everything = {module_of(path): [item for item in read(path) if loads(item)] for path in FILES}
    heavy = {name for name, items in everything.items() if any(item.name.split(".")[0] in HEAVY for item in items)}
    wrong = [
        f"{name}:{item.line} imports {item.name}"
        for name, items in everything.items()
        for item in items
        if item.name in heavy and name not in heavy and layer_of(name) != "look" and name not in COLD
    ]
    assert wrong == []


def test_the_reader_sees_every_form_of_import() -> None:
    source = (
        "import re\nfrom . import errors\nfrom ..kernel.ns import x\nif TYPE_CHECKING:\n    import typing\n"
        "def f():\n    from pyruntime import look\n"
    )
    found = imports_of(ast.parse(source), ["pyruntime", "cgroup"])
    assert [(item.name, item.typing_only, item.at_top) for item in found] == [
        ("re", False, True),
        ("pyruntime.cgroup", False, True),
        ("pyruntime.kernel.ns", False, True),
        ("typing", True, True),
        ("pyruntime.look", False, False),
    ]
