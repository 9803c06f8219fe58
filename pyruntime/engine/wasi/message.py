"""HTTP/1.1 on one connection (RFC 9112): heads read strictly, bodies framed, for both sides of an exchange.

What is ambiguous is refused, since a proxy in front may read it in another way: bare line feeds, folded lines, white
space before a colon, more than one length, a length beside chunks.
"""

import _socket
import select
import time

from pyruntime.engine.wasi.io import LARGEST, Asked, Pollable, StreamFaultError
from pyruntime.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Fields = list[tuple[str, bytes]]

HEAD_LIMIT = 1 << 16  # bytes of a head, or of trailers
FIELD_LIMIT = 200
LINE_LIMIT = 4096  # bytes of a chunk's line
IDLE_SECONDS = 60.0  # without a byte from or to the peer
HEAD_SECONDS = 30.0  # from a head's first byte to its last

_LINGER_SECONDS = 1.0

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
_CHUNKED, _CLOSE = -1, -2  # beside lengths in bytes


class RefusedError(Exception):
    """What the peer sent is not to be answered but with this status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Connection:
    """A connected socket, and what was read from it and not used yet."""

    def __init__(self, sock: "Any") -> None:
        """`sock` has `recv`, `sendall`, `settimeout`, `fileno`, `close`, as _socket.socket does."""
        self.sock = sock
        self.broken = False
        self._data = bytearray()
        self.set_timeout(IDLE_SECONDS)

    def set_timeout(self, seconds: float) -> None:
        """How long a receive or send may take."""
        self.sock.settimeout(max(seconds, 0.001))

    def fill(self) -> bool:
        """Receive more; False at the end. Raises StreamFaultError."""
        try:
            found = self.sock.recv(LARGEST)
        except TimeoutError:
            raise self._fault("no byte for too long", "connection-read-timeout") from None
        except OSError as error:
            raise self._fault(f"receive: {reason(error)}", "connection-terminated") from None
        self._data += found
        return bool(found)

    def send(self, content: "bytes | bytearray") -> None:
        """Send everything. Raises StreamFaultError."""
        if self.broken:
            raise StreamFaultError("the connection is closed", "closed")
        try:
            self.sock.sendall(content)
        except TimeoutError:
            raise self._fault("nothing taken for too long", "connection-write-timeout") from None
        except OSError as error:
            raise self._fault(f"send: {reason(error)}", "connection-terminated") from None

    def _fault(self, text: str, code: str) -> StreamFaultError:
        self.broken = True
        return StreamFaultError(text, code)

    def take(self, count: int) -> bytes:
        """Up to `count` bytes of what was read already."""
        found = bytes(self._data[:count])
        del self._data[:count]
        return found

    def held(self) -> int:
        """How many bytes were read and not taken."""
        return len(self._data) or int(getattr(self.sock, "pending", int)())

    def line(self) -> bytes:
        """The next line, without its end. Raises StreamFaultError."""
        while (end := self._data.find(b"\r\n")) < 0:
            if len(self._data) > LINE_LIMIT or not self.fill():
                raise self._fault("a line of a chunk is too long or cut off", "HTTP-protocol-error")
        return self.take(end + 2)[:-2]

    def head(self) -> "bytes | None":
        """The bytes up to an empty line, without it; None when the peer has closed instead. Raises RefusedError.

        Empty lines before them are passed over.
        """
        deadline = time.monotonic() + HEAD_SECONDS if self._data else None
        while (end := self._head_end()) < 0:
            if len(self._data) > HEAD_LIMIT:
                raise RefusedError(431, f"a head of more than {HEAD_LIMIT} bytes")
            if not self.fill():
                return None
            deadline = deadline or time.monotonic() + HEAD_SECONDS
            if time.monotonic() > deadline:
                raise RefusedError(408, "a head that takes too long")
            self.set_timeout(deadline - time.monotonic())
        if end > HEAD_LIMIT:
            raise RefusedError(431, f"a head of more than {HEAD_LIMIT} bytes")
        self.set_timeout(IDLE_SECONDS)
        return self.take(end + 4)[:-4]

    def _head_end(self) -> int:
        while self._data.startswith(b"\r\n"):
            del self._data[:2]
        return self._data.find(b"\r\n\r\n")

    def pollable(self) -> Pollable:
        """Ready when there is something to take or to receive."""
        return Asked(self.sock.fileno(), select.POLLIN, lambda: self.broken or bool(self.held()))

    def linger(self) -> None:
        """Say that nothing more comes and drop what still does: closed at once, the peer may lose what it was sent."""
        self.broken = True
        try:
            self.sock.shutdown(_socket.SHUT_WR)
            self.set_timeout(_LINGER_SECONDS)
            end = time.monotonic() + _LINGER_SECONDS
            while self.sock.recv(LARGEST) and time.monotonic() < end:
                pass
        except OSError:
            return  # the peer has gone, or does not

    def interrupt(self) -> None:
        """Let a thread that waits to receive find the end; nothing is raised."""
        try:
            self.sock.shutdown(_socket.SHUT_RDWR)
        except OSError:
            return  # it has ended by itself

    def close(self) -> None:
        """End the connection; nothing is raised."""
        self.broken = True
        try:
            self.sock.shutdown(_socket.SHUT_WR)
        except OSError:
            pass  # the peer was faster
        self.sock.close()


class Head:
    """The first line's three words, and the fields."""

    __slots__ = ("fields", "words")

    def __init__(self, words: "tuple[str, str, str]", fields: "Fields") -> None:
        self.words = words
        self.fields = fields

    def values(self, name: str) -> "list[bytes]":
        """All values of a field, by its name in lower case."""
        return [value for key, value in self.fields if key.lower() == name]

    def listed(self, name: str) -> "list[bytes]":
        """The members of a field that is a list, in lower case."""
        return [part.strip(b" \t") for part in b",".join(self.values(name)).lower().split(b",") if part.strip(b" \t")]


