"""`--version`: the lines that Docker, Podman and go-runc read."""

from pyruntime.version import SPEC, VERSION, commit


def text(prog: str) -> str:
    """Name and version without a colon before them, then one `key: value` a line."""
    import sys

    python = ".".join(map(str, sys.version_info[:3]))
    return f"{prog} version {VERSION}\ncommit: {commit()}\nspec: {SPEC}\npython: {python}\n"
