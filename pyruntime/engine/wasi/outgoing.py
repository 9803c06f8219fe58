"""wasi:http/outgoing-handler: requests of a guest that may make them (`pyruntime.wasm.network`).

HTTP/1.1, a connection for each request. For https the module `tls` has to be loaded, which whoever gives the
permission does: nothing can be imported once the root has changed.
"""

import _socket
import sys

from pyruntime.engine.permissions import allowed, port_of
from pyruntime.engine.wasi.http import (
    FORBIDDEN,
    FUTURE_RESPONSE,
    METHODS,
    IncomingResponse,
    OutgoingRequest,
    RequestOptions,
)
from pyruntime.engine.wasi.io import Pollable, StreamFaultError
from pyruntime.engine.wasi.message import Body, BodyWriter, Connection, RefusedError, length_of, parse
from pyruntime.engine.wasi.values import Err, Ok
from pyruntime.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.engine.base import Network
    from pyruntime.engine.wasi.host import Call

TLS = "pyruntime.engine.wasi.tls"
_CONNECT_SECONDS = 30.0
_LONGEST = 2_000_000.0  # seconds: poll(2), by which sockets wait, takes not many more
_NO_BODY = ("get", "head", "delete", "options", "trace")  # where a body of no bytes is not said to be one
_PORTS = {"HTTP": 80, "HTTPS": 443}


class FutureIncomingResponse:
    """wasi:http/types.future-incoming-response: the answer, or why there is none."""

    RESOURCE = FUTURE_RESPONSE

    def __init__(self, method: str) -> None:
        self._method = method
        self.connection: "Connection | None" = None
        self.fault: "Any" = None
        self.timeouts: "tuple[float | None, float | None]" = (None, None)
        self._taken = False

    def pollable(self) -> Pollable:
        """Ready when there is an answer to read, or none to be had."""
        return Pollable() if self.connection is None or self.fault else self.connection.pollable()

    def get(self) -> "Ok | Err | None":
        """None while there is nothing, then the response or an error-code, and once only."""
        if self._taken:
            return Err()
        if not self.pollable().ready():
            return None
        self._taken = True
        if self.fault is not None or self.connection is None:
            return Ok(Err(self.fault))
        try:
            return Ok(Ok(self._response(self.connection)))
        except RefusedError:
            why: "Any" = "HTTP-protocol-error"
        except StreamFaultError as fault:
            why = fault.why
        self.connection.close()
        return Ok(Err(why))

    def _response(self, connection: Connection) -> IncomingResponse:
        first, between = self.timeouts
        if first:
            connection.set_timeout(first)
        while True:
            data = connection.head()
            if data is None:
                raise StreamFaultError("no answer", "connection-terminated")
            head = parse(_with_reason(data))
            version, status, _ = head.words
            if not version.startswith("HTTP/1.") or len(status) != 3 or not status.isdecimal():
                raise RefusedError(502, "no status line")
            if status[0] != "1":
                break
        connection.set_timeout(between or _CONNECT_SECONDS * 2)
        bodiless = self._method == "HEAD" or status in ("204", "304")
        body = Body(connection, 0 if bodiless else length_of(head, response=True), after=connection.close)
        return IncomingResponse(int(status), head.fields, body)

    def dropped(self) -> None:
        """Nobody will ask for the answer."""
        if self.connection is not None and not self._taken:
            self.connection.close()


def _with_reason(data: bytes) -> bytes:
    """The space before a reason that is missing is often left out with it."""
    first, end, rest = data.partition(b"\r\n")
    return data if first.count(b" ") > 1 else first + b" " + end + rest


