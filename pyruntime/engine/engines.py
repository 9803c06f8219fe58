"""The engines pyruntime knows, in the order they are tried, and the way from a selection to a module of one of them.

`prepare` belongs to the host's side: it finds or makes the artefact and loads no engine into this process. `load`
belongs to the process that becomes the container.
"""

import posix as os

from pyruntime.engine.base import Limits
from pyruntime.engine.cache import Cache, digest, key_of
from pyruntime.engine.compile import CompileError, compiled
from pyruntime.engine.select import ENGINES
from pyruntime.errors import Error, Unsupported
from pyruntime.pack import bring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyruntime.engine.base import Abilities, Engine, Module
    from pyruntime.engine.select import Selection

_ST_NOEXEC = 8
_SOCKET, _FRONT = b"sock_open", 1 << 16
_KINDS = {
    "wasm-module": ("a core module", "build a component"),
    "wasm-component": ("a component", "build a core module for wasm32-wasip1, or name another engine"),
    "wat": ("WebAssembly text", "build a binary of it"),
}
_WHERE = "process.args[0]"


def make(name: str) -> "Engine":
    """The engine called `name`, not loaded yet."""
    if name == "wasmer":
        from pyruntime.engine.wasmer import Wasmer

        return Wasmer()
    if name == "wasmedge":
        bring(name)
        from pyruntime.engine.wasmedge import WasmEdge

        return WasmEdge()
    if name == "wamr":
        bring(name)
        from pyruntime.engine.wamr import Wamr

        return Wamr()
    if name == "wasmtime":
        from pyruntime.engine.wasmtime import Wasmtime

        return Wasmtime()
    from pyruntime.engine import plugins  # of other packages

    return plugins.make(name)


class Prepared:
    """A program that is ready to be loaded: by which engine, and its artefact.

    `fd` is a descriptor of the artefact, -1 for an engine that has none; `cached` whether it was found in the cache,
    `lost` why it could not be put there.
    """

    __slots__ = ("cached", "engine", "fd", "limits", "lost", "selection")

    def __init__(self, engine: "Engine", selection: "Selection", limits: Limits, fd: int, cached: bool) -> None:
        self.engine = engine
        self.selection = selection
        self.limits = limits
        self.fd = fd
        self.cached = cached
        self.lost = ""

    def load(self) -> "Module":
        """Load and link it in this process, closing the artefact. Raises Error."""
        try:
            return self.engine.load(self._artefact(), self.selection, self.limits)
        except Error as error:
            raise _about(self.selection, error) from None
        finally:
            self.close()
            self.selection.wasm = b""  # nobody needs it any more, and it would stay as long as the guest

    def close(self) -> None:
        """Let the artefact go."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _artefact(self) -> "str | bytes":
        if self.fd < 0:
            return self.selection.wasm
        # No code may be mapped from a file system that is mounted noexec, as /var is on some hosts.
        if os.fstatvfs(self.fd).f_flag & _ST_NOEXEC:
            return os.pread(self.fd, os.fstat(self.fd).st_size, 0)
        return f"/proc/self/fd/{self.fd}"


def prepare(selection: "Selection", limits: Limits, place: str = "", demanded: "tuple[str, ...]" = ()) -> Prepared:
    """Find the artefact in the cache at `place` ("" for none), or compile it.

    `demanded` are the names of limits that the engine must keep, or not be chosen.
    Raises Unsupported when no engine can run here, with the reason of each, and Error when the one that can does not
    take the program.
    """
    selection.digest = digest(selection.wasm)
    cache = _cache(place)
    reasons: "list[str]" = []
    absent: "list[str]" = []
    try:
        for name in _names(selection.engine or _only(selection.wasm)):
            try:
                engine = _made(name)
                _demand(engine, selection, demanded)
                return _prepared(engine, selection, limits, cache)
            except Absent as error:
                if reasons:
                    absent.append(name)
                else:
                    reasons.append(error.text.removeprefix(": "))
            except Unsupported as error:
                reasons.append(error.text.removeprefix(": "))
    finally:
        if cache:
            cache.close()
    if absent:  # how to get one is enough
        reasons.append(f"absent as well: {', '.join(absent)} (why: pyruntime wasm engines)")
    raise Unsupported(selection.because, "; ".join(reasons))


def _only(wasm: bytes) -> str:
    """The one engine that has what a module imports, "" where that is not plain: WasmEdge's sockets are its alone."""
    if wasm.find(_SOCKET, 0, _FRONT) < 0:  # where imports are; most modules need no closer look
        return ""
    from pyruntime.engine.binary import has_import

    try:
        return "wasmedge" if has_import(wasm, _SOCKET) else ""
    except Error:
        return ""  # an engine will say what is wrong with it


