"""Serving HTTP/1.1: a thread for each connection, one request after another on it."""

import _queue
import _socket
import _thread
import posix as os
import select
import time

from pyruntime.engine.permissions import split_address
from pyruntime.engine.wasi.http import IncomingRequest, Outgoing, Outparam
from pyruntime.engine.wasi.io import StreamFaultError
from pyruntime.engine.wasi.message import Body, BodyWriter, Connection, Head, RefusedError, is_token, length_of, parse
from pyruntime.engine.wasi.values import Err, Ok
from pyruntime.errors import Error, one_line, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Handle = Callable[[IncomingRequest, Outparam], None]

CONNECTIONS = 64  # at a time; those beyond wait in the kernel's backlog
_PATIENCE = 0.05  # seconds that one beyond waits before one that asks for nothing has to go
BACKLOG = 128
_DRAIN = 1 << 18  # bytes of a request that the guest did not read, which are read before the next one
_BODILESS = (204, 304)
_HOST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()*+,;=:[]")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

REASONS = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently",
    302: "Found", 303: "See Other", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 409: "Conflict", 413: "Content Too Large", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
    502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}  # fmt: skip
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def listen(address: str) -> "Any":
    """A socket that listens at `host:port`, `[v6]:port`; the host is an address, not a name. Raises Error."""
    host, port = split_address(address)
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    try:
        sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        raise Error(f"cannot serve HTTP at {address}: {reason(error)}") from None
    return sock


def inherited(fd: int) -> "Any":
    """The socket object for a descriptor that listens already. Raises Error."""
    try:
        sock = _socket.socket(fileno=fd)
        if not sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN):
            raise Error(f"descriptor {fd} of LISTEN_FDS is a socket that does not listen")
    except OSError as error:
        raise Error(f"descriptor {fd} of LISTEN_FDS: {reason(error)}") from None
    return sock


class Places:
    """Room for so many connections, and which of them wait for a request, or for the rest of one that was answered."""

    def __init__(self, count: int) -> None:
        self._free: "Any" = _queue.SimpleQueue()
        self._waiting: "dict[Connection, None]" = {}
        for _ in range(count):
            self._free.put(None)

    def take(self) -> None:
        """Wait for a place; whoever has waited for a request the longest has to give up theirs."""
        while True:
            try:
                self._free.get(timeout=_PATIENCE)
            except _queue.Empty:
                self.make_room()
            else:
                return

    def give_back(self) -> None:
        """The connection has ended."""
        self._free.put(None)

    def idle(self, connection: Connection, act: "Callable[[], Any]") -> "Any":
        """What `act` returns, during which the place may be taken away, and None then. Raises what it raises."""
        self._waiting[connection] = None
        try:
            found = act()
        except BaseException:
            self._waiting.pop(connection, None)
            raise
        # Each side takes it out, which only one of them can: no answer is cut off, and nothing is shut down later.
        return found if self._waiting.pop(connection, _ENDED) is not _ENDED else None

    def make_room(self) -> None:
        """End the connection that has waited the longest, if one waits."""
        for connection in list(self._waiting)[:1]:
            if self._waiting.pop(connection, _ENDED) is not _ENDED:
                connection.interrupt()


_ENDED = object()


def serve(listeners: "list[Any]", handle: "Handle") -> None:
    """Accept and answer for ever."""
    places = Places(CONNECTIONS)
    poll = select.poll()
    for sock in listeners:
        sock.setblocking(False)
        poll.register(sock.fileno(), select.POLLIN)
    by_fd = {sock.fileno(): sock for sock in listeners}
    while True:
        poll.poll()  # nobody has to go before somebody has come
        places.take()
        _start(_accepted(poll, by_fd), handle, places)


def _accepted(poll: "Any", by_fd: "dict[int, Any]") -> "Any":
    while True:
        for fd, _ in poll.poll():
            try:
                accepted, _address = by_fd[fd]._accept()
            except (BlockingIOError, ConnectionError, InterruptedError):
                continue
            except OSError as error:
                _log(f"accept: {reason(error)}")
                time.sleep(0.1)  # no descriptors left, most likely: those in use will be given back
                continue
            sock = _socket.socket(fileno=accepted)
            if sock.family != _socket.AF_UNIX:
                sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            return sock


def _start(sock: "Any", handle: "Handle", places: Places) -> None:
    try:
        _thread.start_new_thread(_connection, (sock, handle, places))
    except RuntimeError:
        places.make_room()  # for the next one
        connection = Connection(sock)
        _refuse(connection, 503, "no thread for this connection: raise linux.resources.pids.limit")
        connection.close()
        places.give_back()


def _connection(sock: "Any", handle: "Handle", places: Places) -> None:
    connection = Connection(sock)
    try:
        while _exchange(connection, handle, places):
            pass
    except Exception as error:
        # A traceback of this thread would open source files by name inside the container's root.
        _log(f"a connection: {error}")
    finally:
        connection.close()
        places.give_back()


def _exchange(connection: Connection, handle: "Handle", places: Places) -> bool:
    """One request and its answer; whether another may follow."""
    try:
        data = places.idle(connection, connection.head)
        if data is None:
            return False
        head = parse(data)
        exchange = Exchange(connection, head)
    except RefusedError as error:
        _refuse(connection, error.status, str(error))
        places.idle(connection, connection.linger)
        return False
    except StreamFaultError:
        return False
    handle(exchange.request, Outparam(exchange.respond))
    exchange.finish()
    return bool(places.idle(connection, exchange.persists))


