"""Findings as lines for people, and as JSON for programs."""

import os
from textwrap import wrap

from pyruntime.errors import one_line
from pyruntime.look.lines import room
from pyruntime.look.lint.finding import ERROR, NOTE, WARNING, Finding
from pyruntime.look.lint.lint import Report
from pyruntime.look.lint.places import line_of
from pyruntime.report.paint import Paint

_ROLES = {ERROR: "error", WARNING: "warning", NOTE: "because"}
_ORDER = (ERROR, WARNING, NOTE)


def text(report: Report, paint: Paint) -> str:
    """`file:line  level  path: problem`, by line, and a last line that counts."""
    found = _sorted(report)
    rows = [(f"{report.file}:{line}" if line else report.file, item) for line, item in found]
    width = max((len(place) for place, _ in rows), default=0)
    heads = [f"{place:<{width}}  {paint(_ROLES[item.level], f'{item.level:<7}')}  " for place, item in rows]
    told = [f"{head}{_said(item, width + 11)}\n" for head, (_, item) in zip(heads, rows, strict=True)]
    return "".join([*told, summary(report)])


def _said(item: Finding, column: int) -> str:
    """On one line, which tools look for; on a terminal folded behind the column where it begins."""
    said = one_line(f"{item.path}: {item.problem}" if item.path else item.problem)
    if not os.isatty(1):
        return said
    folded = wrap(said, max(room() - column, 40), break_on_hyphens=False)
    return f"\n{'':{column}}".join(folded)


def _sorted(report: Report) -> "list[tuple[int | None, Finding]]":
    placed = [(line_of(item.path, report.places), item) for item in report.found]
    return sorted(placed, key=lambda pair: (pair[0] or 0, _ORDER.index(pair[1].level)))


def summary(report: Report) -> str:
    """`2 errors, 1 warning`, or that nothing was found."""
    counts = {level: sum(item.level == level for item in report.found) for level in _ORDER}
    names = {ERROR: "error", WARNING: "warning", NOTE: "note"}
    parts = [f"{number} {names[level]}{'s' * (number != 1)}" for level, number in counts.items() if number]
    return f"{report.file}: {', '.join(parts) or 'nothing to complain about'}\n"


def document(report: Report) -> "dict[str, object]":
    """The report as JSON values; these keys stay."""
    return {
        "file": report.file,
        "findings": [
            {"level": item.level, "path": item.path, "line": line, "problem": item.problem}
            for line, item in _sorted(report)
        ],
    }


def status(report: Report) -> int:
    """The exit status: 1 when there is an error or a warning, 0 with nothing or only notes."""
    return int(any(item.level != NOTE for item in report.found))
