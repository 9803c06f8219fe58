"""One file with the compiled code of every module, so that a start opens one file instead of a hundred.

CPython looks for each module in each folder, opens its .pyc, compares its date, reads it: 70 µs a module, 6 ms of
CPU for `run`. The pack is the same code in one file. `python3 -IS pyruntime/pack.py` writes it beside the .pyc files;
without it everything works, only slower. A module whose source has another size or date than the packed one is
loaded the ordinary way, so an edited checkout is never run from a stale pack.

    index length (8 bytes) | index, marshalled: {name: (offset, length, size, mtime, is package)} | code objects
"""

import posix as os
import sys
from marshal import dumps, loads

_HERE = __file__.rpartition("/")[0]
_PATH = f"{_HERE}/__pycache__/pack.{sys.implementation.cache_tag}"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    Index = dict[str, tuple[int, int, int, int, bool]]


class Pack:
    """A finder and loader in the sense of importlib, for sys.meta_path."""

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        end = 8 + int.from_bytes(self.data[:8], "little")
        self.index: "Index" = loads(self.data[8:end])
        self.start = end
        self.spec = type(sys.__spec__)

    def find_spec(self, name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """The spec of a module whose source is the one that was packed; None leaves it to the next finder."""
        entry = self.index.get(name)
        if entry is None:
            return None
        file = _source(name, entry[4])
        try:
            found = os.stat(file)
        except OSError:
            return None
        if found.st_size != entry[2] or found.st_mtime_ns != entry[3]:
            return None
        spec: "Any" = self.spec(name, self, origin=file, is_package=entry[4])
        spec.has_location = True
        if entry[4]:
            spec.submodule_search_locations = [file.rpartition("/")[0]]
        return spec  # type: ignore[no-any-return]

    def create_module(self, spec: "ModuleSpec") -> None:
        """The ordinary module object will do."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run the module's code."""
        offset, length, *_ = self.index[module.__name__]
        begin = self.start + offset
        exec(loads(self.data[begin : begin + length]), module.__dict__)


def _source(name: str, is_package: bool) -> str:
    folder = f"{_HERE.rpartition('/')[0]}/{name.replace('.', '/')}"
    return f"{folder}/__init__.py" if is_package else f"{folder}.py"


def use() -> None:
    """Put the pack in front of the other finders, if there is one for this interpreter that we may trust as our code."""
    try:
        fd = os.open(_PATH, os.O_RDONLY)
    except OSError:
        return
    try:
        found = os.fstat(fd)
        if found.st_uid == os.stat(__file__).st_uid and not found.st_mode & 0o022:
            sys.meta_path.insert(0, Pack(os.read(fd, found.st_size)))  # type: ignore[arg-type]
    except (OSError, ValueError, EOFError, TypeError):  # cut short while it was written: the next finder has it all
        return
    finally:
        os.close(fd)


def modules(folder: str, prefix: str) -> "list[tuple[str, str, bool]]":
    """(name, file, is package) of every module below a folder."""
    found = []
    for entry in sorted(os.listdir(folder)):
        path = f"{folder}/{entry}"
        if entry == "__init__.py":
            found.append((prefix, path, True))
        elif entry.endswith(".py"):
            found.append((f"{prefix}.{entry[:-3]}", path, False))
        elif "." not in entry and entry != "__pycache__":
            found += modules(path, f"{prefix}.{entry}")
    return found


def write(path: str = _PATH) -> int:
    """Compile every module, without docstrings, and replace the pack; returns the number of modules. Raises OSError."""
    index: "Index" = {}
    codes: "list[bytes]" = []
    offset = 0
    for name, file, is_package in modules(_HERE, "pyruntime"):
        with open(file, "rb") as source:
            found = os.fstat(source.fileno())
            code = dumps(compile(source.read(), file, "exec", dont_inherit=True, optimize=2))
        index[name] = (offset, len(code), found.st_size, found.st_mtime_ns, is_package)
        codes.append(code)
        offset += len(code)
    head = dumps(index)
    _replace(path, len(head).to_bytes(8, "little") + head + b"".join(codes))
    return len(index)


def _replace(path: str, data: bytes) -> None:
    folder = path.rpartition("/")[0]
    try:
        os.mkdir(folder, 0o755)
    except FileExistsError:
        pass
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(data)
    os.chmod(temporary, 0o644)
    os.rename(temporary, path)


if __name__ == "__main__":
    print(f"{write()} modules packed into {_PATH}")
