"""Engines that other packages bring along: the entry points of the group `pyruntime.wasm_engines`.

    [pyruntime.wasm_engines]
    tiny = tiny_engine:Engine

The name is what an annotation asks for, the object is called without arguments and has to be a base.Engine. Metadata
is looked for where engine packages are (find.py), is read only when no engine of our own is meant or can run, and
counts only in trusted hands. Names of our own engines cannot be taken. The package is imported on the host's side, and
has to import with it whatever its modules will need: nothing can be imported in the container.
"""

import posix as os
import sys

from pyruntime.engine import find
from pyruntime.engine.select import ENGINES
from pyruntime.errors import Error, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.engine.base import Engine

GROUP = "pyruntime.wasm_engines"
_SUFFIX, _FILE = ".dist-info", "entry_points.txt"
_LARGEST = 1 << 20  # bytes of metadata that are read
_MEMBERS = (
    "name", "kinds", "limits", "writes_files", "probe", "abilities", "cache_key", "compile", "load",
)  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"


class Plugin:
    """One entry point: the engine's name, the directory its package is in, `module:object`."""

    __slots__ = ("metadata", "name", "place", "target")

    def __init__(self, name: str, place: str, metadata: str, target: str) -> None:
        self.name = name
        self.place = place
        self.metadata = metadata
        self.target = target

    def make(self) -> "Engine":
        """Import the package and make the engine. Raises Error: whose it is, or what is wrong with it."""
        module, _, attribute = self.target.partition(":")
        self._require_trust(module.partition(".")[0])
        if self.place not in sys.path:
            sys.path.append(self.place)
        try:
            made: "Engine" = getattr(__import__(module, fromlist=[attribute]), attribute)()
        except Exception as error:  # a third party's code
            raise Error(f"engine {self.name}: {self.target} of {self.metadata}: {one_line(str(error))}") from None
        self._check(made)
        return made

    def _require_trust(self, package: str) -> None:
        file = package if package in _entries(self.place) else f"{package}.py"
        for path in (self.metadata, f"{self.place}/{file}"):
            try:
                refused = find.untrusted(path)
            except OSError:
                refused = f"{path} is not there"
            if refused:
                raise Error(f"engine {self.name}: {refused}; install its package as root")

    def _check(self, made: object) -> None:
        missing = [member for member in _MEMBERS if not hasattr(made, member)]
        if missing:
            raise Error(f"engine {self.name}: {self.target} has no {', '.join(missing)}; it is of another version")
        if made.name != self.name:  # type: ignore[attr-defined]
            raise Error(f"engine {self.name}: {self.target} calls itself {made.name}")  # type: ignore[attr-defined]


def names() -> "tuple[str, ...]":
    """The names of all plug-ins, in the order in which they are tried."""
    return tuple(found())


def make(name: str) -> "Engine":
    """The engine of the plug-in called `name`. Raises Error."""
    plugin = found().get(name)
    if plugin is None:
        raise Error(f"engine {name}: no package in {', '.join(find.places())} has it as an entry point of {GROUP}")
    return plugin.make()


def found() -> "dict[str, Plugin]":
    """Every plug-in by its name; of two with one name, that of the first directory."""
    known: "dict[str, Plugin]" = {}
    for place in find.places():
        for entry in sorted(_entries(place)):
            if entry.endswith(_SUFFIX):
                metadata = f"{place}/{entry}/{_FILE}"
                for name, target in parse(_read(metadata)):
                    known.setdefault(name, Plugin(name, place, metadata, target))
    return known


def parse(text: str) -> "list[tuple[str, str]]":
    """(name, object) of each usable line of our group (packaging.python.org, "Entry points specification")."""
    lines, ours = [], False
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("["):
            ours = line == f"[{GROUP}]"
        elif ours and "=" in line and not line.startswith(("#", ";")):
            name, _, target = (part.strip() for part in line.partition("="))
            if name and not name.strip(_LETTERS) and name not in (*ENGINES, "wasm") and ":" in target:
                lines.append((name, target.partition("[")[0].strip()))
    return lines


def _entries(directory: str) -> "list[str]":
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return ""
    try:
        return os.read(fd, _LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)
