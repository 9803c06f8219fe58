"""wasi:io: errors, pollables and streams over things that can be waited for with poll(2).

A source is read by `read(count, wait)`, which answers bytes, b"" when there is nothing yet and None at the end. A sink
is written by `write(bytes)`, which takes everything or raises, and `flush()`. Both raise StreamFaultError when they
fail. A source may have `pollable()`, a sink `writable()`; without it they are always ready.
"""

import posix as os
import select
import time

from pyruntime.engine.wasi.host import Call, GuestEnd
from pyruntime.engine.wasi.values import Err, Ok
from pyruntime.errors import Error, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pyruntime.engine.wasi.values import Ok as Result

POLLABLE, INPUT, OUTPUT, ERROR = 1, 2, 3, 4
RESOURCES = {"pollable": POLLABLE, "input-stream": INPUT, "output-stream": OUTPUT, "error": ERROR, "io-error": ERROR}
LARGEST = 1 << 16  # bytes a read returns, or a write takes, at most; a byte has 32 in the library's lists
_SURE = 4096  # bytes that a socket takes which poll(2) calls writable: it has a third of its buffer free then
_MILLI = 1_000_000  # nanoseconds
_LONGEST = (1 << 31) - 1  # milliseconds that poll(2) takes


class StreamFaultError(Error):
    """A stream cannot go on; `why` is the wasi:http error-code for it, or "closed"."""

    def __init__(self, text: str, code: "Any" = None) -> None:
        super().__init__(text)
        self.why: "Any" = code or ("internal-error", text)


class IoError:
    """wasi:io/error.error"""

    RESOURCE = ERROR

    def __init__(self, fault: StreamFaultError) -> None:
        self.fault = fault


class Pollable:
    """Ready always, when a descriptor is, or at a time; `at` is in nanoseconds of the monotonic clock."""

    RESOURCE = POLLABLE

    def __init__(self, fd: int = -1, events: int = 0, at: "int | None" = None) -> None:
        self.fd = fd
        self.events = events
        self.at = at

    def ready(self) -> bool:
        """Whether waiting would return at once."""
        if self.at is not None:
            return time.monotonic_ns() >= self.at
        return self.fd < 0 or bool(_poll([self], 0))


class Asked(Pollable):
    """Ready when a function says so, which may have read ahead; else when the descriptor is."""

    def __init__(self, fd: int, events: int, ask: "Callable[[], bool]") -> None:
        super().__init__(fd, events)
        self._ask = ask

    def ready(self) -> bool:
        return self._ask() or super().ready()


def _poll(pollables: "Sequence[Pollable]", timeout: "int | None") -> "list[tuple[int, int]]":
    """poll(2) on the descriptors among these; `timeout` in milliseconds, None for ever."""
    poll = select.poll()
    events: "dict[int, int]" = {}
    for item in pollables:
        if item.fd >= 0:
            events[item.fd] = events.get(item.fd, 0) | item.events
            poll.register(item.fd, events[item.fd])
    return poll.poll(timeout)


