"""What several engines cannot do, refused in the same words."""

import posix as os

from pyruntime.engine.base import shown
from pyruntime.engine.binary import PAGE, memories
from pyruntime.engine.imports import unresolved
from pyruntime.errors import Error, explain_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.engine.base import Network


def absent(function: str, functions: "list[str]") -> str:
    """Say that a function is not exported, and what can be called instead."""
    known = ", ".join(map(shown, functions[:8])) or "none"
    advice = "name one of them, as PATH#NAME, in process.args[0]" if functions else "build it as a command"
    what = "it is a library, not a program: " if function == "_start" else ""
    return f"{what}it exports no function {function}, but {known}; {advice}"


def with_parameters(function: str, count: int) -> str:
    """Say that a function cannot be called as a program."""
    return f"its function {function} takes {count} parameters, and nobody would give them; name another"


def require_memory(wasm: bytes, limit: "int | None") -> None:
    """Raise Error when the module's own memories are larger than `limit` bytes from the start."""
    if limit is None:
        return
    size = sum(memories(wasm)) * PAGE
    if size > limit:
        raise Error(f"the module starts with {size} bytes of memory, and its limit is {limit}")


def require_room(engine: str, room: int, address_space: "int | None") -> None:
    """Raise Error when the address space (RLIMIT_AS, bytes) has no room for what the engine reserves for a memory."""
    if address_space is not None and address_space < room:
        raise Error(
            f"engine {engine} reserves {room >> 30} GiB of address space for a memory, and RLIMIT_AS in "
            f"process.rlimits is {address_space}; raise it, or use wasmtime"
        )


def require_directory(engine: str, place: str, name: str, read_only: bool) -> None:
    """Raise Error for a preopen that this engine would skip without a word, or open for writing."""
    if read_only:
        raise Error(f"{place}: {engine} cannot open a directory read-only for a guest; use wasmtime")
    try:
        os.stat(place)
    except OSError as error:
        raise Error(f"cannot be opened for the guest as {name}: {explain_oserror(error)}") from None


def require_imports(
    engine: str, wanted: "list[tuple[str, str]]", known: "set[tuple[str, str]]", provided: "tuple[str, ...]"
) -> None:
    """Raise Error when a (module, name) of the imports `wanted` is not `known`; `provided` are the known modules."""
    told = unresolved(wanted, provided)
    missing = [f"{module}.{name}" for module, name in wanted if (module, name) not in known]
    if missing:
        raise Error(told or f"it imports {missing[0]}, which this version of {engine} does not have; use wasmtime")


def require_no_network(engine: str, network: "Network | None") -> None:
    """Raise Error when the guest is to be given sockets, or told which addresses to keep to."""
    if network is not None:
        raise Error(f"pyruntime.wasm.network and LISTEN_FDS mean nothing to {engine}; remove them, or use wasmtime")