def parse(data: bytes) -> Head:
    """A head's parts. Raises RefusedError."""
    first, *lines = data.split(b"\r\n")
    words = first.split(b" ", 2)
    if len(words) != 3 or not all(0x20 <= byte < 0x7F or byte >= 0x80 for byte in first):
        raise RefusedError(400, "no request line")
    return Head(tuple(word.decode("latin-1") for word in words), fields(lines))  # type: ignore[arg-type]


def fields(lines: "list[bytes]") -> "Fields":
    """Header fields or trailers. Raises RefusedError."""
    if len(lines) > FIELD_LIMIT:
        raise RefusedError(431, f"more than {FIELD_LIMIT} fields")
    return [_field(line) for line in lines]


def _field(line: bytes) -> "tuple[str, bytes]":
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not is_token(name) or not is_value(value):
        raise RefusedError(400, "a header field that is none")
    return name.decode("ascii"), value


def is_token(name: bytes) -> bool:
    """Whether these bytes are a token (RFC 9110, 5.6.2): a method, a field's name."""
    return bool(name) and _TOKEN.issuperset(name)


def is_value(value: bytes) -> bool:
    """Whether these bytes can be a field's value (RFC 9110, 5.5)."""
    return not any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in value)


def length_of(head: Head, response: bool = False) -> int:
    """How the body that follows a head is framed: its bytes, or chunked, or until the end. Raises RefusedError."""
    codings, lengths = head.listed("transfer-encoding"), set(head.listed("content-length"))
    if bool(head.values("transfer-encoding")) != bool(codings) or bool(head.values("content-length")) != bool(lengths):
        raise RefusedError(400, "a transfer-encoding or a content-length that says nothing")
    if codings:
        if codings != [b"chunked"] or lengths:
            raise RefusedError(400 if lengths else 501, "a transfer coding that is not chunked alone")
        return _CHUNKED
    if not lengths:
        return _CLOSE if response else 0
    if len(lengths) > 1 or not (text := lengths.pop()).isdigit() or len(text) > 18:
        raise RefusedError(400, "a content-length that is no number")
    return int(text)


class Body:
    """What follows a head, as a source for streams (see io.py); at its end `trailers` are known."""

    def __init__(
        self,
        connection: Connection,
        length: int,
        before: "Callable[[], None] | None" = None,
        after: "Callable[[], None] | None" = None,
    ) -> None:
        """`length` is from `length_of`; `before` is called before the first byte is waited for, `after` at the end."""
        self._connection = connection
        self._left = length if length >= 0 else 0
        self._chunked = length == _CHUNKED
        self._to_end = length == _CLOSE
        self._first = True
        self._before = before
        self._after = after
        self.ended = False
        self.trailers: "Fields" = []
        if length == 0:
            self._end()

    def read(self, count: int, block: bool) -> "bytes | None":
        """See io.py."""
        if self.ended:
            return None
        if self._before is not None:
            self._before()
            self._before = None
        if not block and not self._connection.pollable().ready():
            return b""
        if self._chunked and not self._left and not self._next_chunk():
            return None
        return self._take(count)

    def _take(self, count: int) -> "bytes | None":
        connection = self._connection
        if not connection.held() and not connection.fill():
            self._end_of_file()
            return None
        found = connection.take(count if self._to_end else min(count, self._left)) or b""
        if not self._to_end:
            self._left -= len(found)
            if not self._left and not self._chunked:
                self._end()
        return found

    def _end(self) -> None:
        self.ended = True
        if self._after is not None:
            self._after()

    def _end_of_file(self) -> None:
        self._connection.broken = True
        self._end()
        if not self._to_end:
            raise StreamFaultError("the body is cut off", "connection-terminated")

    def _next_chunk(self) -> bool:
        """Read a chunk's line, and after the last chunk the trailers."""
        connection = self._connection
        if not self._first and connection.line():
            raise self._bad("a chunk is longer than it says")
        self._first = False
        line = connection.line()
        size = line.partition(b";")[0].rstrip(b" \t")
        if not size or len(size) > 15 or not _HEXADECIMAL.issuperset(size):
            raise self._bad("a chunk's size is no number")
        if not is_value(line):  # where a proxy ends the line at a bare line feed, it would see other chunks
            raise self._bad("a chunk's extension is none")
        self._left = int(size, 16)
        if not self._left:
            self._read_trailers()
            self._end()
        return bool(self._left)

    def _read_trailers(self) -> None:
        lines: "list[bytes]" = []
        while line := self._connection.line():
            lines.append(line)
            if len(lines) > FIELD_LIMIT:
                raise self._bad("too many trailers")
        try:
            self.trailers = fields(lines)
        except RefusedError as error:
            raise self._bad(str(error)) from None

    def _bad(self, why: str) -> StreamFaultError:
        self._connection.broken = True
        self._end()
        return StreamFaultError(why, "HTTP-protocol-error")

    def pollable(self) -> Pollable:
        """See io.py."""
        return Pollable() if self.ended or self._before is not None else self._connection.pollable()

    def drain(self, limit: int) -> bool:
        """Read what is left, `limit` bytes at most; whether the end was reached and another head may follow."""
        if self._before is not None:  # the peer waits to be asked, and may send the next head as well as the body
            return self.ended
        while not self.ended and limit > 0 and not self._connection.broken:
            try:
                limit -= len(self.read(LARGEST, True) or b"")
            except StreamFaultError:
                return False
        return self.ended and not self._connection.broken


