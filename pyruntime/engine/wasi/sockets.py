"""wasi:sockets for guests that may use the network (`pyruntime.wasm.network`): TCP, UDP and the names of hosts.

The C library of the engine creates no socket for anybody: it has a switch for that, and no function to turn it. So a
component that is given the network gets its world from here.
"""

import _socket

from pyruntime.engine.wasi.host import Call
from pyruntime.engine.wasi.io import Pollable
from pyruntime.engine.wasi.tcp import INCOMING, NAMES, NETWORK, OUTGOING, TCP, UDP, Network, Tcp, code, to_wit
from pyruntime.engine.wasi.udp import Udp
from pyruntime.engine.wasi.values import Err, Ok

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

RESOURCES = {
    "network": NETWORK, "tcp-socket": TCP, "udp-socket": UDP, "incoming-datagram-stream": INCOMING,
    "outgoing-datagram-stream": OUTGOING, "resolve-address-stream": NAMES,
}  # fmt: skip
_SECOND = 1_000_000_000  # nanoseconds


class Names:
    """wasi:sockets/ip-name-lookup.resolve-address-stream: looked up already."""

    RESOURCE = NAMES

    def __init__(self, found: "list[Any]") -> None:
        self._found = found

    def next(self) -> Ok:
        """The next ip-address, None after the last."""
        if not self._found:
            return Ok(None)
        family, parts = to_wit(self._found.pop(0))
        return Ok((family, parts["address"]))


def _resolve(call: Call, network: Network, name: str) -> "Ok | Err":
    if not _permitted(call):
        return Err("access-denied")
    try:
        found = _socket.getaddrinfo(name.encode("ascii"), 0, 0, _socket.SOCK_STREAM)
    except UnicodeEncodeError:
        return Err("invalid-argument")
    except OSError as error:
        return Err("temporary-resolver-failure" if error.errno == _socket.EAI_AGAIN else "name-unresolvable")
    return Ok(Names([address for _, _, _, _, address in found]))


def _permitted(call: Call) -> bool:
    network = call.guest.network
    return network is not None and network.outgoing


def _create(kind: "type[Tcp] | type[Udp]") -> "Callable[[Call, str], Ok | Err]":
    def create(call: Call, family: str) -> "Ok | Err":
        if not _permitted(call):
            return Err("access-denied")
        try:
            return Ok(kind(family))
        except OSError as error:
            return Err(code(error))

    return create


def _options(prefix: str, names: "dict[str, tuple[int, int, int]]") -> "dict[str, Callable[..., Any]]":
    found: "dict[str, Callable[..., Any]]" = {}
    for name, (level, option, scale) in names.items():
        found[f"{prefix}.{name}"] = lambda call, self, o=(level, option, scale): self.option(*o)
        found[f"{prefix}.set-{name}"] = lambda call, self, value, o=(level, option, scale): self.set_option(
            o[0], o[1], value, o[2]
        )
    return found


def _shared(prefix: str, hops: str) -> "dict[str, Callable[..., Any]]":
    found: "dict[str, Callable[..., Any]]" = {
        "start-bind": lambda call, self, network, address: self.bind(call, address),
        "finish-bind": lambda call, self: self.bound(),
        "local-address": lambda call, self: self.local(),
        "remote-address": lambda call, self: self.remote(),
        "address-family": lambda call, self: self.family,
        hops: lambda call, self: self.option(*self.hops()),
        f"set-{hops}": lambda call, self, value: self.set_option(*self.hops(), value),
        "subscribe": lambda call, self: self.pollable(),
    }
    buffers = {
        "receive-buffer-size": (_socket.SOL_SOCKET, _socket.SO_RCVBUF, 1),
        "send-buffer-size": (_socket.SOL_SOCKET, _socket.SO_SNDBUF, 1),
    }
    return {**{f"{prefix}.{name}": function for name, function in found.items()}, **_options(prefix, buffers)}


_T = "[method]tcp-socket"
FUNCTIONS: "dict[str, dict[str, Callable[..., Any]]]" = {
    "wasi:sockets/instance-network": {"instance-network": lambda call: Network()},
    "wasi:sockets/network": {"network-error-code": lambda call, error: None},
    "wasi:sockets/tcp-create-socket": {"create-tcp-socket": _create(Tcp)},
    "wasi:sockets/udp-create-socket": {"create-udp-socket": _create(Udp)},
    "wasi:sockets/tcp": {
        **_shared(_T, "hop-limit"),
        f"{_T}.start-connect": lambda call, self, network, address: self.connect(call, address),
        f"{_T}.finish-connect": lambda call, self: self.connected(),
        f"{_T}.start-listen": lambda call, self: self.listen(),
        f"{_T}.finish-listen": lambda call, self: self.listening(),
        f"{_T}.accept": lambda call, self: self.accept(),
        f"{_T}.is-listening": lambda call, self: self.state == "listening",
        f"{_T}.set-listen-backlog-size": lambda call, self, value: self.set_backlog(value),
        f"{_T}.keep-alive-enabled": lambda call, self: self.attempt(
            lambda: bool(self.sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE))
        ),
        f"{_T}.set-keep-alive-enabled": lambda call, self, value: self.set_keep_alive(value),
        f"{_T}.shutdown": lambda call, self, how: self.shutdown(how),
        **_options(
            _T,
            {
                "keep-alive-idle-time": (_socket.IPPROTO_TCP, _socket.TCP_KEEPIDLE, _SECOND),
                "keep-alive-interval": (_socket.IPPROTO_TCP, _socket.TCP_KEEPINTVL, _SECOND),
                "keep-alive-count": (_socket.IPPROTO_TCP, _socket.TCP_KEEPCNT, 1),
            },
        ),
    },
    "wasi:sockets/udp": {
        **_shared("[method]udp-socket", "unicast-hop-limit"),
        "[method]udp-socket.stream": lambda call, self, address: self.stream(call, address),
        "[method]incoming-datagram-stream.receive": lambda call, self, most: self.receive(most),
        "[method]incoming-datagram-stream.subscribe": lambda call, self: self.pollable(),
        "[method]outgoing-datagram-stream.check-send": lambda call, self: Ok(16),
        "[method]outgoing-datagram-stream.send": lambda call, self, datagrams: self.send(call, datagrams),
        "[method]outgoing-datagram-stream.subscribe": lambda call, self: self.pollable(),
    },
    "wasi:sockets/ip-name-lookup": {
        "resolve-addresses": _resolve,
        "[method]resolve-address-stream.resolve-next-address": lambda call, self: self.next(),
        "[method]resolve-address-stream.subscribe": lambda call, self: Pollable(),
    },
}
