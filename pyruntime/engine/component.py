"""Components of WASI 0.2 on wasmtime: commands (wasi:cli/run), services (wasi:http/incoming-handler), functions.

A command's imports are the C library's. A service's are ours (engine/wasi/), as the library cannot make the request it
is to handle; and so are those of a command that may use the network, as the library makes no sockets.
"""

import _signal

from pyruntime.engine import base
from pyruntime.engine.binding import Library, check, message
from pyruntime.engine.cdata import address, bytes_at, cell
from pyruntime.engine.faults import FaultHandlers
from pyruntime.engine.select import START
from pyruntime.engine.wasi import binding
from pyruntime.engine.wasi.cli import EXIT, Exited
from pyruntime.engine.wasi.host import Call, Host
from pyruntime.engine.wasi.linking import link
from pyruntime.engine.wasi.sections import imports
from pyruntime.engine.wasi.values import Err, Reader
from pyruntime.engine.wasi.world import HANDLER, RUN, World, refuse_imports
from pyruntime.engine.wasmtime import TRAPS, backtrace, limit, wasi_config
from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.engine.select import Selection

INSTANCE_WORDS, FUNCTION_WORDS = 2, 3  # of wasmtime_component_instance_t and wasmtime_component_func_t
_TRAP = "wasm trap: "

# Its words for what TRAPS names for modules, where a component's error has no code but only a text.
_WORDS = (
    "call stack exhausted", "out of bounds memory access", "unaligned atomic",
    "undefined element: out of bounds table access", "uninitialized element", "indirect call type mismatch",
    "integer overflow", "integer divide by zero", "invalid conversion to integer",
    "wasm `unreachable` instruction executed", "interrupt", "all fuel consumed by WebAssembly",
    "atomic wait on non-shared memory", "null reference", "out of bounds array access", "allocation size too large",
    "cast failure",
)  # fmt: skip


def compiled(library: Library, engine: int, binary: bytes) -> bytes:
    """The artefact of a component. Raises Error."""
    refuse_imports(imports(binary))
    library.extend(binding.SHAPES)
    component, artefact = cell(), cell(2)
    error = library.wasmtime_component_new(engine, binary, len(binary), component)
    check(library, error, "not a valid Wasm component")
    check(library, library.wasmtime_component_serialize(component[0], artefact), "the compiled component")
    return bytes_at(artefact)


def load(library: Library, engine: int, artefact: "str | bytes", selection: "Selection") -> "base.Module":
    """Load an artefact and link what it is. Raises Error."""
    library.extend(binding.SHAPES)
    component = cell()
    if isinstance(artefact, str):
        path = artefact.encode("utf-8", "surrogateescape")
        error = library.wasmtime_component_deserialize_file(engine, path, component)
    else:
        error = library.wasmtime_component_deserialize(engine, artefact, len(artefact), component)
    check(library, error, "the compiled component")
    world = World(library, engine, component[0])
    refuse_imports(world.imported())
    loaded = Loaded(library, engine, component[0], world)
    if selection.function == START and world.exported(HANDLER):
        from pyruntime.engine.wasi.service import Service

        return Service(loaded)
    return Command(loaded, *entry(world, selection.function))


class Loaded:
    """A component in its engine, and what its name for things is."""

    __slots__ = ("component", "engine", "library", "world")

    def __init__(self, library: Library, engine: int, component: int, world: World) -> None:
        self.library = library
        self.engine = engine
        self.component = component
        self.world = world


def entry(world: World, function: str) -> "tuple[str, str]":
    """The exported instance ("" for none) and the function in it that are asked for. Raises Error.

    `_start` is what a command starts with; else the name of an export, or `interface#function`.
    """
    if function == START:
        instance, function = world.exported(RUN), "run"
        if not instance:
            known = ", ".join(map(base.shown, list(world.exports)[:8])) or "nothing"
            raise Error(f"it exports neither {RUN}@0.2 nor {HANDLER}@0.2, but {known}; name a function as PATH#NAME")
    else:
        instance, _, function = function.rpartition("#")
    of = world.function(instance, function)
    if of.parameters:
        raise Error(f"its function {function} takes {of.parameters} parameters, and nobody would give them")
    return instance, function


def kind_of_trap(words: str) -> str:
    """The kind as TRAPS has it, or the engine's words where it has none."""
    return TRAPS[_WORDS.index(words)] if words in _WORDS else words