class BodyWriter:
    """Sends a head and the body after it, as a sink for streams (see io.py).

    The head goes out with the first bytes of the body, so a body that is empty is known to be.
    """

    def __init__(self, connection: Connection, first: str, sent: "Fields", bodiless: bool, chunks: bool) -> None:
        """`bodiless`: no body follows, whatever the head says; `chunks`: the peer understands them.

        Raises StreamFaultError for fields that state two lengths, which each reader could take differently.
        """
        self._connection = connection
        self._first = first
        self._fields = sent
        self._bodiless = bodiless
        self._chunks = chunks
        lengths = {int(value) for name, value in sent if name.lower() == "content-length"}
        if len(lengths) > 1:
            raise StreamFaultError("more than one content-length", "HTTP-protocol-error")
        self._length = lengths.pop() if lengths else None
        self._written = 0
        self.started = False
        self.finished = False

    def write(self, content: bytes) -> None:
        """See io.py."""
        if not content:
            return
        self._written += len(content)
        if self._length is not None and self._written > self._length:
            self.abort()
            raise StreamFaultError(
                f"the body is longer than content-length {self._length}",
                ("HTTP-response-body-size", self._written),
            )
        head = self._head(None)
        if self._bodiless:
            self._send(head)
        elif self._chunks and self._length is None:
            self._send(b"%s%x\r\n%s\r\n" % (head, len(content), content))
        else:
            self._send(head + content)

    def _send(self, content: bytes) -> None:
        if content:
            self._connection.send(content)

    def _head(self, length: "int | None") -> bytes:
        """The head if it was not sent yet; `length` is the body's where all of it is known now."""
        if self.started:
            return b""
        self.started = True
        lines = [self._first.encode("latin-1")]
        lines += [name.encode("ascii") + b": " + value for name, value in self._fields]
        if not self._bodiless and self._length is None:
            if length is not None:
                self._length = length
                lines.append(b"content-length: %d" % length)
            elif self._chunks:
                lines.append(b"transfer-encoding: chunked")
        return b"\r\n".join([*lines, b"", b""])

    def flush(self) -> None:
        """See io.py: what was written is sent."""
        if not self.started:
            self._send(self._head(None))

    def whole(self, content: bytes) -> None:
        """Send everything there is, and finish."""
        self._written = len(content)
        head = self._head(len(content))
        self._send(head if self._bodiless else head + content)
        self.finish([])

    def finish(self, trailers: "Fields") -> None:
        """End the body. Raises StreamFaultError when it is shorter than it was said to be."""
        if self.finished:
            return
        self.finished = True
        head = self._head(0)
        if self._bodiless:
            self._send(head)
        elif self._length is not None:
            self._send(head)
            self._demand_whole()
        elif self._chunks:
            lines = [name.encode("ascii") + b": " + value for name, value in trailers]
            self._send(head + b"\r\n".join([b"0", *lines, b"", b""]))
        else:
            self._connection.broken = True  # the body ends with the connection

    def _demand_whole(self) -> None:
        if self._written != self._length:
            self._connection.broken = True
            raise StreamFaultError(
                f"the body has {self._written} bytes, content-length says {self._length}",
                ("HTTP-response-body-size", self._written),
            )

    def abort(self) -> None:
        """The body cannot be finished: the peer notices by the connection's end."""
        self.finished = True
        self._connection.broken = True
