"""The documentation is true: its commands are run, its links lead somewhere, its tables say what the code says."""

import ast
import errno
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyruntime.cgroup import tree
from pyruntime.cgroup.systemd import variants
from pyruntime.engine import annotations, select

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES += [page for folder in ("docs", "examples", "spec") for page in sorted((ROOT / folder).rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"^<!-- console: ([\w ]+) -->$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
MARK = "\x1e"


def named(pages: "list[Path]") -> "dict[str, Any]":
    """Arguments for parametrize, with the pages' names."""
    return {"argvalues": pages, "ids": [str(page.relative_to(ROOT)) for page in pages]}


def blocks(page: Path, language: str) -> "list[str]":
    """The content of a page's fenced blocks of one language."""
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def section(page: str, title: str) -> str:
    """What a page says below a heading, to the next one of its level."""
    found = (ROOT / page).read_text(encoding="utf-8").partition(f"\n## {title}\n")[2]
    assert found, f"{page} has no section {title}"
    return found.partition("\n## ")[0]


def rows(text: str) -> "list[list[str]]":
    """The body rows of the tables in a text, as lists of cells."""
    tables = re.findall(r"^\|[-|]+\|\n((?:\|.*\n?)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for table in tables for line in table.splitlines()]


def quoted(cell: str) -> "list[str]":
    """The words between backticks."""
    return re.findall(r"`([^`]+)`", cell)


# Commands and what they print


class Command:
    """A command of a console block and the lines that are to follow."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.expected: "list[str]" = []

    def matches(self, output: str) -> bool:
        """Whether this is what was printed; trailing blanks do not count."""
        pattern = "".join(
            r"(?:[^\n]*\n)*" if line == "…" else re.escape(line.rstrip()).replace("…", r"[^\n]*") + r"[^\S\n]*\n"
            for line in self.expected
        )
        text = output if not output or output.endswith("\n") else f"{output}\n"
        return re.fullmatch(pattern, text) is not None


def commands(page: Path) -> "list[Command]":
    """All commands of a page."""
    found: "list[Command]" = []
    for text in blocks(page, "console"):
        assert text.startswith("$ "), f"{page.name}: a console block begins with a command"
        for line in text.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:]))
            else:
                found[-1].expected.append(line)
    return found


def has_engine(launcher: Path) -> bool:
    done = subprocess.run([launcher, "features"], capture_output=True, check=True)
    return any(
        name == f"pyruntime.wasm.{engine}"
        for engine in select.ENGINES
        for name in json.loads(done.stdout)["annotations"]
    )


def controllers() -> "list[str]":
    """Those of the cgroup v2 tree's top."""
    file = Path(tree.read_tree().mount or "/nonexistent") / "cgroup.controllers"
    return file.read_text().split() if file.exists() else []


def demand(need: str, launcher: Path) -> None:
    """Skip where the page's commands can't run."""
    if need == "root":
        if os.geteuid() != 0:
            pytest.skip("needs root: its commands run containers")
    elif need == "busybox":
        if shutil.which("busybox") is None:
            pytest.skip("needs a static busybox (Debian: busybox-static)")
    elif need == "wasm":
        if not has_engine(launcher):
            pytest.skip("needs a Wasm engine: pip install wasmtime")
    elif need == "controllers":
        if not {"memory", "pids"} <= set(controllers()):
            pytest.skip("needs the memory and pids controllers in the cgroup v2 tree")
    else:
        pytest.fail(f"no test knows what {need!r} in a console comment means")


def script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def alone() -> "Iterator[None]":
    """One page at a time, whoever tests: their ids are short, and name cgroups of the host."""
    with open(__file__, "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def place(alone: None, launcher: Path, tmp_path: Path) -> "Iterator[Path]":
    """A folder with bin/ and examples/, where every pyruntime has a state root of its own; no container survives it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    state = tmp_path / "state"
    script(tmp_path / "bin", "pyruntime", f'exec "{launcher}" --root "{state}" "$@"')
    script(tmp_path / "bin", "sudo", 'exec "$@"')
    yield tmp_path
    for name in os.listdir(state) if state.exists() else []:
        subprocess.run([launcher, "--root", state, "delete", "--force", name], check=True, timeout=60)


def carry_out(wanted: "list[Command]", place: Path) -> "list[str]":
    """What each command printed. Into a file: containers that go on living would hold a pipe open."""
    path = f"{place / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    lines = "\n".join(f"{each.line}\nstatus=$?; printf '{MARK}'; (exit $status)" for each in wanted)
    with (place / "output").open("wb") as output:
        subprocess.run(
            ["bash", "-c", lines],
            cwd=place,
            env={"PATH": path, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=120,
        )
    return (place / "output").read_text(encoding="utf-8").split(MARK)


@pytest.mark.parametrize("page", **named([page for page in PAGES if blocks(page, "console")]))
def test_commands_print_what_the_page_shows(page: Path, launcher: Path, place: Path) -> None:
    needs = NEEDS.search(page.read_text(encoding="utf-8"))
    for need in needs[1].split() if needs else []:
        demand(need, launcher)
    wanted = commands(page)
    printed = carry_out(wanted, place)
    assert len(printed) == len(wanted) + 1, f"not all commands ended: {printed}"
    for command, output in zip(wanted, printed, strict=False):
        assert command.matches(output), f"$ {command.line}\nprinted\n{output}\nexpected\n" + "\n".join(command.expected)


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        (["a"], "a\n", True),
        (["a"], "b\n", False),
        ([], "a\n", False),
        (["a … c", "…"], "a b c\nd\ne\n", True),
        (["a … c"], "a b\nc\n", False),
        (["a"], "a  ", True),
    ],
)
def test_the_comparison_is_strict(expected: "list[str]", output: str, same: bool) -> None:
    command = Command("x")
    command.expected = expected
    assert command.matches(output) is same


# Other blocks, and links


@pytest.mark.parametrize("page", **named(PAGES))
def test_blocks_can_be_read(page: Path) -> None:
    for text in blocks(page, "sh"):
        subprocess.run(["bash", "-n"], input=text, text=True, check=True, timeout=10)
    for text in blocks(page, "json"):
        json.loads(text)
    if sys.version_info >= (3, 11):
        import tomllib

        for text in blocks(page, "toml"):
            tomllib.loads(text)


def anchors(page: Path) -> "set[str]":
    """The anchors that headings make."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", **named(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    listed = {(ROOT / "docs" / link).resolve() for link in LINK.findall(index)}
    assert {page for page in PAGES if page.parent.parent == ROOT / "docs"} <= listed


# Tables


def test_the_command_line_reference_is_current() -> None:
    maker = [sys.executable, str(ROOT / "scripts/lib/cli_reference.py")]
    made = subprocess.run(maker, capture_output=True, check=True, timeout=30).stdout.decode()
    assert made == (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8"), "run scripts/lib/cli_reference.py"


def literals() -> "set[str]":
    """Every text in the source, with `…` for what is filled in."""
    found: "set[str]" = set()
    for path in (ROOT / "pyruntime").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.add("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
    return found


def test_texts_that_callers_match_are_in_the_code() -> None:
    texts = literals()
    table = rows(section("docs/reference/errors.md", "Texts that engines and scripts match"))
    assert len(table) > 30
    for cells in table:
        wanted = quoted(cells[0])[0]
        assert any(wanted in text for text in texts), f"no code says {wanted}"


def test_the_readme_has_the_numbers_of_the_comparison_with_runc() -> None:
    """Both by hand, so that at least they are the same."""
    page = (ROOT / "docs/how-to/conformance.md").read_text(encoding="utf-8")
    (all_of_it,) = re.findall(r"^\| \*\*all\*\* \| (\d+) \| \d+ \| \d+ \| (\d+) \|", page, re.MULTILINE)
    told = re.search(r"runc passes (\d+) tests, pyruntime (\d+)\.", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert told is not None
    assert told.groups() == all_of_it


def test_words_of_the_kernel() -> None:
    table = rows(section("docs/reference/errors.md", "Words of the kernel"))
    assert len(table) == 5
    for text, name in table:
        assert quoted(text) == [os.strerror(getattr(errno, name)).lower()]


def test_the_annotations_are_those_that_are_read() -> None:
    text = (ROOT / "docs/reference/annotations.md").read_text(encoding="utf-8")
    names = {name for cells in rows(text) for name in quoted(cells[0])}
    properties = {name for name in names if name.startswith(variants.PREFIX)}
    assert properties
    names -= properties
    ours = {name for name in names if name.startswith(annotations.PREFIX)}
    assert names - ours == {select.HANDLER, select.VARIANT, *select._SANDBOX_MARKS}
    assert ours <= set(annotations.NAMES)
    assert ours >= {
        annotations.MEMORY,
        annotations.TIMEOUT,
        annotations.FUEL,
        annotations.PREOPENS,
        annotations.SECCOMP,
    }
    values = {value for cells in rows(text)[:4] for value in quoted(cells[1])}
    assert values == {f"{name}{end}" for name in ("wasm", *select.ENGINES) for end in ("", "-smart")}


@pytest.mark.root
def test_the_state_file_has_the_keys_that_are_listed(launcher: Path, place: Path) -> None:
    demand("busybox", launcher)
    build = Command("examples/bundles/hooks/build box")
    create = Command(f"pyruntime create --bundle box docs-{os.getpid()}")
    assert carry_out([build, create], place)[:2] == ["", ""]
    state = json.loads((place / f"state/docs-{os.getpid()}/state.json").read_text())
    common, ours = section("docs/reference/state-file.md", "state.json").split("Ours are for pyruntime alone")
    assert {quoted(cells[0])[0] for cells in rows(common)} == set(state)
    listed = {key for cells in rows(ours) for key in quoted(cells[0])}
    assert set(state["pyruntime"]) <= listed
    rare = {"resources", "seccomp", "personality", "memoryPolicy", "resctrl", "systemd"}
    assert listed - set(state["pyruntime"]) <= rare
