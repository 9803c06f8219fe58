"""TCP sockets of wasi:sockets, and what UDP ones share with them."""

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

NETWORK, TCP, UDP, INCOMING, OUTGOING, NAMES = range(30, 36)  # kinds of resources
_FAMILIES = {"ipv4": _socket.AF_INET, "ipv6": _socket.AF_INET6}

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
