"""wasi:sockets for guests that may use the network (`pyruntime.wasm.network`): TCP, UDP and the names of hosts.

The C library of the engine creates no socket for anybody: it has a switch for that, and no function to turn it. So a
component that is given the network gets its world from here.
"""

import _socket
import errno
import select

from pyruntime.engine.permissions import allowed
from pyruntime.engine.wasi.host import Call
from pyruntime.engine.wasi.io import InputStream, OutputStream, Pollable, StreamFaultError, wait
from pyruntime.engine.wasi.values import Err, Ok
from pyruntime.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Address = tuple[str, dict[str, Any]]

NETWORK, TCP, UDP, INCOMING, OUTGOING, NAMES = range(30, 36)
RESOURCES = {
    "network": NETWORK, "tcp-socket": TCP, "udp-socket": UDP, "incoming-datagram-stream": INCOMING,
    "outgoing-datagram-stream": OUTGOING, "resolve-address-stream": NAMES,
}  # fmt: skip
_FAMILIES = {"ipv4": _socket.AF_INET, "ipv6": _socket.AF_INET6}
_DATAGRAM = 65536  # bytes that the largest datagram fits into
_SECOND = 1_000_000_000  # nanoseconds

_CODES = {
    errno.EACCES: "access-denied", errno.EPERM: "access-denied", errno.EOPNOTSUPP: "not-supported",
    errno.EAFNOSUPPORT: "not-supported", errno.EINVAL: "invalid-argument", errno.ENOMEM: "out-of-memory",
    errno.ENOBUFS: "out-of-memory", errno.ETIMEDOUT: "timeout", errno.EAGAIN: "would-block",
    errno.EMFILE: "new-socket-limit", errno.ENFILE: "new-socket-limit", errno.EADDRNOTAVAIL: "address-not-bindable",
    errno.EADDRINUSE: "address-in-use", errno.EHOSTUNREACH: "remote-unreachable", errno.ENETUNREACH:
    "remote-unreachable", errno.ENETDOWN: "remote-unreachable", errno.ECONNREFUSED: "connection-refused",
    errno.ECONNRESET: "connection-reset", errno.ECONNABORTED: "connection-aborted", errno.EMSGSIZE:
    "datagram-too-large", errno.ENOTCONN: "invalid-state", errno.EISCONN: "invalid-state",
}  # fmt: skip


def code(error: OSError) -> str:
    """The wasi:sockets error-code for an errno."""
    return _CODES.get(error.errno or 0, "unknown")


def to_wit(address: "Any") -> "Address":
    """An ip-socket-address for what the socket module has."""
    host, port, *more = address
    packed = _socket.inet_pton(_socket.AF_INET6 if more else _socket.AF_INET, host.partition("%")[0])
    if not more:
        return "ipv4", {"port": port, "address": tuple(packed)}
    return "ipv6", {"port": port, "flow-info": more[0], "address": _groups(packed), "scope-id": more[1]}


def from_wit(address: "Address") -> "Any":
    """The other way round."""
    family, parts = address
    if family == "ipv4":
        return _socket.inet_ntop(_socket.AF_INET, bytes(parts["address"])), parts["port"]
    packed = b"".join(group.to_bytes(2, "big") for group in parts["address"])
    return _socket.inet_ntop(_socket.AF_INET6, packed), parts["port"], parts["flow-info"], parts["scope-id"]


def _groups(packed: bytes) -> "tuple[int, ...]":
    return tuple(int.from_bytes(packed[at : at + 2], "big") for at in range(0, 16, 2))


class Network:
    """wasi:sockets/network.network; what may be done is asked of the guest's permissions."""

    RESOURCE = NETWORK


class Stream:
    """The two ends of a connected socket, as a source and a sink (see io.py)."""

    def __init__(self, sock: "Any") -> None:
        self._sock = sock
        self._users = 3  # both ends, and the socket itself

    def released(self) -> None:
        """One of its users is gone; the last one closes the connection."""
        self._users -= 1
        if not self._users:
            self._sock.close()

    def read(self, count: int, block: bool) -> "bytes | None":
        """See io.py."""
        while True:
            try:
                return self._sock.recv(count) or None
            except BlockingIOError:
                if not block:
                    return b""
                wait([self.pollable()])
            except OSError as error:
                raise StreamFaultError(reason(error)) from None

    def write(self, content: bytes) -> None:
        """See io.py."""
        view = memoryview(content)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                wait([Pollable(self._sock.fileno(), select.POLLOUT)])
            except OSError as error:
                raise StreamFaultError(reason(error)) from None

    def flush(self) -> None:
        """See io.py: nothing is kept back."""

    def writable(self) -> Pollable:
        """See io.py."""
        return Pollable(self._sock.fileno(), select.POLLOUT)

    def pollable(self) -> Pollable:
        """See io.py."""
        return Pollable(self._sock.fileno(), select.POLLIN)


