"""The prompt: what is shown at a stop, what may be typed there, and what that does."""

import json
import sys
import time
from collections.abc import Iterator

from pyruntime.errors import one_line
from pyruntime.look.explain import Explained
from pyruntime.look.lines import cut
from pyruntime.look.lint.places import line_of, lines
from pyruntime.look.page import page
from pyruntime.look.step import snapshot
from pyruntime.look.step.session import Stop
from pyruntime.look.step.shell import open_shell
from pyruntime.report.paint import Paint
from pyruntime.steps.base import HOST, Step

_HELP = """\
  Enter      do the step            l  look at the half-made container
  u N        go on until step N     d  what changed since the last stop
  u          go on to the end       w  why the step is there, how it fails
  q          quit, take all back    c  the line of config.json that asked for it
  s          a shell inside
"""
_PROMPT = "[Enter] do it  [s]hell  [l]ook  [d]iff  [w]hy  [c]onfig  [u]ntil N  [q]uit  [h]elp > "


class Talk:
    """A conversation over one walk. `script` holds lines to be taken for typed ones; `auto` types nothing but Enter."""

    def __init__(self, name: str, bundle: str, script: "list[str]", auto: bool) -> None:
        self.name = name
        self.bundle = bundle
        self.auto = auto
        self._typed: "Iterator[str]" = iter(script)
        self._scripted = bool(script)
        self._until = 0
        self._init = 0
        self._before: "snapshot.Json | None" = None
        self._changes: "list[str]" = []
        self._begin = 0.0
        self._paint = Paint()

    def decide(self, steps: "list[Step]", stop: Stop) -> bool:
        """At a stop: tell what the last step changed, show the next one, and ask. False is to quit."""
        self._tell_done(stop)
        if stop.index + 1 < self._until:
            self._say(f"step {stop.index + 1}: {cut(stop.step.describe(), 80)}")
            self._begin = time.monotonic()
            return True
        self._show(steps, stop)
        going = self._ask(steps, stop)
        self._begin = time.monotonic()
        return going

    def _tell_done(self, stop: Stop) -> None:
        """Compare with the last stop; what init has at its first one, with what the command has."""
        if stop.step.lane != HOST:
            self._init = stop.pid
        seen = snapshot.take(self._init or stop.pid)
        alive = bool(seen["mounts"])  # else it has ended: the program was a short one
        self._changes = snapshot.changes(self._before, seen) if alive and self._before else []
        if self._begin:
            done = f"  ✓ {(time.monotonic() - self._begin) * 1000:.1f} ms"
            self._say(self._paint("init", done) + (f"  {'; '.join(self._changes)}" if self._changes else ""))
        self._before = seen if alive else self._before

    def _show(self, steps: "list[Step]", stop: Stop) -> None:
        lane = "the command" if stop.step.lane == HOST else "init"
        head = f"step {stop.index + 1} of {len(steps)}: {cut(stop.step.describe(), 90)}"
        self._say(self._paint("head", head))
        self._say(self._paint("because", f"  by {lane}, pid {stop.pid}; because: {one_line(stop.step.because)}"))

    def _ask(self, steps: "list[Step]", stop: Stop) -> bool:
        while True:
            typed = self._line()
            word, _, rest = typed.partition(" ")
            if word == "":
                return True
            if word in ("q", "quit"):
                self._say("quitting: what was made is taken back")
                return False
            if word in ("u", "until"):
                self._until = int(rest) if rest.strip().isdecimal() else len(steps) + 1
                return True
            self._answer(word, steps, stop)

    def _line(self) -> str:
        """What is typed, by somebody or by the script; after its end, and of a closed terminal, Enter to the end."""
        if self.auto:
            return ""
        if self._scripted:
            typed = next(self._typed, None)
            if typed is None:
                return "u"
            self._say(f"> {typed}")
            return typed.strip()
        sys.stdout.write(self._paint("because", _PROMPT))
        sys.stdout.flush()
        typed = sys.stdin.readline()
        return typed.strip() if typed else "q"

    def _answer(self, word: str, steps: "list[Step]", stop: Stop) -> None:
        if word in ("l", "look"):
            self._say(
                "\n".join(f"  {line}" for line in snapshot.page(snapshot.take(self._init))) if self._init else _NOTHING
            )
        elif word in ("d", "diff"):
            self._say("\n".join(f"  {line}" for line in self._changes) or "  nothing that is seen from outside")
        elif word in ("w", "why"):
            self._say(page(Explained(self.bundle, self.name, steps, []), stop.index + 1, self._paint))
        elif word in ("c", "config"):
            self._say(self._config(stop.step.because))
        elif word in ("s", "shell"):
            self._say(self._shell(stop) if self._init else _NOTHING)
        else:
            self._say(_HELP)

    def _shell(self, stop: Stop) -> str:
        self._say(f"  this shell joins {self.name} as it is before step {stop.index + 1}; it is NOT held by its")
        self._say("  capabilities, its filter or its limits. Leave it with exit.")
        return "  " + (
            open_shell(self._init, f"({self.name}, step {stop.index + 1}, not confined) # ") or "left the shell"
        )

    def _config(self, because: str) -> str:
        """The line that a config path leads to."""
        with open(f"{self.bundle}/config.json", encoding="utf-8") as file:
            text = file.read()
        json.loads(text)
        number = line_of(because.partition(" ")[0], lines(text))
        if number is None:
            return f"  no line of config.json: {because}"
        return f"  config.json:{number}: {cut(text.splitlines()[number - 1].strip(), 100)}"

    def _say(self, text: str) -> None:
        sys.stdout.write(text.rstrip("\n") + "\n")
        sys.stdout.flush()


_NOTHING = "  nothing of the container is there yet but what the command has made on the host"
