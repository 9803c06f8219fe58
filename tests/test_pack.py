"""The packs: what a start runs from them, and when it had better not."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pyruntime import pack, packing

ROOT = Path(__file__).resolve().parent.parent
OURS = "/usr/bin/python3"
OTHERS = [f"python3.{minor}" for minor in range(10, 15)]


def works(python: str) -> bool:
    return shutil.which(python) is not None and not subprocess.run([python, "-c", ""], check=False).returncode


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the checkout, nothing compiled."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "pyruntime", tree / "pyruntime", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "bin", tree / "bin")
    return tree


def write(tree: Path, python: str = OURS) -> None:
    subprocess.run([python, "-IS", tree / "pyruntime" / "pack.py"], check=True, timeout=60)


def imported(tree: Path, verb: str = "state", python: str = OURS) -> "set[str]":
    """What asking for nobody imports in the ordinary way; modules that come from a pack are not listed."""
    words = ["--root", tree / "state", verb, "nobody", *(["true"] if verb == "exec" else [])]
    done = subprocess.run(
        [python, "-IBSXutf8", "-X", "importtime", tree / "bin" / "pyruntime", *words],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    missing = "config.json not found" if verb in ("create", "run") else "container does not exist: nobody"
    assert missing in done.stderr
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def is_used(tree: Path, python: str = OURS) -> bool:
    """Whether `state` runs from its pack; it works either way."""
    return "pyruntime.cli.verbs.state" not in imported(tree, python=python)


def pack_of(tree: Path, verb: str = "state") -> Path:
    return next((tree / "pyruntime" / "__pycache__").glob(f"pack-{verb}.*"))


def test_without_packs_everything_is_imported(tree: Path) -> None:
    assert not is_used(tree)


@pytest.mark.parametrize("verb", pack.VERBS)
def test_a_pack_holds_all_that_its_verb_imports(tree: Path, verb: str) -> None:
    write(tree)
    ours = {name for name in imported(tree, verb) if name.startswith("pyruntime")}
    assert ours == set()


@pytest.mark.parametrize("python", OTHERS)
def test_packs_work_with_every_python(tree: Path, python: str) -> None:
    if not works(python):
        pytest.skip(f"{python} is not installed")
    write(tree, python)
    assert is_used(tree, python)


def test_another_pythons_pack_is_not_used(tree: Path) -> None:
    write(tree)
    path = pack_of(tree)
    path.write_bytes(b"\0\0\r\n" + path.read_bytes()[4:])
    assert not is_used(tree)


def edited(source: Path) -> None:
    source.write_text(source.read_text() + "\nraise SystemExit('fresh code')\n")


def touched(source: Path) -> None:
    os.utime(source, (1, 1))


@pytest.mark.parametrize("change", [edited, touched])
def test_a_pack_is_not_used_once_a_source_has_changed(tree: Path, change: "Callable[[Path], None]") -> None:
    write(tree)
    assert is_used(tree)
    change(tree / "pyruntime" / "cli" / "verbs" / "state.py")
    done = subprocess.run([tree / "bin" / "pyruntime", "state", "nobody"], capture_output=True, text=True, check=False)
    assert ("fresh code" in done.stderr) == (change is edited)
    if change is touched:
        assert not is_used(tree)


@pytest.mark.parametrize("size", [0, 3, 4, 7, 100, -1])
def test_a_pack_cut_short_is_not_used(tree: Path, size: int) -> None:
    write(tree)
    path = pack_of(tree)
    path.write_bytes(path.read_bytes()[:size])
    assert not is_used(tree)


def test_what_a_damaged_pack_lacks_is_imported(tree: Path) -> None:
    write(tree)
    path = pack_of(tree)
    path.write_bytes(path.read_bytes()[:-40000] + bytes(40000))  # more than a part, for the verb may not be in the last
    assert not is_used(tree)


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_pack_that_others_may_write_is_not_used(tree: Path, mode: int) -> None:
    write(tree)
    pack_of(tree).chmod(mode)
    assert not is_used(tree)


@pytest.mark.root
def test_a_pack_of_another_owner_than_the_code_is_not_used(tree: Path) -> None:
    write(tree)
    os.chown(pack_of(tree), 65534, -1)
    assert not is_used(tree)


def test_packs_are_replaced_and_leave_nothing_else(tree: Path) -> None:
    write(tree)
    before = pack_of(tree).stat()
    write(tree)
    after = pack_of(tree).stat()
    assert (before.st_ino, before.st_size) != (after.st_ino, 0)
    assert after.st_mode & 0o777 == 0o644
    assert len(list(pack_of(tree).parent.glob("pack-*"))) == len(pack.VERBS) + len(packing.THEMES)


def test_a_flags_value_that_looks_like_a_verb_does_no_harm(tree: Path) -> None:
    write(tree)
    done = subprocess.run(
        [tree / "bin" / "pyruntime", "--root", "run", "state", "nobody"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, "container does not exist: nobody" in done.stderr) == (1, True)
