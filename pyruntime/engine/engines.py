"""The engines pyruntime knows, in the order they are tried. None is imported before a module is to be run."""

from pyruntime.engine.base import Limits
from pyruntime.engine.compile import compiled
from pyruntime.engine.select import ENGINES
from pyruntime.errors import Error, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.engine.base import Engine, Module
    from pyruntime.engine.select import Selection


def make(name: str) -> "Engine":
    """The engine called `name`, not loaded yet."""
    if name == "wasmer":
        from pyruntime.engine.wasmer import Wasmer

        return Wasmer()
    if name == "wasmedge":
        from pyruntime.engine.wasmedge import WasmEdge

        return WasmEdge()
    if name == "wamr":
        from pyruntime.engine.wamr import Wamr

        return Wamr()
    from pyruntime.engine.wasmtime import Wasmtime

    return Wasmtime()


def choose(selection: "Selection") -> "Engine":
    """The engine for a selection, loaded. Raises Unsupported when none can run here, with the reason of each."""
    return _first((selection.engine,) if selection.engine else ENGINES, selection.because)


def load(selection: "Selection", limits: "Limits | None" = None) -> "Module":
    """The selected program compiled and linked, by the engine for it: `base.run(module, guest)`.

    Raises Unsupported when no engine can run here, Error when the module cannot be run by it.
    """
    limits = limits or Limits()
    engine = choose(selection)
    try:
        artefact = compiled(engine, selection.wasm, limits)
        return engine.load(artefact, selection, limits)
    except Error as error:
        raise Error(f"process.args[0]: {selection.path}: {error}") from None


def _first(names: "tuple[str, ...]", because: str) -> "Engine":
    reasons = []
    for name in names:
        engine = make(name)
        try:
            engine.probe()
        except Error as error:
            reasons.append(str(error))
        else:
            return engine
    raise Unsupported(because, "; ".join(reasons))


def report() -> "dict[str, str]":
    """What each engine answers when asked whether it can run here: `version 50.0.1`, or the reason why not."""
    answers = {}
    for name in ENGINES:
        try:
            answers[name] = f"version {make(name).probe() or 'unknown'}"
        except Error as error:
            answers[name] = str(error)
    return answers
