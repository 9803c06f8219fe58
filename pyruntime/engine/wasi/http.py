"""wasi:http/types: fields, requests, responses and their bodies."""

from pyruntime.engine.wasi.host import Call
from pyruntime.engine.wasi.io import InputStream, OutputStream, Pollable, StreamFaultError
from pyruntime.engine.wasi.message import Body, BodyWriter, is_token, is_value
from pyruntime.engine.wasi.values import Err, Ok

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Result = Ok | Err

FIELDS, IN_REQUEST, OUT_REQUEST, OPTIONS, OUTPARAM, IN_RESPONSE, IN_BODY = range(10, 17)
FUTURE_TRAILERS, OUT_RESPONSE, OUT_BODY, FUTURE_RESPONSE = range(17, 21)
RESOURCES = {
    "fields": FIELDS, "headers": FIELDS, "trailers": FIELDS, "incoming-request": IN_REQUEST,
    "outgoing-request": OUT_REQUEST, "request-options": OPTIONS, "response-outparam": OUTPARAM,
    "incoming-response": IN_RESPONSE, "incoming-body": IN_BODY, "future-trailers": FUTURE_TRAILERS,
    "outgoing-response": OUT_RESPONSE, "outgoing-body": OUT_BODY, "future-incoming-response": FUTURE_RESPONSE,
}  # fmt: skip
# What belongs to the connection and not to the message (RFC 9110, 7.6.1), and would change its framing.
FORBIDDEN = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "transfer-encoding", "upgrade", "host", "http2-settings",
))  # fmt: skip
METHODS = ("get", "head", "post", "put", "delete", "connect", "options", "trace", "patch")
_AHEAD = 1 << 20  # bytes of a body that are kept before its response is given


class Fields:
    """wasi:http/types.fields"""

    RESOURCE = FIELDS

    def __init__(self, entries: "Sequence[tuple[str, bytes]]" = (), immutable: bool = False) -> None:
        self.entries = [(name, bytes(value)) for name, value in entries]
        self.immutable = immutable

    def get(self, name: str) -> "list[bytes]":
        return [value for key, value in self.entries if key.lower() == name.lower()]

    def change(self, name: str, values: "Sequence[bytes]", keep: bool) -> "Result":
        """Append values to a name's, or put them in their place."""
        if self.immutable:
            return Err("immutable")
        wrong = _wrong(name, values)
        if wrong:
            return Err(wrong)
        if not keep:
            self.entries = [entry for entry in self.entries if entry[0].lower() != name.lower()]
        self.entries += [(name, bytes(value)) for value in values]
        return Ok()


def _wrong(name: str, values: "Sequence[bytes]") -> str:
    if not is_token(name.encode("utf-8", "replace")) or not all(map(is_value, values)):
        return "invalid-syntax"
    if name.lower() == "content-length" and not all(value.isdigit() and len(value) < 19 for value in values):
        return "invalid-syntax"
    return "forbidden" if name.lower() in FORBIDDEN else ""


def _from_list(call: Call, entries: "Sequence[tuple[str, bytes]]") -> "Result":
    wrong = next((why for name, value in entries if (why := _wrong(name, [value]))), "")
    return Err(wrong) if wrong else Ok(Fields(entries))


class IncomingBody:
    """wasi:http/types.incoming-body"""

    RESOURCE = IN_BODY

    def __init__(self, body: Body) -> None:
        self.body = body
        self._taken = False

    def stream(self) -> "Result":
        if self._taken:
            return Err()
        self._taken = True
        return Ok(InputStream(self.body))


class FutureTrailers:
    """wasi:http/types.future-trailers"""

    RESOURCE = FUTURE_TRAILERS

    def __init__(self, body: Body) -> None:
        self._body = body
        self._taken = False

    def get(self) -> "Result":
        if self._taken:
            return Err()
        self._taken = True
        try:
            while self._body.read(1 << 16, True) is not None:
                pass  # trailers come after what the guest did not read
        except StreamFaultError as fault:
            return Ok(Err(fault.why))
        trailers = self._body.trailers
        return Ok(Ok(Fields(trailers, immutable=True) if trailers else None))


def _one_length(entries: "list[tuple[str, bytes]]") -> "list[tuple[str, bytes]]":
    """Say a length once that was said several times: a guest may send these fields on."""
    lengths = [entry for entry in entries if entry[0].lower() == "content-length"]
    if not lengths:
        return entries
    parts = b",".join(value for _, value in lengths).replace(b",", b" ").split()
    return [*(entry for entry in entries if entry not in lengths), (lengths[0][0], parts[0] if parts else b"")]


