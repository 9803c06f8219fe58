"""The prompt: what is shown at a stop, what may be typed there, and what that does."""

import json
import sys
import time
from collections.abc import Iterator
from textwrap import wrap

from pyruntime.errors import one_line
from pyruntime.look.explain import Explained
from pyruntime.look.lines import cut, near, room
from pyruntime.look.lint.places import line_of, lines
from pyruntime.look.page import page
from pyruntime.look.step import snapshot
from pyruntime.look.step.session import Stop, stops
from pyruntime.look.step.shell import open_shell
from pyruntime.report.paint import Paint
from pyruntime.steps.base import HOST, Step

_HELP = """\
  Enter      do the step            l  look at the half-made container
  u N        go on until step N     d  what changed since the last stop
  u WORD     until a step with it   w  why the step is there, how it fails
  u          go on to the end       c  the line of config.json that asked for it
  q          quit, take all back    s  a shell inside
"""
_PROMPT = "[Enter] do it  [s]hell  [l]ook  [d]iff  [w]hy  [c]onfig  [u]ntil N  [q]uit  [h]elp > "

_HANG = 18  # where the text of a step that was passed begins


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
        self._passed: "Stop | None" = None
        self._begin = 0.0
        self._paint = Paint()

    def decide(self, steps: "list[Step]", stop: Stop) -> bool:
        """At a stop: tell what the last step changed, show the next one, and ask. False is to quit."""
        self._tell_done(stop)
        passing = stop.index + 1 < self._until
        self._passed = stop if passing else None
        if not passing or stop.index + 1 == len(steps):
            self._show(steps, stop)
        going = passing or self._ask(steps, stop)
        self._begin = time.monotonic()
        return going

    def _tell_done(self, stop: Stop) -> None:
        """Compare with the last stop; what init has at its first one, with what the command has."""
        if stop.step.lane != HOST:
            self._init = stop.pid
        seen = snapshot.take(self._init or stop.pid)
        alive = bool(seen["mounts"])  # else it has ended: the program was a short one
        self._changes = snapshot.changes(self._before, seen) if alive and self._before else []
        self._before = seen if alive else self._before
        if self._begin:
            self._say("\n".join(self._done(f"{(time.monotonic() - self._begin) * 1000:.1f} ms")))

    def _done(self, took: str) -> "list[str]":
        """What a step changed; which step it was, only if it was not shown when it was asked about."""
        changed = near("; ".join(self._changes), self.bundle)
        if self._passed is None:
            head = f"{f'  ✓ {took}':<{_HANG}}"
            first, *rest = _folded(changed) or [""]
            return [(self._paint("init", head) + first.lstrip()).rstrip(), *rest]
        head = f"  ✓ {self._passed.index + 1:>2}  {took:>8}  "
        does = near(self._passed.step.describe(), self.bundle)
        return [self._paint("init", head) + cut(does, room() - len(head)), *_folded(changed)]

    def _show(self, steps: "list[Step]", stop: Stop) -> None:
        lane = "the command" if stop.step.lane == HOST else "init"
        does = near(stop.step.describe(), self.bundle)
        self._say(self._paint("head", cut(f"step {stop.index + 1} of {len(steps)}: {does}", room())))
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
                self._until = _aim(rest.strip(), steps, stop)
                if self._until:
                    return True
                self._say(f"  no stop after this one is at a step with {rest.strip()!r}")
            else:
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
            self._say(near("\n".join(f"  {line}" for line in self._changes), self.bundle) or _UNSEEN)
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


def _folded(text: str) -> "list[str]":
    """Lines no wider than the terminal, behind the column of the times."""
    indent = " " * _HANG
    return wrap(text, room(), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _aim(where: str, steps: "list[Step]", stop: Stop) -> int:
    """The number of the step to go on to: given as such, or by a word of what it does; 0 if no later one does that."""
    if not where or where.isdecimal():
        return int(where[:9] or len(steps) + 1)  # Python reads 4300 digits at most, and no plan has nine
    later = enumerate(steps[stop.index + 1 : stops(steps)], stop.index + 2)
    return next((number for number, step in later if where in step.describe()), 0)


_UNSEEN = "  nothing that is seen from outside"
_NOTHING = "  nothing of the container is there yet but what the command has made on the host"