class Running:
    """One instance in a store of its own."""

    def __init__(self, loaded: Loaded, linker: int, limits: base.Limits) -> None:
        library = self.library = loaded.library
        self.store = library.wasmtime_store_new(loaded.engine, None, None)
        self.context = library.wasmtime_store_context(self.store)
        self._loaded = loaded
        self._linker = linker
        self._instance = cell(INSTANCE_WORDS)
        limit(library, self.store, self.context, limits)

    def instantiate(self) -> None:
        """Raises TrapError, Error."""
        component, context = self._loaded.component, self.context
        error = self.library.wasmtime_component_linker_instantiate(self._linker, context, component, self._instance)
        self._judge(error, "the component cannot be linked")

    def call(self, instance: str, function: str, arguments: "Any" = None, count: int = 0) -> "Any":
        """Call an export; the result's memory (a wasmtime_component_val_t), None without. Raises TrapError, Error."""
        library, of = self.library, self._loaded.world.function(instance, function)
        called, outer = cell(FUNCTION_WORDS), self._index(None, instance)
        index = self._index(outer, function)
        library.wasmtime_component_instance_get_func(self._instance, self.context, index, called)
        for found in (outer, index):
            if found:
                library.wasmtime_component_export_index_delete(found)
        results = cell(binding.VALUE_SIZE // 8) if of.returns else None
        error = library.wasmtime_component_func_call(called, self.context, arguments, count, results, of.returns)
        self._judge(error, "the component cannot be called")
        return results

    def _index(self, outer: "int | None", name: str) -> "int | None":
        if not name:
            return outer
        text = name.encode()
        index: "int | None" = self.library.wasmtime_component_instance_get_export_index(
            self._instance, self.context, outer, text, len(text)
        )
        if not index:
            raise Error(f"the component has no {name}")
        return index

    def _judge(self, error: "int | None", what: str) -> None:
        if not error:
            return
        text = message(self.library, self.library.wasmtime_error_message, error)
        _, trap, kind = text.rpartition(_TRAP)
        frames = cell(2)
        self.library.wasmtime_error_wasm_trace(error, frames)
        lines = backtrace(self.library, frames)
        self.library.wasm_frame_vec_delete(frames)
        self.library.wasmtime_error_delete(error)
        if trap or lines:
            raise base.TrapError("\n".join([kind_of_trap(kind) if trap else text, *lines]))
        raise Error(f"{what}: {text}")

    def close(self) -> None:
        """Free the store and all that is in it."""
        self.library.wasmtime_store_delete(self.store)


def ignore_pipes() -> None:
    """Let a peer that has gone be an error of a stream, and not the end of the process."""
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)


class Command:
    """A component that runs once; see base.Module."""

    engine = "wasmtime"

    def __init__(self, loaded: Loaded, instance: str, function: str) -> None:
        self._loaded = loaded
        self._entry = instance, function
        self._linker = self._link(loaded)
        self._networked = link(loaded) if self._wants_network() else None
        self._faults = FaultHandlers()

    def _wants_network(self) -> bool:
        return any(name.startswith(("wasi:sockets/", "wasi:http/")) for name in self._loaded.world.imports)

    def _link(self, loaded: Loaded) -> int:
        library = loaded.library
        linker: int = library.wasmtime_component_linker_new(loaded.engine)
        check(library, library.wasmtime_component_linker_add_wasip2(linker), "wasmtime cannot provide WASI 0.2")
        check(library, library.wasmtime_component_linker_add_wasi_http(linker), "wasmtime cannot provide wasi:http")
        library.wasmtime_component_linker_allow_shadowing(linker, True)
        self._host = Host(library, linker)
        for name in loaded.world.imports:
            if name.partition("@")[0] == "wasi:cli/exit":
                self._host.define(name, EXIT, {})
            if name.partition("@")[0] == "wasi:http/outgoing-handler":
                self._host.define(name, {"handle": lambda call, *given: Err("HTTP-request-denied")}, {})
        return linker

    def start(self, guest: base.Guest) -> int:
        """See base.Module."""
        self._faults.restore()
        library, call = self._loaded.library, Call(guest)
        linker, host = self._linker, self._host
        if self._networked is not None and guest.network is not None and guest.network.outgoing:
            linker, host = self._networked
            ignore_pipes()
        running = Running(self._loaded, linker, guest.limits)
        wasi = wasi_config(library, guest)
        check(library, library.wasmtime_context_set_wasi(running.context, wasi), "WASI cannot be set up")
        library.wasmtime_context_set_wasi_http(running.context)
        host.enter(call, running.context)
        try:
            running.instantiate()
            return self._status(running.call(*self._entry))
        except Error:
            if isinstance(call.end, Exited):
                return call.end.status
            raise

    def interrupt(self) -> None:
        """Make a guest that computes trap at its next loop or call; for another thread."""
        self._loaded.library.wasmtime_engine_increment_epoch(self._loaded.engine)

    def _status(self, results: "Any") -> int:
        """1 for a result that is an error, 0 for anything else."""
        value = Reader(lambda at: None).read(address(results)) if results is not None else None
        return 1 if isinstance(value, Err) else 0
