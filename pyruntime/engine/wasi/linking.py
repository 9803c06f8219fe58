"""A world of our own for a component: everything it imports that engine/wasi/ has, and traps for the rest."""

from pyruntime.engine.binding import check
from pyruntime.engine.wasi import cli, files, http, io, sockets
from pyruntime.engine.wasi.binding import FUNCTION, RESOURCE
from pyruntime.engine.wasi.host import Host
from pyruntime.engine.wasi.outgoing import handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyruntime.engine.component import Loaded

FUNCTIONS: "dict[str, dict[str, Callable[..., Any]]]" = {
    **io.FUNCTIONS,
    **cli.FUNCTIONS,
    **files.FUNCTIONS,
    **sockets.FUNCTIONS,
    "wasi:http/types": http.TYPES,
    "wasi:http/outgoing-handler": {"handle": handle},
}
RESOURCES = {**io.RESOURCES, **cli.RESOURCES, **files.RESOURCES, **sockets.RESOURCES, **http.RESOURCES}


def link(loaded: "Loaded") -> "tuple[int, Host]":
    """A linker with all that a component imports, and who answers its calls. Raises Error."""
    library = loaded.library
    linker: int = library.wasmtime_component_linker_new(loaded.engine)
    host = Host(library, linker)
    for name, members in loaded.world.imports.items():
        _define(host, name, members)
    # A function that is not here is called by nobody, most likely: toolchains import whole interfaces.
    error = library.wasmtime_component_linker_define_unknown_imports_as_traps(linker, loaded.component)
    check(library, error, "the component cannot be linked")
    return linker, host


def _define(host: Host, name: str, members: "dict[str, tuple[int, int]]") -> None:
    known = FUNCTIONS.get(name.partition("@")[0], {})
    functions = {member: known[member] for member, (kind, _) in members.items() if kind == FUNCTION and member in known}
    resources = {
        member: RESOURCES[member] for member, (kind, _) in members.items() if kind == RESOURCE and member in RESOURCES
    }
    host.define(name, functions, resources)
