"""An error for a person at a terminal: the one line that everybody gets, taken apart.

    error: what went wrong
    why:   what was found when it was looked up
    from:  what asked for it
    try:   what to do

The line is built so everywhere: `cause: what was found; what to do [step N of M: NAME; because]`.
"""

import posix as os

from pyruntime.errors import one_line
from pyruntime.report.paint import Paint

_ERRNOS = 134  # the last of the kernel's is 133
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_QUOTED = "error running "  # a hook's own output follows, which is not to be taken apart
_INDENT = 7


class Parts:
    """The parts of one error; "" for those that it has not. `because` is a config path or a rule, `walked` the step's
    name; its number is one in the plan that was walked, which for `run` is not the one that `explain` shows.
    """

    __slots__ = ("advice", "because", "error", "walked", "why")

    def __init__(self, text: str) -> None:
        self.error, self.walked, self.because = _step_of(text)
        self.advice = self.why = ""
        if _QUOTED not in self.error:
            self.error, self.advice = _cut(self.error, "; ")
            self.error, self.why = _found(self.error)


def _step_of(text: str) -> "tuple[str, str, str]":
    """The text without its `[step N of M: NAME; because]`, then the name and what asked for it."""
    said, _, behind = text.rpartition(" [step ")
    numbers, colon, asked = behind.removesuffix("]").partition(": ")
    number, of, total = numbers.partition(" of ")
    if not (said and colon and of and behind.endswith("]") and number.isdigit() and total.isdigit()):
        return text, "", ""
    name, _, because = asked.partition("; ")
    return said, name, because


def _cut(text: str, mark: str) -> "tuple[str, str]":
    """A text before and after the first mark that stands in no quotes and brackets."""
    closing: "list[str]" = []
    for at, letter in enumerate(text):
        if closing and letter == closing[-1]:
            closing.pop()
        elif letter == '"' or letter in _PAIRS:
            closing.append(_PAIRS.get(letter, letter))
        elif not closing and text.startswith(mark, at):
            return text[:at], text[at + len(mark) :]
    return text, ""


def first_word(text: str) -> str:
    """What a text begins with, to the first blank or colon behind it; a config path with whatever its keys hold."""
    return _cut(text, " ")[0].rstrip(":")


def _found(text: str) -> "tuple[str, str]":
    """A text to the kernel's word for the failure, and what was found behind it."""
    for number in range(1, _ERRNOS):
        said, word, rest = text.partition(f"{os.strerror(number).lower()}: ")
        if word and rest:
            return f"{said}{word.removesuffix(': ')}", rest
    return text, ""


def text(parts: Parts, place: str, advice: str, width: int) -> str:
    """The lines for standard error. `place` is where the configuration says so, `advice` what to try beside its own."""
    paint = Paint(2)
    asked = "  ".join(filter(None, (place or parts.because, parts.walked and f"({parts.walked})")))
    rows = (
        ("error:", "error", parts.error),
        ("why:", "head", parts.why),
        ("from:", "head", asked),
        ("try:", "head", parts.advice or advice),
    )
    return "".join(_row(paint(role, name), _INDENT - len(name), said, width) for name, role, said in rows if said)


def _row(name: str, gap: int, said: str, width: int) -> str:
    from textwrap import wrap  # for terminals only

    room = max(width - _INDENT - 1, 40)
    lines = wrap(one_line(said), room, break_long_words=False, break_on_hyphens=False) or [""]
    return name + " " * gap + f"\n{' ' * _INDENT}".join(lines) + "\n"
