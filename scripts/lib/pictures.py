#!/usr/bin/env python3
"""Pictures of what pyruntime shows on a terminal, as SVG, and of the trace page: scripts/lib/pictures.py FOLDER

Needs root, a static busybox and the package rich; chromium for the picture of the page. Nothing of it is kept in the
tree: scripts/docs makes them for the site.
"""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(ROOT / "bin" / "pyruntime")
COLUMNS = 100
PROMPT = re.compile(rb"(elp > (\x1b\[0m)?|not confined\) # (\x1b\[6n)?)$")
NO_COLOUR = re.compile(r"\x1b\[[?0-9;]*[A-Za-ln-z]")  # what moves the cursor, or asks where it is
WALK = ("u pivot_root", "l", "", "s", "hostname; ls /; ps", "exit", "q")
SECCOMP = (
    '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["keyctl", "ptrace"], "action": "SCMP_ACT_ERRNO"}]}'
)
TYPOS = "s/hostname/hostnam/; s/CAP_KILL/KILL/; s/noNewPrivileges/noNewPrivs/"
# Of the usual sixteen colours those that can be told apart, and read, on a dark page as on a light one.
THEME = TerminalTheme(
    (24, 27, 33),
    (220, 223, 228),
    [(24, 27, 33), (240, 113, 120), (152, 195, 121), (229, 192, 123), (97, 175, 239), (198, 120, 221), (86, 182, 194),
     (220, 223, 228)],
)  # fmt: skip


def shown(command: "list[str]", folder: Path, typed: "tuple[str, ...]" = ()) -> str:
    """What a command prints on a terminal, colours and all, where somebody types these lines at its prompts."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve(PROGRAM, [PROGRAM, *command], {**os.environ, "TERM": "xterm-256color"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 50, COLUMNS, 0, 0))
    data, lines = b"", iter(typed)
    try:
        while part := os.read(terminal, 65536):
            data += part
            if typed and PROMPT.search(data):
                os.write(terminal, next(lines, "q").encode() + b"\n")
    except OSError:  # EIO: the command has ended
        pass
    os.close(terminal)
    os.waitpid(child, 0)
    return NO_COLOUR.sub("", data.decode("utf-8", "replace").replace("\r", ""))


def drawn(command: str, text: str, target: Path) -> None:
    """Write the text as a picture of a terminal in which the command was typed."""
    console = Console(record=True, width=COLUMNS + 2, file=open(os.devnull, "w"), force_terminal=True)
    console.print(Text(f"# {command}"), Text.from_ansi(text.rstrip("\n")), "", sep="\n", soft_wrap=False)
    target.write_text(console.export_svg(title=command.split()[1], theme=THEME), encoding="utf-8")


def quietly(folder: Path, *words: str) -> None:
    """A command whose output nobody is to see."""
    command = [PROGRAM, *words]
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60)


def bundles(folder: Path) -> None:
    """A bundle with a filter, and a configuration with mistakes."""
    quietly(folder, "spec", "--busybox", "--set", f"linux.seccomp={SECCOMP}", "-b", "box", "--", "sleep", "60")
    typo = subprocess.run(["sed", TYPOS, "box/config.json"], cwd=folder, check=True, capture_output=True).stdout
    (folder / "typo.json").write_bytes(typo)


def photograph(page: Path, target: Path, size: str) -> None:
    """A page as a browser draws it, if there is one."""
    chromium = shutil.which("chromium")
    if chromium:
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}"]
        shot = [chromium, *words, f"--screenshot={target}", f"file://{page}"]
        subprocess.run(shot, check=True, capture_output=True, timeout=120)


SHOTS: "dict[str, tuple[list[str], tuple[str, ...]]]" = {
    "explain": (["explain", "box"], ()),
    "explain-step": (["explain", "box", "24"], ()),
    "step": (["step", "box", "b1"], WALK),
    "doctor": (["doctor"], ()),
    "check": (["check", "--config", "typo.json"], ()),
    "inspect": (["inspect", "b2"], ()),
}


def main(target: Path) -> None:
    """Make every picture."""
    target.mkdir(parents=True, exist_ok=True)
    page = target / "trace.html"
    with tempfile.TemporaryDirectory() as place:
        folder, state = Path(place), ("--root", f"{place}/state")
        trace = (*state, "--trace", str(page))
        bundles(folder)
        quietly(folder, *trace, "run", "-d", "-b", "box", "b2")
        try:
            for name, (command, typed) in SHOTS.items():
                text = shown([*state, *command], folder, typed).replace(f"{place}/", "/srv/")
                drawn(f"pyruntime {' '.join(command)}", text, target / f"{name}.svg")
            quietly(folder, *trace, "exec", "b2", "true")
        finally:
            quietly(folder, *trace, "delete", "--force", "b2")
    page.write_text(page.read_text(encoding="utf-8").replace(f"{place}/", "/srv/"), encoding="utf-8")
    photograph(page, target / "trace.png", "1100,960")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
