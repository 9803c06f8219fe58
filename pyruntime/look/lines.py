"""A plan as lines for people, and as JSON for programs."""

import os
from textwrap import wrap

from pyruntime.errors import one_line
from pyruntime.look.explain import Explained
from pyruntime.look.why import TABLE
from pyruntime.report.paint import Paint
from pyruntime.steps.base import HOST, Step

WIDTH = 100  # where nobody says how wide a line may be
_NARROW, _WIDE = 72, 120
_BECAUSE_MAX = 29
WHO = {HOST: "runtime"}


def who(step: Step) -> str:
    """Whose step it is, in words: the command is the runtime."""
    return WHO.get(step.lane, step.lane)


def room() -> int:
    """How long a line may be: as the terminal has room, within reason."""
    try:
        columns = os.get_terminal_size(1).columns
    except OSError:
        columns = 0
    return min(max(columns, _NARROW), _WIDE) if columns else WIDTH


def near(text: str, bundle: str) -> str:
    """The text with paths in the bundle shortened to begin at its folder."""
    folder = bundle.rstrip("/")
    return text.replace(f"{folder}/", f"{os.path.basename(folder)}/")


def cut(text: str, width: int) -> str:
    """The text on one line, its end replaced by `…` if it is longer than `width` characters."""
    text = one_line(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def listing(explained: Explained, paint: Paint) -> str:
    """One line a step, no line longer than there is room for."""
    steps, width = explained.steps, room()
    because = min(_BECAUSE_MAX, max(len(one_line(step.because)) for step in steps))
    digits = len(str(len(steps)))
    does = width - digits - len("  runtime  ") - because - 2
    texts = [one_line(near(step.describe(), explained.bundle)) for step in steps]
    does = min(does, max(map(len, texts)))
    lines = [_head(explained, paint), f"{'#':>{digits}}  who      {'does':<{does}}  because"]
    for number, (step, does_what) in enumerate(zip(steps, texts, strict=True), 1):
        text = f"{cut(does_what, does):<{does}}"
        asked = paint("because", cut(step.because, because))
        lines.append(f"{number:>{digits}}  {paint(who(step), f'{who(step):<7}')}  {text}  {asked}")
    for text in explained.warnings:
        folded = wrap(one_line(text), width, initial_indent=" ! ", subsequent_indent="   ", break_on_hyphens=False)
        lines += [paint("warning", line) for line in folded]
    return "\n".join(lines) + "\n"


def full(explained: Explained, paint: Paint) -> str:
    """The same with nothing cut off, and the system calls of each step."""
    digits = len(str(len(explained.steps)))
    indent = " " * (digits + 11)
    lines = [_head(explained, paint)]
    for number, step in enumerate(explained.steps, 1):
        lines.append(f"{number:>{digits}}  {paint(who(step), f'{who(step):<7}')}  {one_line(step.describe())}")
        lines.append(f"{indent}{paint('because', 'because ' + one_line(step.because))}")
        entry = TABLE.get(type(step).__name__)
        if entry is not None:
            lines.append(f"{indent}{paint('because', 'calls ' + entry.calls)}")
    lines += [paint("warning", f" ! {one_line(text)}") for text in explained.warnings]
    return "\n".join(lines) + "\n"


def _head(explained: Explained, paint: Paint) -> str:
    warnings = len(explained.warnings)
    told = f", {warnings} warning{'s' * (warnings != 1)}" if warnings else ""
    count = f"{len(explained.steps)} steps{told}"
    hint = "   (-v: system calls · N: one step · --json)"
    title = cut(f"{explained.name}: {count}", room() - len(hint))
    return paint("head", title) + hint


def document(explained: Explained) -> "dict[str, object]":
    """The plan as JSON values; these keys stay."""
    return {
        "steps": [entry(number, step) for number, step in enumerate(explained.steps, 1)],
        "warnings": explained.warnings,
    }


def entry(number: int, step: Step) -> "dict[str, object]":
    """One step as JSON values."""
    return {
        "n": number,
        "lane": step.lane,
        "step": type(step).__name__,
        "does": step.describe(),
        "because": step.because,
    }
