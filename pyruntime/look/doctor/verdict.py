"""What a check answers."""

OK, WARN, FAIL, UNKNOWN = "ok", "warn", "FAIL", "?"


class Verdict:
    """`text` says what was found. `fix` is what to do, a command where one does it; "" where nothing is to be done."""

    __slots__ = ("fix", "level", "text")

    def __init__(self, level: str, text: str, fix: str = "") -> None:
        self.level = level
        self.text = text
        self.fix = fix


def ok(text: str) -> Verdict:
    """The need is met."""
    return Verdict(OK, text)


def warn(text: str, fix: str = "") -> Verdict:
    """Met, with something one should know."""
    return Verdict(WARN, text, fix)


def fail(text: str, fix: str) -> Verdict:
    """Not met; `fix` says what to do."""
    return Verdict(FAIL, text, fix)


def unknown(text: str, fix: str = "ask again as root") -> Verdict:
    """It could not be found out."""
    return Verdict(UNKNOWN, text, fix)
