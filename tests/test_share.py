"""Manual pages and completions, as the real programs take them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pyruntime.cli.options import GLOBALS, VERBS

ROOT = Path(__file__).resolve().parent.parent
LIB = ROOT / "scripts" / "lib"


def needs(program: str) -> "pytest.MarkDecorator":
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def made(script: str, *words: str) -> str:
    command = [sys.executable, str(LIB / script), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / shell).write_text(made("completions.py", shell))
    for name in ("b1", "web"):
        (tmp_path / "pyruntime" / name).mkdir(parents=True)
    return tmp_path


def bash(scripts: Path, *words: str) -> "set[str]":
    """What bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    text = f"""
    . {scripts}/bash
    COMP_WORDS=(pyruntime {line}); COMP_CWORD={len(words)}
    _pyruntime
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    command = ["bash", "--norc", "-eu", "-c", text]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20, cwd=scripts)
    assert found.stderr == ""
    return set(found.stdout.split())


def fish(scripts: Path, line: str) -> "set[str]":
    env = {**os.environ, "HOME": str(scripts), "XDG_RUNTIME_DIR": str(scripts)}
    text = f"source {scripts}/fish; complete -C '{line}'"
    command = ["fish", "--no-config", "-c", text]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20, env=env, cwd=scripts)
    return {row.split("\t")[0] for row in found.stdout.splitlines()}


def test_bash_offers_verbs_flags_ids_and_folders(scripts: Path) -> None:
    root = ("--root", str(scripts / "pyruntime"))
    assert bash(scripts, "res") == {"resume", "restore"}
    assert bash(scripts, "--roo") == {"--root", "--rootless"}
    assert bash(scripts, "run", "--bun") == {"--bundle"}
    assert bash(scripts, "--debug", "delete", "--f") == {"--force"}
    assert bash(scripts, *root, "delete", "") == {"b1", "web"}
    assert bash(scripts, *root, "exec", "-t", "w") == {"web"}
    assert bash(scripts, "run", "--bundle", "pyr") == {"pyruntime"}
    assert bash(scripts, "update", "--memory", "") == set()
    assert bash(scripts, "explain", "pyr") == {"pyruntime"}
    assert bash(scripts, "help", "ch") == {"check", "checkpoint"}


@needs("shellcheck")
def test_shellcheck_finds_nothing_in_the_bash_script(scripts: Path) -> None:
    subprocess.run(["shellcheck", "-s", "bash", str(scripts / "bash")], check=True, timeout=60)


@needs("fish")
def test_fish_offers_the_same(scripts: Path) -> None:
    assert fish(scripts, "pyruntime res") == {"resume", "restore"}
    assert "--bundle" in fish(scripts, "pyruntime run --bun")
    assert {"check", "checkpoint"} <= fish(scripts, "pyruntime help ch")


@needs("zsh")
def test_zsh_understands_its_script(scripts: Path) -> None:
    """Parsed, and every table it hands to `_arguments` accepted; keys are not pressed here."""
    subprocess.run(["zsh", "-n", str(scripts / "zsh")], check=True, timeout=20)
    text = (scripts / "zsh").read_text()
    for verb in VERBS.values():
        assert f"'{verb.name}:" in text
        assert f"                {verb.name}) _arguments" in text


@needs("groff")
@pytest.mark.parametrize("verb", ["", *VERBS])
def test_a_manual_page_has_no_fault_and_every_flag(verb: str) -> None:
    page = made("manual.py", *([verb] if verb else []))
    command = ["groff", "-man", "-ww", "-Tutf8", "-P-cbou"]
    found = subprocess.run(command, input=page, capture_output=True, text=True, check=True, timeout=20)
    assert found.stderr == ""
    for option in VERBS[verb].options if verb else GLOBALS:
        assert (f"--{option.name}" in found.stdout.split() or f"--{option.name}," in found.stdout) is not option.hidden
    assert all(f"pyruntime-{name}(1)" in found.stdout for name in VERBS) or verb
