"""The compiled code of all that a hot verb imports, in one file for each verb.

CPython looks for every module in a folder, compares dates, opens and reads a .pyc: 75 µs a module, 100 modules for
`run`. A pack holds the same code in the order in which the modules are complete, so that each finds its own imports
done. The packs lie beside the .pyc files; without them everything works, only slower. This writes them, for the
Python that runs it (the option leaves out column numbers, which we never show):

    python3 -ISX no_debug_ranges pyruntime/pack.py

A pack is used whole or not at all: not if the source of one module has another size or date than when it was packed,
so an edited checkout or an upgraded package never runs yesterday's code. It holds

    the magic number of .pyc files (4 bytes) | marshalled list of (name, is package, size, mtime in ns, code)
"""

import posix as os
import sys
from marshal import dumps, loads

VERBS = ("create", "start", "run", "state", "kill", "delete", "exec")
_TABLES = {"x86_64": ("x86_64", "x86", "x32"), "aarch64": ("aarch64", "arm")}.get(os.uname().machine, ())
_SECCOMP = ("pyruntime.seccomp.compile", *(f"pyruntime.seccomp.tables.{name}" for name in (*_TABLES, "known")))
# What only some configurations need, beyond what `create` imports for all.
THEMES = {
    "seccomp": _SECCOMP,
    "wasm": (
        "pyruntime.plan.wasm",
        "pyruntime.engine.wasmtime",
        "pyruntime.steps.guestfilter",
        "pyruntime.seccomp.wasm",
    ),
    "component": ("pyruntime.engine.component", "pyruntime.engine.wasi.service"),
    "wasmedge": ("pyruntime.engine.wasmedge",),
    "wamr": ("pyruntime.engine.wamr",),
}

_HERE = __file__.rpartition("/")[0]
_ROOT = _HERE.rpartition("/")[0]
_MAGIC: bytes = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
# What verbs import inside functions, though hardly a command goes without it.
_ROOTS = ("pyruntime.state.roots", "pyruntime.host.userns")
_FIRST = ("pyruntime.host.descriptors", "pyruntime.kernel.exe")
_WAIT = "pyruntime.walk.foreground"
_LATER = {"create": _FIRST, "run": (*_FIRST, _WAIT), "exec": (*_FIRST, _WAIT)}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    Packed = tuple[str, bool, int, int, CodeType]


def preload(argv: "list[str]") -> None:
    """Import what the verb of this command line needs, if there is a fresh pack of it that we may trust as our code.

    The verb is the first word that could be one; to take a flag's value for it costs time and nothing else.
    """
    verb = next((word for word in argv[1:] if word in VERBS), None)
    if verb:
        bring(verb)


def bring(name: str) -> None:
    """Import the modules of one pack, all of them or none."""
    packed = _read(path_of(name))
    if all(_is_fresh(*entry) for entry in packed):
        for module, is_package, _, _, code in packed:
            if module not in sys.modules:
                _execute(module, is_package, code)


def fresh(name: str) -> bool:
    """Whether the pack of a verb is there and would be used."""
    packed = _read(path_of(name))
    return bool(packed) and all(_is_fresh(*entry) for entry in packed)


def path_of(name: str) -> str:
    """Where the pack of a verb, or of a theme, lies, for the Python that asks."""
    return f"{_HERE}/__pycache__/pack-{name}.{sys.implementation.cache_tag}"


def _read(path: str) -> "list[Packed]":
    """The content of a pack; nothing if it is missing, cut short, of another Python or in other hands than our code."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        found = os.fstat(fd)
        if found.st_uid != os.stat(__file__).st_uid or found.st_mode & 0o022:
            return []
        data = os.read(fd, found.st_size)
        return loads(memoryview(data)[4:]) if data[:4] == _MAGIC else []
    except (OSError, ValueError, EOFError, TypeError):
        return []
    finally:
        os.close(fd)


def _is_fresh(name: str, is_package: bool, size: int, mtime: int, code: object) -> bool:
    try:
        found = os.stat(_source(name, is_package))
    except OSError:
        return False
    return found.st_size == size and found.st_mtime_ns == mtime


def _source(name: str, is_package: bool) -> str:
    return f"{_ROOT}/{name.replace('.', '/')}{'/__init__' if is_package else ''}.py"


def _execute(name: str, is_package: bool, code: "CodeType") -> None:
    """What `import` does once it has found a module's code."""
    module = type(sys)(name)
    module.__file__ = file = _source(name, is_package)
    parent, _, child = name.rpartition(".")
    module.__package__ = name if is_package else parent
    if is_package:
        module.__path__ = [file.rpartition("/")[0]]
    sys.modules[name] = module
    exec(code, module.__dict__)
    setattr(sys.modules[parent], child, module)


def write() -> None:
    """Replace the pack of every verb and theme. Raises OSError."""
    common = set(_imported("pyruntime.cli.main", _module("create"), *_ROOTS, *_FIRST))
    for theme, names in THEMES.items():
        packed = [_pack(name) for name in _imported(*names) if name not in common]
        _replace(path_of(theme), _MAGIC + dumps(packed))
    for verb in VERBS:
        wanted = ("pyruntime.cli.main", _module(verb), *_ROOTS, *_LATER.get(verb, ()))
        packed = [_pack(name) for name in _imported(*wanted)]
        _replace(path_of(verb), _MAGIC + dumps(packed))


def _module(verb: str) -> str:
    return f"pyruntime.cli.verbs.{verb}{'_' if verb == 'exec' else ''}"


def _imported(*names: str) -> "list[str]":
    """The modules of ours that importing these brings in, in the order in which they are complete."""
    from importlib.machinery import FileFinder, SourceFileLoader

    complete: "list[str]" = []

    class Recorder(SourceFileLoader):
        def exec_module(self, module: object) -> None:
            super().exec_module(module)  # type: ignore[arg-type]
            complete.append(self.name)

    def finder(folder: str) -> FileFinder:
        if not folder.startswith(_ROOT):
            raise ImportError
        return FileFinder(folder, (Recorder, [".py"]))

    for name in [name for name in sys.modules if name.partition(".")[0] == "pyruntime"]:
        del sys.modules[name]
    sys.path_importer_cache.clear()
    sys.path.append(_ROOT)  # last, as in the launcher: a neighbour must not stand in for the standard library
    sys.path_hooks.insert(0, finder)
    try:
        for name in names:
            __import__(name)
    finally:
        del sys.path[-1], sys.path_hooks[0]
    return [name for name in complete if name.startswith("pyruntime")]


def _pack(name: str) -> "Packed":
    """A module compiled without docstrings."""
    file = sys.modules[name].__file__ or ""
    with open(file, "rb") as source:
        found = os.fstat(source.fileno())
        code = compile(source.read(), file, "exec", dont_inherit=True, optimize=2)
    return name, file.endswith("/__init__.py"), found.st_size, found.st_mtime_ns, code


def _replace(path: str, data: bytes) -> None:
    try:
        os.mkdir(path.rpartition("/")[0], 0o755)
    except FileExistsError:
        pass
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(data)
    os.chmod(temporary, 0o644)
    os.rename(temporary, path)


if __name__ == "__main__":
    write()
