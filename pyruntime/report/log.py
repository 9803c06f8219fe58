"""Log lines, where and how the caller of a runtime wants them.

Engines read the file given by `--log`: one takes the last line of level `error`, another parses the whole file as one
JSON value. So a failing command leaves exactly one line there at the default level: warnings are held back until
`settle()` says that the command went well, and an error drops them. With a log file, errors go to stderr too, as one
plain line. On a terminal an error is told in a longer form (`longform`). Levels are debug, info, warning, error.
"""

import posix as os
from time import time_ns

from pyruntime.errors import Error, explain_oserror, one_line
from pyruntime.report.jsonout import dumps, quote
from pyruntime.report.times import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Extra = str | int
    Sink = Callable[[str, str, dict[str, Extra]], None]

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")
_STDERR = 2


class Log:
    """Where the command's log lines go.

    `target` is what `--log` says: a path, `file:PATH`, `journald:NAME`, `syslog:NAME`, or None for stderr.
    Raises Error (exit status 1) for an unknown format or level, and for a target that cannot be opened.
    """

    __slots__ = ("_file", "_form", "_held", "_least", "_sink")

    def __init__(self, target: "str | None" = None, form: str = "text", level: str = "warning") -> None:
        if form not in FORMATS:
            raise Error(f"invalid log-format: {one_line(form)}: expected {' or '.join(FORMATS)}", 1)
        if level not in LEVELS:
            raise Error(f"invalid log-level: {one_line(level)}: expected {', '.join(LEVELS)}", 1)
        self._form = form
        self._least = LEVELS.index(level)
        self._held: "list[tuple[str, dict[str, Extra]]]" = []
        self._file = _STDERR
        self._sink: "Sink" = self._line
        if target:
            self._open(target)

    def error(self, text: str, **extra: "Extra") -> None:
        """Tell why the command fails. The warnings that are still held back are dropped."""
        self._held.clear()
        self._sink("error", text, extra)
        if self._file != _STDERR:
            _put(_STDERR, one_line(text))

    def warning(self, text: str, **extra: "Extra") -> None:
        """Hold a warning for `settle()`; debugging wants it at once, in its place among the other lines."""
        if self._least == 0:
            self._sink("warning", text, extra)
        elif self._wants("warning"):
            self._held.append((text, extra))

    def info(self, text: str, **extra: "Extra") -> None:
        """Tell what was done, to those who set the level to info or debug."""
        if self._wants("info"):
            self._sink("info", text, extra)

    def debug(self, text: str, **extra: "Extra") -> None:
        """Tell what is going on; the text format names the function that does."""
        if self._wants("debug"):
            self._sink("debug", text, {**extra, **(_caller() if self._form == "text" else {})})

    @property
    def debugging(self) -> bool:
        """Whether debug lines are wanted."""
        return self._least == 0

    @property
    def on_terminal(self) -> bool:
        """Whether errors go to a terminal, as text: somebody reads them who types commands."""
        return self._file == _STDERR and self._form == "text" and os.isatty(_STDERR)

    @property
    def bare(self) -> bool:
        """Whether nothing was asked for but errors on stderr, as text."""
        return self._file == _STDERR and self._form == "text" and self._least >= LEVELS.index("warning")

    def tell(self, lines: str) -> None:
        """Tell why the command fails, as it is. The warnings that are still held back are dropped."""
        self._held.clear()
        _put(self._file, lines.rstrip("\n"))

    @property
    def apart(self) -> bool:
        """Whether the log is not stderr, which may be the container's too."""
        return self._file != _STDERR

    def settle(self) -> None:
        """Write the warnings held back: the command went well so far."""
        held, self._held = self._held, []
        for text, extra in held:
            self._sink("warning", text, extra)

    def _wants(self, level: str) -> bool:
        return LEVELS.index(level) >= self._least

    def _open(self, target: str) -> None:
        scheme, colon, rest = target.partition(":")
        if colon and scheme in ("journald", "syslog"):
            from pyruntime.report import journal

            self._sink = journal.sink(scheme, rest)
            self._file = -1
        else:
            self._file = _open_file(rest if colon and scheme == "file" else target)

    def _line(self, level: str, text: str, extra: "dict[str, Extra]") -> None:
        when = rfc3339(time_ns())
        if self._form == "json":
            fields = {name: one_line(value) if isinstance(value, str) else value for name, value in extra.items()}
            _put(self._file, dumps({"level": level, "msg": one_line(text), "time": when, **fields}))
        else:
            words = [f'time="{when}"', f"level={level}", f"msg={_quoted(text)}"]
            _put(self._file, " ".join(words + [f"{name}={_quoted(value)}" for name, value in extra.items()]))


def _open_file(path: str) -> int:
    try:
        return off_stdio(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o644))
    except (OSError, ValueError) as error:
        reason = explain_oserror(error) if isinstance(error, OSError) else f"{one_line(path)}: {error}"
        raise Error(f"--log: cannot open the log file: {one_line(reason)}", 1) from None


def off_stdio(file: int) -> int:
    """Move a descriptor off 0, 1 and 2, which the caller left closed: nothing printed may end up in the log."""
    if file > _STDERR:
        return file
    import fcntl

    moved = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, _STDERR + 1)
    os.close(file)
    return moved


def _put(file: int, line: str) -> None:
    """One write a line, so that lines of several processes do not mix. A log that cannot be written stops nothing."""
    try:
        os.write(file, f"{line}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        pass


def _quoted(value: "Extra") -> str:
    """As Go's %q: like JSON, but with what does not print escaped."""
    return one_line(quote(value)) if isinstance(value, str) else str(value)


def _caller() -> "dict[str, Extra]":
    from sys import _getframe

    code = _getframe(2).f_code
    file = code.co_filename.rpartition("/pyruntime/")[2]
    return {"func": code.co_name, "file": f"{file}:{_getframe(2).f_lineno}"}