class Absent(Unsupported):
    """An engine that this host does not have."""


def _names(asked: str) -> "Iterator[str]":
    """The engine asked for, or all in their order: those of other packages are looked for when ours have failed."""
    if asked:
        yield asked
        return
    yield from ENGINES
    from pyruntime.engine import plugins

    yield from plugins.names()


def _made(name: str) -> "Engine":
    try:
        return make(name)
    except Error as error:
        raise Absent("", error.text) from None


def load(selection: "Selection", limits: "Limits | None" = None) -> "Module":
    """The selected program compiled, loaded and linked in this process. Raises what `prepare` and `load` raise."""
    return prepare(selection, limits or Limits()).load()


def _cache(place: str) -> "Cache | None":
    """Without a usable directory every start compiles, which is slow and no failure."""
    try:
        return Cache(place) if place else None
    except Error:
        return None


def _prepared(engine: "Engine", selection: "Selection", limits: Limits, cache: "Cache | None") -> Prepared:
    try:
        key = key_of(selection.digest, engine, limits)
    except Error as error:
        raise Absent("", error.text) from None
    if not key:
        return Prepared(engine, selection, limits, -1, False)
    found = cache.find(key) if cache else None
    if found is not None:
        return Prepared(engine, selection, limits, found, True)
    try:
        made = compiled(engine, selection.wasm, limits)
    except CompileError as error:
        raise _about(selection, error) from None
    kept = cache.put(key, made, {"engine": engine.name, "program": selection.path}) if cache else None
    if kept is not None:
        os.close(made)
    prepared = Prepared(engine, selection, limits, made if kept is None else kept, False)
    prepared.lost = cache.lost if cache and kept is None else ""
    return prepared


def _demand(engine: "Engine", selection: "Selection", demanded: "tuple[str, ...]") -> None:
    if selection.kind not in engine.kinds:
        what, instead = _KINDS[selection.kind]
        raise Unsupported("", f"engine {engine.name}: {selection.path} is {what}, which it does not run; {instead}")
    missing = [name for name in demanded if name not in engine.limits]
    if missing:
        raise Unsupported("", f"engine {engine.name}: keeps no limit of {', '.join(missing)}; remove the annotation")


def _about(selection: "Selection", error: Error) -> Error:
    return Error(f"{_WHERE}: {selection.path}: {error}")


class Answer:
    """What an engine says of itself: its version and abilities, or the reason why it cannot run here."""

    __slots__ = ("abilities", "name", "reason", "version")

    def __init__(self, name: str, version: str, abilities: "Abilities | None", reason: str = "") -> None:
        self.name = name
        self.version = version
        self.abilities = abilities
        self.reason = reason

    def to_json(self) -> "dict[str, object]":
        """All of it by name, in the order in which people want to read it."""
        found = self.abilities
        if found is None:
            return {"name": self.name, "absent": self.reason}
        return {
            "name": self.name,
            "version": self.version,
            "runs": list(found.kinds),
            "wasi": list(found.wasi),
            "proposals": list(found.proposals),
            "limits": list(found.limits),
            "artefacts": found.artefacts,
        }


def survey() -> "list[Answer]":
    """Every engine asked whether it can run here, by loading it into this process."""
    return [_asked(name) for name in _names("")]


def _asked(name: str) -> Answer:
    try:
        engine = make(name)
        return Answer(name, engine.probe() or "unknown", engine.abilities())
    except Error as error:
        return Answer(name, "", None, str(error))


def report() -> "dict[str, str]":
    """The answers of `survey` in a line each: `version 50.0.1`, or the reason why not."""
    return {answer.name: f"version {answer.version}" if answer.abilities else answer.reason for answer in survey()}