def wait(pollables: "Sequence[Pollable]") -> "list[int]":
    """Sleep until one is ready; the places of all that are."""
    while True:
        ready = [index for index, item in enumerate(pollables) if item.ready()]
        if ready:
            return ready
        times = [item.at for item in pollables if item.at is not None]
        left = max(0, min(times) - time.monotonic_ns()) if times else None
        _poll(pollables, None if left is None else min(-(-left // _MILLI), _LONGEST))


class InputStream:
    """wasi:io/streams.input-stream"""

    RESOURCE = INPUT

    def __init__(self, source: "Any") -> None:
        self.source = source

    def read(self, count: int, block: bool) -> "Result | Err":
        """A list<u8> of at most `count` bytes, or a stream-error."""
        try:
            found = self.source.read(min(count, LARGEST), block) if count else b""
        except StreamFaultError as fault:
            return failed(fault)
        return Err("closed") if found is None else Ok(found)

    def dropped(self) -> None:
        """The guest let it go."""
        _release(self.source)

    def pollable(self) -> Pollable:
        make = getattr(self.source, "pollable", Pollable)
        found: Pollable = make()
        return found


class OutputStream:
    """wasi:io/streams.output-stream"""

    RESOURCE = OUTPUT

    def __init__(self, sink: "Any") -> None:
        self.sink = sink

    def write(self, content: bytes) -> "Result | Err":
        try:
            self.sink.write(content)
        except StreamFaultError as fault:
            return failed(fault)
        return Ok()

    def flush(self) -> "Result | Err":
        try:
            self.sink.flush()
        except StreamFaultError as fault:
            return failed(fault)
        return Ok()

    def pollable(self) -> Pollable:
        make = getattr(self.sink, "writable", Pollable)
        found: Pollable = make()
        return found

    def room(self) -> int:
        """How many bytes a write takes now without waiting."""
        if not hasattr(self.sink, "writable"):
            return LARGEST
        return _SURE if self.pollable().ready() else 0

    def dropped(self) -> None:
        """The guest let it go."""
        _release(self.sink)


def _release(end: "Any") -> None:
    """Tell a source or a sink that wants to know that a stream does not use it any more."""
    released = getattr(end, "released", None)
    if released is not None:
        released()


def failed(fault: StreamFaultError) -> Err:
    """A stream-error for a fault."""
    return Err("closed") if fault.why == "closed" else Err(("last-operation-failed", IoError(fault)))


class Descriptor:
    """A source and a sink over a descriptor: standard input, output and error."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self, count: int, block: bool) -> "bytes | None":
        if not block and not self.pollable().ready():
            return b""
        try:
            return os.read(self.fd, count) or None
        except OSError as error:
            raise StreamFaultError(reason(error)) from None

    def write(self, content: bytes) -> None:
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self.fd, view) :]
        except OSError as error:
            raise StreamFaultError(reason(error)) from None

    def flush(self) -> None:
        return

    def pollable(self) -> Pollable:
        return Pollable(self.fd, select.POLLIN)


def _splice(call: Call, out: OutputStream, stream: InputStream, count: int, block: bool) -> "Result | Err":
    found = stream.read(count, block)
    if isinstance(found, Err):
        return found
    written = out.write(found.value)  # type: ignore[arg-type]
    return written if isinstance(written, Err) else Ok(len(found.value))  # type: ignore[arg-type]


def _skip(stream: InputStream, count: int, block: bool) -> "Result | Err":
    found = stream.read(count, block)
    return found if isinstance(found, Err) else Ok(len(found.value))  # type: ignore[arg-type]


def _both(out: OutputStream, content: bytes) -> "Result | Err":
    written = out.write(content)
    return written if isinstance(written, Err) else out.flush()


def _polled(call: Call, pollables: "Sequence[Pollable]") -> "list[int]":
    if not pollables:
        raise GuestEnd("poll of an empty list")
    return wait(pollables)


def _zeroes(count: int) -> bytes:
    if count > LARGEST:
        raise GuestEnd(f"write of {count} bytes, check-write allowed {LARGEST}")
    return bytes(count)


FUNCTIONS: "dict[str, dict[str, Callable[..., Any]]]" = {
    "wasi:io/error": {"[method]error.to-debug-string": lambda call, error: error.fault.text},
    "wasi:io/poll": {
        "[method]pollable.ready": lambda call, item: item.ready(),
        "[method]pollable.block": lambda call, item: wait([item]) and None,
        "poll": _polled,
    },
    "wasi:io/streams": {
        "[method]input-stream.read": lambda call, stream, count: stream.read(count, False),
        "[method]input-stream.blocking-read": lambda call, stream, count: stream.read(count, True),
        "[method]input-stream.skip": lambda call, stream, count: _skip(stream, count, False),
        "[method]input-stream.blocking-skip": lambda call, stream, count: _skip(stream, count, True),
        "[method]input-stream.subscribe": lambda call, stream: stream.pollable(),
        "[method]output-stream.check-write": lambda call, out: Ok(out.room()),
        "[method]output-stream.write": lambda call, out, content: out.write(content),
        "[method]output-stream.blocking-write-and-flush": lambda call, out, content: _both(out, content),
        "[method]output-stream.flush": lambda call, out: out.flush(),
        "[method]output-stream.blocking-flush": lambda call, out: out.flush(),
        "[method]output-stream.subscribe": lambda call, out: out.pollable(),
        "[method]output-stream.write-zeroes": lambda call, out, count: out.write(_zeroes(count)),
        "[method]output-stream.blocking-write-zeroes-and-flush": lambda call, out, count: _both(out, _zeroes(count)),
        "[method]output-stream.splice": lambda call, out, stream, count: _splice(call, out, stream, count, False),
        "[method]output-stream.blocking-splice": lambda call, out, stream, count: _splice(
            call, out, stream, count, True
        ),
    },
}
