"""Writing the packs that pack.py reads: the modules of each verb and theme, and their code without docstrings."""

import posix as os
import sys
from dis import get_instructions
from importlib.machinery import ExtensionFileLoader, FileFinder, SourceFileLoader
from importlib.util import find_spec
from marshal import dumps

from pyruntime.pack import MAGIC, VERBS, path_of

_TABLES = {"x86_64": ("x86_64", "x86", "x32"), "aarch64": ("aarch64", "arm")}.get(os.uname().machine, ())
_SECCOMP = ("pyruntime.seccomp.compile", *(f"pyruntime.seccomp.tables.{name}" for name in (*_TABLES, "known")))
# What only some configurations need, beyond what `create` imports for all.
THEMES = {
    "seccomp": _SECCOMP,
    "filter": ("pyruntime.steps.seccomp",),
    "joining": ("pyruntime.steps.joining",),
    "sysctl": ("pyruntime.steps.sysctl",),
    "terminal": ("pyruntime.steps.console", "pyruntime.steps.pipes", "pyruntime.steps.sockets"),
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

_ROOT = __file__.rpartition("/")[0].rpartition("/")[0]
_PART = (
    32768  # bytes; below what malloc(3) asks the kernel for separately, so that each part takes the last one's place
)
# What verbs import inside functions, though hardly a command goes without it.
_ROOTS = ("pyruntime.state.roots", "pyruntime.host.userns", "pyruntime.config.jsontext")
_FIRST = ("pyruntime.host.descriptors", "pyruntime.kernel.exe")
_WAIT = "pyruntime.walk.foreground"
_LATER = {"create": _FIRST, "run": (*_FIRST, _WAIT), "exec": (*_FIRST, _WAIT, "pyruntime.steps.stages")}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType

    Packed = tuple[str, str, int, int, CodeType]


def write() -> None:
    """Replace the pack of every verb and theme. Raises OSError."""
    common = set(_imported("pyruntime.cli.main", _module("create"), *_ROOTS, *_FIRST))
    for theme, names in THEMES.items():
        _write(theme, (name for name in _imported(*names) if name not in common))
    for verb in VERBS:
        _write(verb, _imported("pyruntime.launch", "pyruntime.cli.main", _module(verb), *_ROOTS, *_LATER.get(verb, ())))


def _write(name: str, modules: "Iterable[str]") -> None:
    packed = [_pack(module) for module in modules if module != "pyruntime.pack"]
    parts = list(_parts(packed))
    sources = [entry[1:4] for entry in packed]
    table = dumps((_libraries(packed), sources, [len(part) for part in parts]))
    _replace(path_of(name), b"".join([MAGIC, len(table).to_bytes(4, "little"), table, *parts]))


def _parts(packed: "list[Packed]") -> "Iterator[bytes]":
    """The code in lists of about the same size."""
    part: "list[tuple[str, str, CodeType]]" = []
    for name, file, _, _, code in packed:
        if part and len(dumps([*part, (name, file, code)])) > _PART:
            yield dumps(part)
            part = []
        part.append((name, file, code))
    if part:
        yield dumps(part)


def _libraries(packed: "list[Packed]") -> "list[tuple[str, str]]":
    """The C modules that these import at their top and that are files of their own: their names and where they lie."""
    names = dict.fromkeys(
        step.argval for entry in packed for step in get_instructions(entry[4]) if step.opname == "IMPORT_NAME"
    )
    specs = [find_spec(name) for name in names if name.partition(".")[0] != "pyruntime"]
    return [(spec.name, spec.origin or "") for spec in specs if spec and isinstance(spec.loader, ExtensionFileLoader)]


def _module(verb: str) -> str:
    return f"pyruntime.cli.verbs.{verb}{'_' if verb == 'exec' else ''}"


def _imported(*names: str) -> "list[str]":
    """The modules of ours that importing these brings in, in the order in which they are complete."""
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
    return name, file[len(_ROOT) :], found.st_size, found.st_mtime_ns, code


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