def handle(call: "Call", request: OutgoingRequest, options: "RequestOptions | None") -> "Ok | Err":
    """Connect and send the head, and of the body what there is. An error-code where it is not even tried."""
    network: "Network | None" = call.guest.network
    if network is None or not network.outgoing:
        return Err("HTTP-request-denied")
    scheme = request.scheme[0] if request.scheme else "HTTPS"
    if scheme not in _PORTS or request.authority is None:
        return Err("HTTP-request-URI-invalid")
    case, other = request.method
    method = (other or "") if case == "other" else case.upper()
    future = FutureIncomingResponse(method)
    try:
        future.timeouts = _seconds(options, "first-byte-timeout"), _seconds(options, "between-bytes-timeout")
        future.connection = _connect(network, request.authority, scheme, _seconds(options, "connect-timeout"))
        _send(future.connection, request, method, case)
    except StreamFaultError as fault:
        future.fault = fault.why
        future.dropped()
    return Ok(future)


def _seconds(options: "RequestOptions | None", name: str) -> "float | None":
    length = options.durations.get(name) if options else None
    return min(length / 1e9, _LONGEST) if length else None


def _send(connection: Connection, request: OutgoingRequest, method: str, case: str) -> None:
    # What a guest has cloned from a request that came in holds the fields of that one's connection.
    own = [entry for entry in request.headers.entries if entry[0].lower() not in FORBIDDEN]
    fields = [("host", str(request.authority).encode()), *own, ("connection", b"close")]
    alone = request.body is None and (case in _NO_BODY or case not in METHODS)
    first = f"{method} {request.path or '/'} HTTP/1.1"
    writer = BodyWriter(connection, first, fields, bodiless=alone, chunks=True)
    if request.body is None:
        writer.finish([])
    else:
        request.body.attach(writer)


def _connect(network: "Network", authority: str, scheme: str, seconds: "float | None") -> Connection:
    host, port = _place(authority, _PORTS[scheme])
    fault: "StreamFaultError | None" = None
    for family, address in _resolve(host, port):
        if not allowed(address[0], network):
            fault = fault or StreamFaultError(f"{address[0]} is not permitted", "destination-IP-prohibited")
            continue
        try:
            return _wrapped(_socket_to(family, address, seconds), scheme, host)
        except StreamFaultError as error:
            fault = error
    raise fault or StreamFaultError(host, "destination-not-found")


def _place(authority: str, port: int) -> "tuple[str, int]":
    """The host and port of an authority. Raises StreamFaultError."""
    host, colon, number = authority.rpartition("@")[2].rpartition(":")
    if not colon or number.endswith("]"):
        host, number = authority.rpartition("@")[2], str(port)
    if not host or not port_of(number):
        raise StreamFaultError(f"{authority}: no host and port", "HTTP-request-URI-invalid")
    return host.removeprefix("[").removesuffix("]"), port_of(number)


def _resolve(host: str, port: int) -> "list[tuple[int, Any]]":
    try:
        found = _socket.getaddrinfo(host.encode("ascii"), port, 0, _socket.SOCK_STREAM)
    except UnicodeEncodeError:
        raise StreamFaultError(host, "HTTP-request-URI-invalid") from None
    except OSError as error:
        why = {"rcode": str(error.strerror or "SERVFAIL"), "info-code": None}
        raise StreamFaultError(f"{host}: {error}", ("DNS-error", why)) from None
    return [(family, address) for family, _, _, _, address in found]


def _socket_to(family: int, address: "Any", seconds: "float | None") -> "Any":
    sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    sock.settimeout(seconds or _CONNECT_SECONDS)
    try:
        sock.connect(address)
    except OSError as error:
        sock.close()
        raise StreamFaultError(f"{address[0]}: {reason(error)}", _unreached(error)) from None
    return sock


def _unreached(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection-refused"
    return "connection-timeout" if isinstance(error, TimeoutError) else "destination-unavailable"


def _wrapped(sock: "Any", scheme: str, host: str) -> Connection:
    if scheme == "HTTP":
        return Connection(sock)
    tls = sys.modules.get(TLS)
    if tls is None:
        raise StreamFaultError("https: TLS was not loaded", "configuration-error")
    return Connection(tls.wrap(sock, host))
