#!/usr/bin/env python3
"""Pictures of what pyruntime shows on a terminal, as SVG, and of the trace page: scripts/lib/pictures.py FOLDER

Needs root, a static busybox, the package rich, and for the page a chromium. Nothing of it is kept in the tree.
"""

import os
import pty
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(ROOT / "bin" / "pyruntime")
WALK = "u 12\nl\nu 23\n\nw\nq\n"


def typed(command: "list[str]", folder: Path) -> str:
    """What a command prints on a terminal, colours and all."""
    child, master = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve(PROGRAM, [PROGRAM, *command], {**os.environ, "TERM": "xterm-256color"})
    parts = []
    try:
        while part := os.read(master, 65536):
            parts.append(part)
    except OSError:  # EIO: the command has ended
        pass
    os.close(master)
    os.waitpid(child, 0)
    return b"".join(parts).decode("utf-8", "replace").replace("\r", "")


def drawn(title: str, text: str, target: Path) -> None:
    """Write the text as a picture of a terminal."""
    console = Console(record=True, width=104, file=open(os.devnull, "w"), force_terminal=True)
    console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=False)
    target.write_text(console.export_svg(title=title), encoding="utf-8")


def main(target: Path) -> None:
    """Make every picture."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder, state = Path(place), ["--root", f"{place}/state"]
        subprocess.run([PROGRAM, "spec", "--busybox", "-b", "box", "--", "sleep", "60"], cwd=folder, check=True)
        (folder / "walk").write_text(WALK)
        trace = [*state, "--trace", str(target / "trace.html")]
        shots = {
            "explain": ["explain", "box"],
            "explain-step": ["explain", "box", "24"],
            "step": [*state, "step", "--script", "walk", "box", "b1"],
            "doctor": ["doctor", "--for", "rootless"],
            "inspect": [*state, "inspect", "b2"],
            "against": [*state, "inspect", "--against", "host", "b2"],
        }
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([PROGRAM, *trace, "run", "-d", "-b", "box", "b2"], cwd=folder, check=True, **quiet)  # type: ignore[call-overload]
        try:
            for name, command in shots.items():
                drawn(
                    f"pyruntime {' '.join(w for w in command if w not in state)}",
                    typed(command, folder),
                    target / f"{name}.svg",
                )
            subprocess.run([PROGRAM, *trace, "exec", "b2", "true"], cwd=folder, check=True)
        finally:
            subprocess.run([PROGRAM, *trace, "delete", "--force", "b2"], cwd=folder, check=True)
    chromium = shutil.which("chromium")
    if chromium:
        shot = [f"--screenshot={target / 'trace.png'}", "--window-size=1200,1300", f"file://{target / 'trace.html'}"]
        subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", *shot], check=True, capture_output=True
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
