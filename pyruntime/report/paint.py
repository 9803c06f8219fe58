"""Colour for terminals."""

import posix as os

_COLOURS = {"head": "1", "runtime": "36", "init": "32", "because": "2", "warning": "33", "error": "31"}


class Paint:
    """Colour, or none: only for a terminal, and not where NO_COLOR is set or TERM is dumb."""

    def __init__(self, fd: int = 1) -> None:
        plain = os.environ.get(b"NO_COLOR") or os.environ.get(b"TERM") == b"dumb"
        self.on = not plain and os.isatty(fd)

    def __call__(self, role: str, text: str) -> str:
        return f"\x1b[{_COLOURS[role]}m{text}\x1b[0m" if self.on else text
