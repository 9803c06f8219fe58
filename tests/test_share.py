"""Manual pages and completions, as the real programs take them."""

import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
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
        (tmp_path / "state" / name).mkdir(parents=True)
    (tmp_path / "bundles").mkdir()
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


def fish(scripts: Path, *words: str) -> "set[str]":
    """What fish offers for the last word."""
    line = shlex.quote(" ".join(("pyruntime", *words)))
    env = {**os.environ, "HOME": str(scripts)}
    command = ["fish", "--no-config", "-c", f"source {scripts}/fish; complete -C {line}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=env, cwd=scripts)
    return {row.split("\t")[0].rstrip("/") for row in found.stdout.splitlines()}


SETUP = {  # a prompt of no width, our completion, and no question before a long list
    "bash": "PS1=; source ./bash; bind 'set show-all-if-ambiguous on'; bind 'set completion-query-items 0'; "
    "bind 'set page-completions off'; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'",
    "zsh": "PS1=; mkdir f; cp zsh f/_pyruntime; fpath=($PWD/f $fpath); autoload -Uz compinit; compinit -u -d $PWD/d; "
    "setopt no_beep no_list_ambiguous; unset zle_bracketed_paste; LISTMAX=1000; zstyle ':completion:*' verbose no",
}
PLAIN = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
CONTROL = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]|[\0\a]")


class Shell:
    """A shell on a terminal, in which somebody types."""

    def __init__(self, name: str, folder: Path) -> None:
        (folder / "bin").mkdir()
        (folder / "bin/pyruntime").write_text("#!/bin/sh\n")
        (folder / "bin/pyruntime").chmod(0o755)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            path = f"{folder}/bin:{os.environ['PATH']}"
            env = {"PATH": path, "HOME": str(folder), "TERM": "vt100", "LC_ALL": "C.UTF-8"}
            os.execvpe(PLAIN[name][0], PLAIN[name], env)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("4H", 200, 240, 0, 0))
        self.count = 0
        self.after(SETUP[name] + "\n")

    def after(self, typed: str) -> str:
        """What the terminal shows for it. A last command that says a number ends the wait, whatever the load."""
        self.count += 1
        os.write(self.terminal, typed.encode())
        text = ""
        while select.select([self.terminal], [], [], 0.5)[0]:  # a shell that lists is not to be disturbed
            text += os.read(self.terminal, 65536).decode("utf-8", "replace")
        os.write(self.terminal, f"\x15echo DONE$(({self.count}))\n".encode())
        while f"DONE{self.count}" not in text:
            assert select.select([self.terminal], [], [], 30)[0], text
            text += os.read(self.terminal, 65536).decode("utf-8", "replace")
        return CONTROL.sub("", text).partition("echo DONE")[0]

    def close(self) -> None:
        os.close(self.terminal)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


ROOTED = ("--root", "state")
OFFERED = [  # what is typed, the last word to its first letters; what must be offered for it
    (("res",), {"resume", "restore"}),
    (("--deb",), {"--debug"}),
    (("--log-format", ""), {"text", "json"}),
    (("run", "--bun"), {"--bundle"}),
    (("--debug", "delete", "--f"), {"--force"}),
    (("--log", "x", "explain", "--js"), {"--json"}),
    ((*ROOTED, "delete", ""), {"b1", "web"}),
    ((*ROOTED, "state", "w"), {"web"}),
    ((*ROOTED, "exec", "-t", "w"), {"web"}),
    (("run", "--bundle", "bun"), {"bundles"}),
    (("explain", "bun"), {"bundles"}),
    (("help", "ch"), {"check", "checkpoint"}),
    (("doctor", "--for", "c"), {"containerd", "crio"}),
    (("step", "--what-if", "no-"), {"no-proc", "no-pids-limit"}),
    (("setup", ""), {"docker", "containerd", "podman", "crio", "k8s"}),
    (("list", "--format", "j"), {"json"}),
]
NAMES = [" ".join(words) for words, _ in OFFERED]


@pytest.mark.parametrize(("words", "offered"), OFFERED, ids=NAMES)
def test_bash_offers(scripts: Path, words: "tuple[str, ...]", offered: "set[str]") -> None:
    assert bash(scripts, *words) == offered


def test_bash_offers_nothing_where_nothing_is_known(scripts: Path) -> None:
    assert bash(scripts, "update", "--memory", "") == set()


@needs("fish")
@pytest.mark.parametrize(("words", "offered"), OFFERED, ids=NAMES)
def test_fish_offers(scripts: Path, words: "tuple[str, ...]", offered: "set[str]") -> None:
    assert fish(scripts, *words) == offered


@pytest.mark.parametrize("name", ["bash", pytest.param("zsh", marks=needs("zsh"))])
def test_tab_is_pressed(scripts: Path, name: str) -> None:
    """In a shell on a terminal: every word is shown, and none of another verb or container."""
    shell = Shell(name, scripts)
    known = {word for _, offered in OFFERED for word in offered}
    shown = {}
    try:
        for words, _ in OFFERED:
            line = ("pyruntime", *words)
            text = shell.after(" ".join(line) + "\t")
            shown[words] = {word.rstrip("/") for word in text.split()} & known - set(line)
    finally:
        shell.close()
    assert shown == {words: offered for words, offered in OFFERED}


def test_the_words_that_flags_take_are_those_of_the_help() -> None:
    sys.path.insert(0, str(LIB))
    import completions

    for (verb, name), words in completions.VALUES.items():
        options = VERBS[verb].options if verb else GLOBALS
        (told,) = [option.help for option in options if option.name == name]
        assert all(re.search(rf"\b{word}\b", told) for word in words)


@needs("shellcheck")
def test_shellcheck_finds_nothing_in_the_bash_script(scripts: Path) -> None:
    subprocess.run(["shellcheck", "-s", "bash", str(scripts / "bash")], check=True, timeout=60)


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
