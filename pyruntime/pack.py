"""The compiled code of all that a hot verb imports, in one file for each verb.

CPython looks for every module in a folder, compares dates, opens and reads a .pyc: 75 µs a module, 100 modules for
`run`. A pack holds the same code in the order in which the modules are complete, so that each finds its own imports
done. The packs lie beside the .pyc files; without them everything works, only slower. This reads them; run as a
program it writes them, for the Python that runs it (the option leaves out column numbers, which we never show):

    python3 -ISX no_debug_ranges pyruntime/pack.py

A pack is used whole or not at all: not if the source of one module has another size or date than when it was packed,
so an edited checkout or an upgraded package never runs yesterday's code. It holds

    the magic number of .pyc files (4 bytes) | the size of what follows (4 bytes, little-endian)
    | marshalled (C modules: name and file; sources: file, size, mtime in ns; sizes of the parts)
    | parts: marshalled lists of (name, file, code)

A file of ours is named from the folder that holds the package, beginning with a slash.

It comes in parts for the sake of memory, which is dear to take: each is read where the one before it lay.
"""

import gc
import posix as os
import sys
from marshal import loads

VERBS = ("create", "start", "run", "state", "kill", "delete", "exec")

_HERE = __file__.rpartition("/")[0]
_ROOT = _HERE.rpartition("/")[0]
_HEAD = 8  # bytes
MAGIC: bytes = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    Source = tuple[str, int, int]
    Table = tuple[list[tuple[str, str]], list[Source], list[int]]


def start(argv: "list[str]") -> int:
    """Run the command line, by the pack of its verb if there is one, and return the exit status."""
    if sys.version_info < (3, 10):  # noqa: UP036 - the interpreter is the host's choice
        raise ImportError(f"needs Python 3.10 or newer, {sys.executable} is {sys.version.split()[0]}")
    sys.path.insert(0, _ROOT)
    preload(argv)
    from pyruntime.launch import launch

    sys.path.append(sys.path.pop(0))  # the standard library first: a neighbour package must not stand in for it
    return launch(argv)


def preload(argv: "list[str]") -> None:
    """Import what the verb of this command line needs, if there is a fresh pack of it that we may trust as our code.

    The verb is the first word that could be one; to take a flag's value for it costs time and nothing else.
    """
    gc.disable()  # importing leaves no garbage, and looking for it costs a millisecond
    verb = next((word for word in argv[1:] if word in VERBS), None)
    if verb:
        bring(verb)


def bring(name: str) -> None:
    """Import the modules of one pack, if it is of use."""
    fd = _open(path_of(name))
    if fd < 0:
        return
    try:
        libraries, sources, parts = _table(fd)
        if _are_fresh(sources):
            for library in libraries:
                _link(*library)
            for size in parts:
                for entry in _loaded(os.read(fd, size)):
                    _execute(*entry)
    finally:
        os.close(fd)


def fresh(name: str) -> bool:
    """Whether the pack of a verb is there and would be used."""
    fd = _open(path_of(name))
    if fd < 0:
        return False
    try:
        _, sources, _ = _table(fd)
        return bool(sources) and _are_fresh(sources)
    finally:
        os.close(fd)


def path_of(name: str) -> str:
    """Where the pack of a verb, or of a theme, lies, for the Python that asks."""
    return f"{_HERE}/__pycache__/pack-{name}.{sys.implementation.cache_tag}"


def _open(path: str) -> int:
    """A descriptor of a pack; -1 if it is missing, or in other hands than our code."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    found = os.fstat(fd)
    if found.st_uid == os.stat(__file__).st_uid and not found.st_mode & 0o022:
        return fd
    os.close(fd)
    return -1


def _table(fd: int) -> "Table":
    """What a pack holds; nothing if it is cut short or of another Python. Leaves the descriptor at the first part."""
    head = os.read(fd, _HEAD)
    if len(head) == _HEAD and head[:4] == MAGIC:
        size = int.from_bytes(head[4:], "little")
        table: "Table" = _loaded(os.read(fd, size)) or ([], [], [])
        if os.fstat(fd).st_size == _HEAD + size + sum(table[2]):
            return table
    return [], [], []


def _are_fresh(sources: "list[Source]") -> bool:
    try:
        for file, size, mtime in sources:
            found = os.stat(_ROOT + file)
            if found.st_size != size or found.st_mtime_ns != mtime:
                return False
    except OSError:
        return False
    return True


def _link(name: str, file: str) -> None:
    """What `import` does once it has found a C module of Python's; one that is not there is for the ordinary import."""
    if name in sys.modules or file.rpartition("/")[0] not in sys.path:
        return
    import _imp

    spec = type(sys.__spec__)(name, None, origin=file)
    try:
        module = _imp.create_dynamic(spec)
    except ImportError:
        return
    module.__spec__ = spec
    sys.modules[name] = module
    _imp.exec_dynamic(module)


def _loaded(data: bytes) -> "Any":
    """What was marshalled; nothing where the file is damaged."""
    try:
        return loads(data)
    except (ValueError, EOFError, TypeError):
        return ()


def _execute(name: str, file: str, code: "CodeType") -> None:
    """What `import` does once it has found a module's code."""
    if name in sys.modules:
        return
    module = type(sys)(name)
    module.__file__ = _ROOT + file
    parent, _, child = name.rpartition(".")
    if file.endswith("/__init__.py"):
        module.__package__ = name
        module.__path__ = [module.__file__[:-12]]
    else:
        module.__package__ = parent
    sys.modules[name] = module
    exec(code, module.__dict__)
    if parent:
        setattr(sys.modules[parent], child, module)


if __name__ == "__main__":
    sys.path.append(_ROOT)  # last, as in the launcher: a neighbour must not stand in for the standard library
    from pyruntime.packing import write

    write()
