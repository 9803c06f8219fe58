"""One step of a plan, explained: what it does here, why, how it fails, how to see it."""

from textwrap import wrap

from pyruntime.errors import Error, one_line
from pyruntime.look.explain import Explained
from pyruntime.look.lines import entry, room, who
from pyruntime.look.why import TABLE
from pyruntime.report.paint import Paint
from pyruntime.steps.base import Step

_INDENT = 11


def pick(explained: Explained, number: int) -> Step:
    """Step `number`, counted from 1. Raises Error when there is none."""
    if not 1 <= number <= len(explained.steps):
        raise Error(
            f"explain: there is no step {number}: the plan of {explained.name} has steps 1 to {len(explained.steps)}"
        )
    return explained.steps[number - 1]


def page(explained: Explained, number: int, paint: Paint) -> str:
    """The page of one step. Raises Error when there is no such step."""
    step = pick(explained, number)
    why = TABLE[type(step).__name__]
    title = f"step {number} of {len(explained.steps)}: {type(step).__name__}, by {_who(step)}"
    lines = [paint("head", title), *_part("does", step.describe()), *_part("because", step.because)]
    lines += [*_part("why", why.why), *_part("calls", why.calls), *_part("needs", _needs(explained, number, why.needs))]
    width = max(len(name) for name, _ in why.fails)
    for index, (name, meaning) in enumerate(why.fails):
        lines += _part("" if index else "fails", f"{name:<{width}}  {meaning}", width + 2)
    lines += [*_part("see it", why.see), *_part("man", why.man)]
    return "\n".join(lines) + "\n"


def _who(step: Step) -> str:
    return "the runtime (this command)" if who(step) == "runtime" else "init (the process that becomes the container)"


def _part(label: str, text: str, hang: int = 0) -> "list[str]":
    """A labelled paragraph; none for an empty text. `hang` indents the lines after the first further."""
    indent = " " * (_INDENT + hang)
    mark = "\1" * _INDENT
    lines = wrap(one_line(text), room(), initial_indent=mark, subsequent_indent=indent, break_on_hyphens=False)
    return [line.replace(mark, f"{label:<{_INDENT}}", 1) for line in lines]


def _needs(explained: Explained, number: int, names: "tuple[str, ...]") -> str:
    """Which steps of this plan must have gone before."""
    before = list(enumerate(explained.steps[: number - 1], 1))
    found = [f"step {n} ({type(step).__name__})" for n, step in before if type(step).__name__ in names]
    if len(found) > 4:
        found = [*found[:3], f"and {len(found) - 3} more like it"]
    return ", ".join(found)


def document(explained: Explained, number: int) -> "dict[str, object]":
    """The page as JSON values: the step as in the list, and what there is to know of its kind."""
    step = pick(explained, number)
    why = TABLE[type(step).__name__]
    return {
        **entry(number, step),
        "why": why.why,
        "calls": why.calls,
        "fails": [{"sign": name, "means": meaning} for name, meaning in why.fails],
        "see": why.see,
        "man": why.man,
    }