class Socket:
    """What TCP and UDP sockets share."""

    def __init__(self, family: str, kind: int, sock: "Any" = None) -> None:
        self.family = family
        self.sock = sock or _socket.socket(_FAMILIES[family], kind | _socket.SOCK_CLOEXEC)
        self.sock.setblocking(False)
        self.state = "unbound"
        if sock is None and family == "ipv6":
            self.sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)

    def bind(self, call: Call, address: "Address") -> "Ok | Err":
        """start-bind, which waits for nothing."""
        if self.state != "unbound":
            return Err("invalid-state")
        place = from_wit(address)
        if address[0] != self.family:
            return Err("invalid-argument")
        if not allowed(place[0], call.guest.network):
            return Err("access-denied")
        return self.attempt(lambda: self._bind(place))

    def _bind(self, place: "Any") -> None:
        self.sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        self.sock.bind(place)
        self.state = "binding"

    def bound(self) -> "Ok | Err":
        """finish-bind."""
        if self.state != "binding":
            return Err("not-in-progress")
        self.state = "bound"
        return Ok()

    def attempt(self, act: "Callable[[], Any]") -> "Ok | Err":
        """What it returns, or the error-code for what it raises."""
        try:
            return Ok(act())
        except BlockingIOError:
            return Err("would-block")
        except (OSError, OverflowError) as error:
            return Err(code(error) if isinstance(error, OSError) else "invalid-argument")

    def local(self) -> "Ok | Err":
        """local-address."""
        if self.state == "unbound":
            return Err("invalid-state")
        return self.attempt(lambda: to_wit(self.sock.getsockname()))

    def remote(self) -> "Ok | Err":
        """remote-address."""
        return self.attempt(lambda: to_wit(self.sock.getpeername()))

    def option(self, level: int, name: int, scale: int = 1) -> "Ok | Err":
        """An option's value."""
        return self.attempt(lambda: self.sock.getsockopt(level, name) * scale)

    def set_option(self, level: int, name: int, value: int, scale: int = 1) -> "Ok | Err":
        """Set an option; 0 is no value for any."""
        if not value:
            return Err("invalid-argument")
        return self.attempt(lambda: self.sock.setsockopt(level, name, min(max(value // scale, 1), 0x7FFFFFFF)))

    def hops(self) -> "tuple[int, int]":
        """The option that holds the hop limit."""
        if self.family == "ipv4":
            return _socket.IPPROTO_IP, _socket.IP_TTL
        return _socket.IPPROTO_IPV6, _socket.IPV6_UNICAST_HOPS

    def dropped(self) -> None:
        """The guest let it go."""
        self.sock.close()


class Tcp(Socket):
    """wasi:sockets/tcp.tcp-socket"""

    RESOURCE = TCP

    def __init__(self, family: str, sock: "Any" = None) -> None:
        super().__init__(family, _socket.SOCK_STREAM, sock)
        self.backlog = 128
        self.stream: "Stream | None" = None

    def dropped(self) -> None:
        """The guest let it go; its streams keep the connection."""
        if self.stream is not None:
            self.stream.released()
        else:
            self.sock.close()

    def connect(self, call: Call, address: "Address") -> "Ok | Err":
        """start-connect."""
        place = from_wit(address)
        if self.state not in ("unbound", "bound"):
            return Err("invalid-state")
        if address[0] != self.family or not place[1]:
            return Err("invalid-argument")
        if not allowed(place[0], call.guest.network):
            return Err("access-denied")
        try:
            found = self.sock.connect_ex(place)
        except OverflowError:  # a flow or a scope that no address has
            return Err("invalid-argument")
        if found not in (0, errno.EINPROGRESS):
            return Err(_CODES.get(found, "unknown"))
        self.state = "connecting"
        return Ok()

    def connected(self) -> "Ok | Err":
        """finish-connect: the two streams."""
        if self.state != "connecting":
            return Err("not-in-progress")
        if not self.pollable().ready():
            return Err("would-block")
        found = self.sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        self.state = "closed" if found else "connected"
        return Err(_CODES.get(found, "unknown")) if found else Ok(self._streams())

    def _streams(self) -> "tuple[InputStream, OutputStream]":
        self.stream = Stream(self.sock)
        return InputStream(self.stream), OutputStream(self.stream)

    def listen(self) -> "Ok | Err":
        """start-listen."""
        if self.state != "bound":
            return Err("invalid-state")
        self.state = "listening soon"
        return self.attempt(lambda: self.sock.listen(self.backlog))

    def listening(self) -> "Ok | Err":
        """finish-listen."""
        if self.state != "listening soon":
            return Err("not-in-progress")
        self.state = "listening"
        return Ok()

    def accept(self) -> "Ok | Err":
        """The next connection and its streams."""
        if self.state != "listening":
            return Err("invalid-state")
        return self.attempt(self._accepted)

    def _accepted(self) -> "tuple[Tcp, InputStream, OutputStream]":
        fd, _ = self.sock._accept()  # type: ignore[union-attr]
        peer = Tcp(self.family, _socket.socket(fileno=fd))
        peer.state = "connected"
        return (peer, *peer._streams())

    def set_backlog(self, value: int) -> "Ok | Err":
        """set-listen-backlog-size."""
        if not value:
            return Err("invalid-argument")
        self.backlog = min(value, 4096)
        return self.listen_again() if self.state == "listening" else Ok()

    def listen_again(self) -> "Ok | Err":
        """With another backlog: listen(2) may be called once more."""
        return self.attempt(lambda: self.sock.listen(self.backlog))

    def set_keep_alive(self, value: bool) -> "Ok | Err":
        """set-keep-alive-enabled."""
        return self.attempt(lambda: self.sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, int(value)))

    def shutdown(self, how: str) -> "Ok | Err":
        """Of one direction or both."""
        kinds = {"receive": _socket.SHUT_RD, "send": _socket.SHUT_WR, "both": _socket.SHUT_RDWR}
        if self.state != "connected":
            return Err("invalid-state")
        return self.attempt(lambda: self.sock.shutdown(kinds[how]))

    def pollable(self) -> Pollable:
        """Ready when what was started can be finished, or something can be accepted."""
        events = {"connecting": select.POLLOUT, "listening": select.POLLIN}.get(self.state)
        return Pollable(self.sock.fileno(), events) if events else Pollable()


class Udp(Socket):
    """wasi:sockets/udp.udp-socket"""

    RESOURCE = UDP

    def __init__(self, family: str) -> None:
        super().__init__(family, _socket.SOCK_DGRAM)

    def stream(self, call: Call, address: "Address | None") -> "Ok | Err":
        """The streams of datagrams, from and to one peer if an address is given."""
        place = from_wit(address) if address else None
        if place and not allowed(place[0], call.guest.network):
            return Err("access-denied")
        return self.attempt(lambda: self._streams(place))

    def _streams(self, place: "Any") -> "tuple[Incoming, Outgoing]":
        if place:
            self.sock.connect(place)
            self.state = "connected"
        return Incoming(self.sock), Outgoing(self, place)

    def pollable(self) -> Pollable:
        """Nothing takes time."""
        return Pollable()


class Incoming:
    """wasi:sockets/udp.incoming-datagram-stream"""

    RESOURCE = INCOMING

    def __init__(self, sock: "Any") -> None:
        self._sock = sock

    def receive(self, most: int) -> "Ok | Err":
        """What there is, `most` datagrams of it."""
        found: "list[dict[str, Any]]" = []
        try:
            while len(found) < min(most, 16):
                data, peer = self._sock.recvfrom(_DATAGRAM)
                found.append({"data": data, "remote-address": to_wit(peer)})
        except BlockingIOError:
            return Ok(found)
        except OSError as error:
            return Ok(found) if found else Err(code(error))
        return Ok(found)

    def pollable(self) -> Pollable:
        return Pollable(self._sock.fileno(), select.POLLIN)


class Outgoing:
    """wasi:sockets/udp.outgoing-datagram-stream"""

    RESOURCE = OUTGOING

    def __init__(self, socket: Udp, place: "Any") -> None:
        self._socket = socket
        self._sock = socket.sock
        self._place = place

    def send(self, call: Call, datagrams: "list[dict[str, Any]]") -> "Ok | Err":
        """How many were sent, or why the first was not."""
        sent = 0
        for datagram in datagrams:
            done = self._send(call, datagram)
            if isinstance(done, Err):
                return Ok(sent) if sent else done
            sent += 1
        return Ok(sent)

    def _send(self, call: Call, datagram: "dict[str, Any]") -> "Ok | Err":
        address = datagram["remote-address"]
        place = from_wit(address) if address else self._place
        if place is None:
            return Err("invalid-argument")
        if not allowed(place[0], call.guest.network):
            return Err("access-denied")
        if self._place is not None:
            return self._socket.attempt(lambda: self._sock.send(datagram["data"]))
        self._socket.state = "bound"
        return self._socket.attempt(lambda: self._sock.sendto(datagram["data"], place))

    def pollable(self) -> Pollable:
        return Pollable(self._sock.fileno(), select.POLLOUT)


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