def _refuse(connection: Connection, status: int, why: str) -> None:
    """Answer in the guest's place, with a line of text, and for the last time on this connection."""
    fields = [("content-type", b"text/plain"), ("connection", b"close"), ("date", _date())]
    writer = BodyWriter(connection, _first(status), fields, bodiless=False, chunks=False)
    try:
        writer.whole(one_line(why).encode("utf-8", "replace") + b"\n")
    except StreamFaultError:
        return  # nobody is there to read it


def _first(status: int) -> str:
    return f"HTTP/1.1 {status} {REASONS.get(status, '')}"


def _date() -> bytes:
    """IMF-fixdate (RFC 9110, 5.6.7), without a locale."""
    now = time.gmtime()
    day, month = _DAYS[now.tm_wday], _MONTHS[now.tm_mon - 1]
    clock = f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
    return f"{day}, {now.tm_mday:02} {month} {now.tm_year} {clock} GMT".encode()


def _log(text: str) -> None:
    try:
        os.write(2, f"wasm: {one_line(text)}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        return  # stderr is closed or full


class Exchange:
    """One request and what becomes of it."""

    def __init__(self, connection: Connection, head: Head) -> None:
        """Raises RefusedError for a request that is none."""
        method, target, version = head.words
        _check(method, target, version)
        self._connection = connection
        self._head_only = method == "HEAD"
        self._modern = version == "HTTP/1.1"
        self._close = _wants_close(head, self._modern)
        self._writer: "BodyWriter | None" = None
        authority, path = _place(head, target, self._modern)
        length = length_of(head)
        if length < 0 and not self._modern:
            raise RefusedError(400, "a transfer coding in HTTP/1.0")
        asks = self._modern and length != 0 and head.listed("expect") == [b"100-continue"]
        self._body = Body(connection, length, self._continue if asks else None)
        self.request = IncomingRequest(method, path, authority, head.fields, self._body)

    def _continue(self) -> None:
        if self._writer is None or not self._writer.started:
            self._connection.send(_CONTINUE)

    def respond(self, response: "Ok | Err") -> None:
        """Send what the guest answers. Raises StreamFaultError."""
        if isinstance(response, Err):
            code = response.value[0]  # type: ignore[index]
            self._plain(504 if code.endswith("timeout") else 502, f"the component failed: {code}")
            return
        answer: "Any" = response.value
        self._writer = self._begin(answer.status, answer.headers.entries)
        self._give_body(answer, self._writer)

    def _give_body(self, answer: Outgoing, writer: BodyWriter) -> None:
        if answer.body is None:
            writer.finish([])
        else:
            answer.body.attach(writer)

    def _begin(self, status: int, entries: "list[tuple[str, bytes]]") -> BodyWriter:
        fields = list(entries)
        if not any(name.lower() == "date" for name, _ in fields):
            fields.append(("date", _date()))
        known = any(name.lower() == "content-length" for name, _ in fields)
        if not self._modern and not known:
            self._close = True
        if self._close:
            fields.append(("connection", b"close"))
        elif not self._modern:
            fields.append(("connection", b"keep-alive"))
        bodiless = self._head_only or status in _BODILESS
        return BodyWriter(self._connection, _first(status), fields, bodiless, chunks=self._modern)

    def _plain(self, status: int, text: str) -> None:
        self._writer = self._begin(status, [("content-type", b"text/plain")])
        self._writer.whole(text.encode("utf-8", "replace") + b"\n")

    def finish(self) -> None:
        """The guest is gone: answer for it if it did not, and leave no body half sent as if it were whole."""
        try:
            if self._writer is None:
                self._plain(500, "the component failed")
            elif not self._writer.finished:
                self._writer.abort()
        except StreamFaultError:
            self._connection.broken = True

    def persists(self) -> bool:
        """Whether another request may follow on this connection; what still comes of this one is dropped."""
        if not self._close and not self._connection.broken and self._body.drain(_DRAIN):
            return True
        if not self._body.ended:
            self._connection.linger()
        return False


def _check(method: str, target: str, version: str) -> None:
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise RefusedError(505 if version.startswith("HTTP/") else 400, "HTTP/1.1 is spoken here")
    if not is_token(method.encode("latin-1")) or not all("!" <= letter <= "~" for letter in target):
        raise RefusedError(400, "no request line")
    if method == "CONNECT":
        raise RefusedError(501, "CONNECT is not served")


def _wants_close(head: Head, modern: bool) -> bool:
    options = head.listed("connection")
    return b"close" in options or (not modern and b"keep-alive" not in options)


def _place(head: Head, target: str, modern: bool) -> "tuple[str | None, str]":
    """The authority and the path with query that a request is for (RFC 9112, 3.2)."""
    hosts = head.values("host")
    if len(hosts) > 1 or (modern and not hosts):
        raise RefusedError(400, "a request has one Host field")
    host = _authority(hosts[0].decode("latin-1")) if hosts else None
    if target.startswith("/") or target == "*":
        return host, target
    scheme, mark, rest = target.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        raise RefusedError(400, "a request's target is a path or a URL")
    authority, _, path = rest.partition("/")
    authority, question, query = authority.partition("?")
    return _authority(authority), f"/{question}{query}{path}" if question else f"/{path}"


def _authority(text: str) -> str:
    """A host with or without a port, of the characters that RFC 3986 has for them; "" where there is none."""
    if not _HOST.issuperset(text):
        raise RefusedError(400, "a host that is none")
    return text
