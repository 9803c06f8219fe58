"""Verdicts as lines for people, and as JSON."""

from textwrap import wrap

from pyruntime.look.doctor.needs import status
from pyruntime.look.doctor.verdict import FAIL, OK, UNKNOWN, WARN, Verdict
from pyruntime.look.lines import room
from pyruntime.report.paint import Paint

_COLUMN = 6
_ROLES = {OK: "init", WARN: "warning", FAIL: "error", UNKNOWN: "warning"}


def text(verdicts: "list[Verdict]", purpose: str, paint: Paint) -> str:
    """A line a verdict, its fix below it, and a last line that counts."""
    lines = []
    for verdict in verdicts:
        head, *rest = wrap(verdict.text, room() - _COLUMN, break_on_hyphens=False, break_long_words=False)
        lines += [f"{paint(_ROLES[verdict.level], f'{verdict.level:<4}')}  {head}", *(" " * _COLUMN + r for r in rest)]
        if verdict.fix:
            lines.append(f"{'':{_COLUMN}}fix: {verdict.fix}")  # never folded: it is to be copied
    return "\n".join([*lines, _last(verdicts, purpose)]) + "\n"


def _last(verdicts: "list[Verdict]", purpose: str) -> str:
    unmet = sum(verdict.level == FAIL for verdict in verdicts)
    unseen = sum(verdict.level == UNKNOWN for verdict in verdicts)
    for_whom = f" for {purpose}" if purpose else ""
    if unmet:
        return f"{unmet} of {len(verdicts)} needs unmet{for_whom}"
    return f"{unseen} of {len(verdicts)} could not be looked at" if unseen else f"every need is met{for_whom}"


def document(verdicts: "list[Verdict]", purpose: str) -> "dict[str, object]":
    """The same as JSON values; these keys stay."""
    names = {OK: "ok", WARN: "warning", FAIL: "failed", UNKNOWN: "unknown"}
    rows = [{"verdict": names[v.level], "found": v.text, "fix": v.fix} for v in verdicts]
    return {"for": purpose, "status": status(verdicts), "verdicts": rows}
