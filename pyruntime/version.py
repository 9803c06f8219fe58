"""The version, in one place: the build backend, `--version` and `features` read it here."""

VERSION = "0.1.0"
SPEC = "1.3.0"


def commit() -> str:
    """The commit this checkout is at, from .git without running git; "unknown" for an installed package."""
    git = __file__.rpartition("/")[0] + "/../.git"
    try:
        head = _text(f"{git}/HEAD")
        return _text(f"{git}/{head[5:]}") if head.startswith("ref: ") else head
    except OSError:
        return "unknown"


def _text(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()
