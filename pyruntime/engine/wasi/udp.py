"""UDP sockets of wasi:sockets, with their streams of datagrams."""

import _socket
import select

from pyruntime.engine.permissions import allowed
from pyruntime.engine.wasi.host import Call
from pyruntime.engine.wasi.io import Pollable
from pyruntime.engine.wasi.tcp import INCOMING, OUTGOING, UDP, Socket, code, from_wit, to_wit
from pyruntime.engine.wasi.values import Err, Ok

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.engine.wasi.tcp import Address

_DATAGRAM = 65536  # bytes that the largest datagram fits into


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
