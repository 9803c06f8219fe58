"""The configuration files of engines: which of them the engine reads, and which names a program."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pyruntime.look.setup import places

_QUOTED = re.compile(r"""["'](/[^"']+)["']""")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_TABLE = re.compile(r"^(?=\s*\[)", re.MULTILINE)
_MANAGER = re.compile(r"""^\s*cgroup_manager\s*=\s*["'](\w+)["']""", re.MULTILINE)
_SYSTEMD = re.compile(r"^\s*SystemdCgroup\s*=\s*true", re.MULTILINE)
Known = Callable[[str], bool]


class Files:
    """Texts without their comments, in the engine's order, and the files that this user may not read."""

    def __init__(self, patterns: "Iterator[str]") -> None:
        self.texts: "dict[str, str]" = {}
        self.closed: "list[str]" = []
        for file in _there(patterns):
            try:
                self.texts[str(file)] = _COMMENT.sub("", file.read_text(encoding="utf-8", errors="replace"))
            except OSError:
                self.closed.append(str(file))

    def naming(self, is_us: Known) -> "tuple[str, str] | None":
        """The first file that names the program, and the table in which it does."""
        for name, text in self.texts.items():
            for table in _TABLE.split(text):
                if any(is_us(path) for path in _QUOTED.findall(table)):
                    return name, table
        return None

    def manager(self, default: str) -> str:
        """The last word of CRI-O's or Podman's files on who makes cgroups."""
        said: "list[str]" = [found for text in self.texts.values() for found in _MANAGER.findall(text)]
        return said[-1] if said else default


def _there(patterns: "Iterator[str]") -> "Iterator[Path]":
    for pattern in patterns:
        path = Path(pattern.replace("~", os.environ.get("HOME", "/root"), 1))
        yield from sorted(path.parent.glob(path.name)) if "*" in path.name else [path] * path.exists()


def containerd(path: str) -> Files:
    """config.toml and what it imports; a file that nobody imports says nothing to containerd."""
    main = Files(iter([path]))
    imports = places.imports(main.texts.get(path, ""))
    both = Files(iter([path, *(os.path.join(os.path.dirname(path), pattern) for pattern in imports)]))
    both.closed = list(dict.fromkeys([*main.closed, *both.closed]))
    return both


def asks_systemd(table: str) -> bool:
    """Whether containerd's table of options wants cgroups made by systemd."""
    return _SYSTEMD.search(table) is not None
