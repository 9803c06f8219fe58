"""The engines pyruntime knows, in the order they are tried. None is imported before a module is to be run."""

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
    from pyruntime.engine.wasmtime import Wasmtime

    return Wasmtime()


def load(selection: "Selection", address_space: "int | None" = None) -> "tuple[Engine, Module]":
    """The engine for a selection, and its module compiled and linked: `engine.run(module, argv, env, preopens)`.

    Called in the process that will fork into the container, before it does. `address_space` is the container's
    RLIMIT_AS in bytes. Raises Unsupported when no engine can run here, Error when the module cannot be run by it.
    """
    engine = _first((selection.engine,) if selection.engine else ENGINES, selection.because)
    try:
        return engine, engine.prepare(selection.wasm, address_space)
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