class Incoming:
    """What an incoming request and an incoming response share."""

    def __init__(self, entries: "Sequence[tuple[str, bytes]]", body: Body) -> None:
        kept = [entry for entry in entries if entry[0].lower() not in FORBIDDEN or entry[0].lower() == "host"]
        self.headers = Fields(_one_length(kept), immutable=True)
        self.body = body
        self._consumed = False

    def consume(self) -> "Result":
        if self._consumed:
            return Err()
        self._consumed = True
        return Ok(IncomingBody(self.body))


class IncomingRequest(Incoming):
    """wasi:http/types.incoming-request"""

    RESOURCE = IN_REQUEST

    def __init__(
        self, method: str, path: str, authority: "str | None", entries: "Sequence[tuple[str, bytes]]", body: Body
    ) -> None:
        super().__init__(entries, body)
        self.method_text = method
        self.method = method.lower() if method.lower() in METHODS and method.isupper() else ("other", method)
        self.path = path
        self.authority = authority


class IncomingResponse(Incoming):
    """wasi:http/types.incoming-response"""

    RESOURCE = IN_RESPONSE

    def __init__(self, status: int, entries: "Sequence[tuple[str, bytes]]", body: Body) -> None:
        super().__init__(entries, body)
        self.status = status


class OutgoingBody:
    """wasi:http/types.outgoing-body: a sink that keeps what is written until a writer is there to send it."""

    RESOURCE = OUT_BODY

    def __init__(self) -> None:
        self._writer: "BodyWriter | None" = None
        self._ahead = bytearray()
        self._taken = False
        self._finished = False
        self._lost = False

    def attach(self, writer: BodyWriter) -> None:
        """From now on what is written is sent. Raises StreamFaultError."""
        self._writer = writer
        if self._lost:
            writer.abort()
        elif self._finished:
            writer.whole(bytes(self._ahead))
        elif self._ahead:
            writer.write(bytes(self._ahead))
        self._ahead.clear()

    def write(self, content: bytes) -> None:
        """See io.py."""
        if self._finished:
            raise StreamFaultError("the body is finished", "closed")
        if self._writer is not None:
            self._writer.write(content)
        elif len(self._ahead) + len(content) > _AHEAD:
            raise StreamFaultError(f"more than {_AHEAD} bytes before the response is given")
        else:
            self._ahead += content

    def flush(self) -> None:
        """See io.py."""
        if self._writer is not None:
            self._writer.flush()

    def stream(self) -> "Result":
        if self._taken:
            return Err()
        self._taken = True
        return Ok(OutputStream(self))

    def finish(self, trailers: "Fields | None") -> "Result":
        self._finished = True
        try:
            if self._writer is not None:
                self._writer.finish(trailers.entries if trailers else [])
        except StreamFaultError as fault:
            return Err(fault.why if fault.why != "closed" else "connection-terminated")
        return Ok()

    def dropped(self) -> None:
        """Never finished: whoever reads it must not take it for whole."""
        self._lost = not self._finished
        if self._lost and self._writer is not None:
            self._writer.abort()


class Outgoing:
    """What an outgoing request and an outgoing response share."""

    def __init__(self, headers: Fields) -> None:
        headers.immutable = True
        self.headers = headers
        self.body: "OutgoingBody | None" = None

    def make_body(self) -> "Result":
        if self.body is not None:
            return Err()
        self.body = OutgoingBody()
        return Ok(self.body)


class OutgoingResponse(Outgoing):
    """wasi:http/types.outgoing-response"""

    RESOURCE = OUT_RESPONSE

    def __init__(self, headers: Fields) -> None:
        super().__init__(headers)
        self.status = 200

    def set_status(self, status: int) -> "Result":
        if not 200 <= status <= 999:
            return Err()
        self.status = status
        return Ok()


class OutgoingRequest(Outgoing):
    """wasi:http/types.outgoing-request"""

    RESOURCE = OUT_REQUEST

    def __init__(self, headers: Fields) -> None:
        super().__init__(headers)
        self.method: "tuple[str, str | None]" = ("get", None)
        self.path: "str | None" = None
        self.scheme: "tuple[str, str | None] | None" = None
        self.authority: "str | None" = None

    def set_method(self, method: "tuple[str, str | None]") -> "Result":
        case, other = method
        if case == "other" and not is_token((other or "").encode("utf-8", "replace")):
            return Err()
        self.method = method
        return Ok()

    def set_text(self, name: str, value: "str | None") -> "Result":
        """A path or an authority."""
        if value is not None and not all("!" <= letter <= "~" for letter in value):
            return Err()
        setattr(self, name, value)
        return Ok()

    def set_scheme(self, scheme: "tuple[str, str | None] | None") -> "Result":
        self.scheme = scheme
        return Ok()


