"""What a guest may do on the network: the annotations `pyruntime.wasm.http` and `pyruntime.wasm.network`. Pure.

docs/reference/annotations.md has the table. Without them a guest gets no network, but a component that exports
wasi:http/incoming-handler: to be asked is all it does.
"""

from pyruntime.engine.annotations import HTTP, NETWORK
from pyruntime.engine.base import Network
from pyruntime.errors import ConfigError, Error, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.engine.select import Selection

ADDRESS = "0.0.0.0:8080"  # where a component serves if nothing else is asked for: in its network namespace
ALL = "all"
_HANDLER = b"wasi:http/incoming-handler@0.2."
_MAPPED = b"\0" * 10 + b"\xff\xff"  # before the 4 bytes of an IPv4 address
_FIRST = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)


def network(
    annotations: "dict[str, str]", selection: "Selection", listen_fds: int = 0, joins: bool = False
) -> "Network | None":
    """What of the network a guest is given, None for nothing; `listen_fds` are the sockets the caller passed on.

    `joins`: the annotations are those of a container that this guest joins, and need not be about it. Raises
    ConfigError that names the annotation.
    """
    is_component = selection.kind == "wasm-component"
    serves = is_component and _HANDLER in selection.wasm
    if joins:
        about = {HTTP: serves, NETWORK: is_component}
        annotations = {name: value for name, value in annotations.items() if about.get(name, True)}
    if NETWORK in annotations and not is_component:
        raise ConfigError(_at(NETWORK), "is for components: a module of WASI preview 1 has no way to connect")
    listeners = tuple(range(_FIRST, _FIRST + listen_fds))
    addresses = _addresses(annotations)
    http = _http(annotations, serves)
    if not listeners and not http and addresses is None:
        return None
    found = () if addresses in (None, (ALL,)) else addresses or ()
    return Network(listeners, http, addresses is not None, found)


def _http(annotations: "dict[str, str]", serves: bool) -> str:
    asked = annotations.get(HTTP)
    if asked is None:
        return ADDRESS if serves else ""
    if not serves:
        raise ConfigError(_at(HTTP), "the program is no component that exports wasi:http/incoming-handler 0.2")
    try:
        split_address(asked)
    except Error as error:
        raise ConfigError(_at(HTTP), error.text) from None
    return asked


def _addresses(annotations: "dict[str, str]") -> "tuple[str, ...] | None":
    asked = annotations.get(NETWORK)
    if asked is None:
        return None
    parts = tuple(part.strip() for part in asked.split(","))
    if parts != (ALL,) and not all(prefix_of(part) for part in parts):
        expected = f'"{ALL}", or addresses such as "10.0.0.0/8, 127.0.0.1, ::1"'
        raise ConfigError(_at(NETWORK), f'expected {expected}, got "{one_line(asked)}"')
    return parts


def _at(name: str) -> str:
    return f'annotations["{name}"]'


def split_address(address: str) -> "tuple[str, int]":
    """The host and port of `127.0.0.1:80` or `[::]:80`. Raises Error."""
    host, _, port = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    number = port_of(port)
    if not packed(bare) or not number or (":" in bare) != (bare != host):
        raise Error(f'"{one_line(address)}" is no address to serve at; give one as 127.0.0.1:8080 or [::1]:8080')
    return bare, number


def port_of(text: str) -> int:
    """The number of a port, 0 for what is none."""
    return int(text) if _is_number(text) and int(text) < 65536 else 0


def _is_number(text: str) -> bool:
    """Whether these are decimal digits, and no more than numbers here have."""
    return text.isascii() and text.isdecimal() and len(text) < 6


def packed(address: str) -> bytes:
    """The 4 or 16 bytes of an IP address, b"" for what is none."""
    import _socket  # only here, and never for a guest without network

    try:
        return _socket.inet_pton(_socket.AF_INET6 if ":" in address else _socket.AF_INET, address)
    except (OSError, ValueError):
        return b""


def prefix_of(text: str) -> "tuple[bytes, int] | None":
    """The address and the length in bits of `10.0.0.0/8`, or of an address alone; None for what is neither."""
    address, slash, length = text.partition("/")
    found = packed(address)
    if not found or (slash and not (_is_number(length) and int(length) <= 8 * len(found))):
        return None
    bits = int(length) if slash else 8 * len(found)
    if found.startswith(_MAPPED) and bits >= 96:
        return found[12:], bits - 96
    return found, bits


def allowed(address: str, network: "Network | None") -> bool:
    """Whether a guest may connect to an IP address or bind to it."""
    if network is None or not network.outgoing:
        return False
    found = packed(address).removeprefix(_MAPPED)  # what it leads to is the IPv4 network: ipv6(7)
    return not network.addresses or any(_within(found, prefix_of(entry)) for entry in network.addresses)


def _within(address: bytes, prefix: "tuple[bytes, int] | None") -> bool:
    if prefix is None or len(address) != len(prefix[0]):
        return False
    shift = 8 * len(address) - prefix[1]
    return int.from_bytes(address, "big") >> shift == int.from_bytes(prefix[0], "big") >> shift
