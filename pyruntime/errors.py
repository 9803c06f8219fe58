"""What can go wrong, told in one line.

    Error                 any refusal: the text is for the user, whole and final
     ├─ UsageError        the command line is wrong; help is printed before it
     ├─ ConfigError       config.json (or a process file) is wrong; carries the JSON path
     ├─ StateError        the container is not in the state the verb needs, or does not exist
     ├─ Unsupported       asked for something pyruntime does not have (yet); names it
     └─ StepError         a step of a plan failed; names the step and the config line that asked for it

An Error's text is one line: the config path, what was found, what was expected, the errno's text, what to do.
Texts that engines match (docs/reference/errors.md) begin the line. An OSError never reaches the user bare:
`explain_oserror` words it.
"""

import posix as os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.steps.base import Step


class Error(Exception):
    """A refusal or failure whose text may be shown as it is. `code` is the exit status, None for the verb's own."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code

    def __str__(self) -> str:
        return self.text


class UsageError(Error):
    """The command line is wrong."""


class ConfigError(Error):
    """The value at `path` of config.json is wrong: `path: problem`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path


class StateError(Error):
    """The container is in the wrong state for this verb, or does not exist."""


class Unsupported(Error):
    """Something the spec or a caller may ask for that pyruntime does not have; `path` says where it was asked."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


class StepError(Error):
    """A step failed. The text holds the step's own words, its number and what asked for it."""

    def __init__(self, text: str, step: "Step", code: int | None = None) -> None:
        super().__init__(text, code)
        self.step = step


def reason(error: OSError) -> str:
    """The errno's text alone, lower-cased as callers of runc know it: `no such file or directory`."""
    return os.strerror(error.errno).lower() if error.errno else str(error)


def explain_oserror(error: OSError) -> str:
    """Say an OSError in the kernel's words, with what it is about: `[subject: ]no such file or directory`."""
    text = reason(error)
    subject = error.filename
    if isinstance(subject, bytes):
        subject = subject.decode("utf-8", "backslashreplace")
    return f"{subject}: {text}" if subject not in (None, "") else text


def one_line(text: str) -> str:
    """Escape what would break a log line or drive a terminal: control characters and lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _SHORT.get(c) or _escaped(ord(c)) for c in text)


# What engines look for in an error, in any case, to tell what kind it is: docs/reference/callers.md.
_TELLING = (
    "permission denied", "operation not permitted", "is a directory", "not a directory", "no such file",
    "executable file not found", "executable path is empty", "open executable", "not found", "no such process",
    "invalid process", "does not exist", "container not running", "process already finished",
    "system cannot find the file specified", "failed to run runc", "flag needs an argument",
)  # fmt: skip


# As str.lower, and no character becomes two; those that are ASCII letters only when lowered included.
_LOWER = {**{letter: letter + 32 for letter in range(65, 91)}, 0x130: 105, 0x212A: 107}


def hushed(quoted: str) -> str:
    """What another program has said, with a hyphen in phrases that engines would take for our own verdict."""
    plain = quoted.replace("`", "'")
    for phrase in _TELLING:
        while (at := plain.translate(_LOWER).find(phrase)) >= 0:
            blank = at + phrase.index(" ")
            plain = f"{plain[:blank]}-{plain[blank + 1 :]}"
    return plain


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(number: int) -> str:
    """As the codec `unicode_escape` does, which would have to be imported: no import inside a container."""
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
