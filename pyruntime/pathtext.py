"""Paths as text: no look-up, no file system. What needs the kernel's answer is in kernel/paths.py."""

import posix as os

from pyruntime.errors import Error, explain_oserror

DEFAULT_PATH = "/bin:/usr/bin"  # where programs are looked for without a PATH


def split(path: str) -> "list[str]":
    """The components of a path, without empty ones and `.`."""
    return [part for part in path.split("/") if part not in ("", ".")]


def clean(path: str) -> str:
    """An absolute path without `.`, `..` and doubled slashes, decided on the text alone (as Go's filepath.Clean)."""
    parts: "list[str]" = []
    for part in split(path):
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return "/" + "/".join(parts)


def absolute(path: str, base: "str | None" = None) -> str:
    """A path made absolute against `base` (default: the current directory) and cleaned. Raises Error."""
    if path.startswith("/"):
        return clean(path)
    if base is None:
        try:
            base = os.getcwd()
        except OSError as error:
            raise Error(f"{path}: the current directory is unusable: {explain_oserror(error)}") from None
    return clean(f"{base}/{path}")


def inside(path: str, root: str) -> "str | None":
    """A clean path below the directory `root` as it is called from there: `/`, `/a/b`; None if it is not below."""
    if path == root:
        return "/"
    return path[len(root) :] if root != "/" and path.startswith(f"{root}/") else None
