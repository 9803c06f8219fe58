"""One thing that is wrong, or looks so."""

ERROR, WARNING, NOTE = "error", "warning", "note"


class Finding:
    """`level` error: `create` refuses it. warning: it is taken, and hardly meant. note: worth knowing, or true of
    this machine only.
    """

    __slots__ = ("level", "path", "problem")

    def __init__(self, level: str, path: str, problem: str) -> None:
        self.level = level
        self.path = path
        self.problem = problem

    def __repr__(self) -> str:
        return f"{self.level} {self.path}: {self.problem}"


def error(path: str, problem: str) -> Finding:
    """`create` refuses it."""
    return Finding(ERROR, path, problem)


def note(path: str, problem: str) -> Finding:
    """Worth knowing, and no mistake."""
    return Finding(NOTE, path, problem)


def warning(path: str, problem: str) -> Finding:
    """It is taken, and probably a mistake."""
    return Finding(WARNING, path, problem)