class RequestOptions:
    """wasi:http/types.request-options: durations in nanoseconds"""

    RESOURCE = OPTIONS

    def __init__(self) -> None:
        self.durations: "dict[str, int | None]" = {}

    def set(self, name: str, value: "int | None") -> "Result":
        self.durations[name] = value
        return Ok()


class Outparam:
    """wasi:http/types.response-outparam: where the answer to one request goes."""

    RESOURCE = OUTPARAM

    def __init__(self, respond: "Callable[[Any], None]") -> None:
        self.respond = respond


def _respond(call: Call, outparam: Outparam, response: "Result") -> None:
    try:
        outparam.respond(response)
    except StreamFaultError:
        return  # the client has gone, which the guest notices when it writes


def _durations() -> "dict[str, Callable[..., Any]]":
    found: "dict[str, Callable[..., Any]]" = {}
    for name in ("connect-timeout", "first-byte-timeout", "between-bytes-timeout"):
        found[f"[method]request-options.{name}"] = lambda call, options, name=name: options.durations.get(name)
        found[f"[method]request-options.set-{name}"] = lambda call, options, value, name=name: options.set(name, value)
    return found


TYPES: "dict[str, Callable[..., Any]]" = {
    "http-error-code": lambda call, error: error.fault.why if error.fault.why != "closed" else None,
    "[constructor]fields": lambda call: Fields(),
    "[static]fields.from-list": _from_list,
    "[method]fields.get": lambda call, self, name: self.get(name),
    "[method]fields.has": lambda call, self, name: bool(self.get(name)),
    "[method]fields.set": lambda call, self, name, values: self.change(name, values, False),
    "[method]fields.delete": lambda call, self, name: self.change(name, [], False),
    "[method]fields.append": lambda call, self, name, value: self.change(name, [value], True),
    "[method]fields.entries": lambda call, self: self.entries,
    "[method]fields.clone": lambda call, self: Fields(self.entries),
    "[method]incoming-request.method": lambda call, self: self.method,
    "[method]incoming-request.path-with-query": lambda call, self: self.path,
    "[method]incoming-request.scheme": lambda call, self: "HTTP",
    "[method]incoming-request.authority": lambda call, self: self.authority,
    "[method]incoming-request.headers": lambda call, self: Fields(self.headers.entries, immutable=True),
    "[method]incoming-request.consume": lambda call, self: self.consume(),
    "[method]incoming-response.status": lambda call, self: self.status,
    "[method]incoming-response.headers": lambda call, self: Fields(self.headers.entries, immutable=True),
    "[method]incoming-response.consume": lambda call, self: self.consume(),
    "[method]incoming-body.stream": lambda call, self: self.stream(),
    "[static]incoming-body.finish": lambda call, self: FutureTrailers(self.body),
    "[method]future-trailers.subscribe": lambda call, self: Pollable(),
    "[method]future-trailers.get": lambda call, self: self.get(),
    "[constructor]outgoing-response": lambda call, headers: OutgoingResponse(headers),
    "[method]outgoing-response.status-code": lambda call, self: self.status,
    "[method]outgoing-response.set-status-code": lambda call, self, status: self.set_status(status),
    "[method]outgoing-response.headers": lambda call, self: Fields(self.headers.entries, immutable=True),
    "[method]outgoing-response.body": lambda call, self: self.make_body(),
    "[method]outgoing-body.write": lambda call, self: self.stream(),
    "[static]outgoing-body.finish": lambda call, self, trailers: self.finish(trailers),
    "[static]response-outparam.set": _respond,
    "[constructor]outgoing-request": lambda call, headers: OutgoingRequest(headers),
    "[method]outgoing-request.body": lambda call, self: self.make_body(),
    "[method]outgoing-request.method": lambda call, self: self.method,
    "[method]outgoing-request.set-method": lambda call, self, method: self.set_method(method),
    "[method]outgoing-request.path-with-query": lambda call, self: self.path,
    "[method]outgoing-request.set-path-with-query": lambda call, self, value: self.set_text("path", value),
    "[method]outgoing-request.scheme": lambda call, self: self.scheme,
    "[method]outgoing-request.set-scheme": lambda call, self, scheme: self.set_scheme(scheme),
    "[method]outgoing-request.authority": lambda call, self: self.authority,
    "[method]outgoing-request.set-authority": lambda call, self, value: self.set_text("authority", value),
    "[method]outgoing-request.headers": lambda call, self: Fields(self.headers.entries, immutable=True),
    "[constructor]request-options": lambda call: RequestOptions(),
    **_durations(),
    "[method]future-incoming-response.subscribe": lambda call, self: self.pollable(),
    "[method]future-incoming-response.get": lambda call, self: self.get(),
}
