"""HTTP/1.1: what is read, what is refused, and that what is written is read back."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.engine.wasi.http import TYPES, Fields, IncomingRequest, OutgoingResponse, Outparam
from pyruntime.engine.wasi.io import StreamFaultError
from pyruntime.engine.wasi.message import (
    HEAD_LIMIT,
    Body,
    BodyWriter,
    Connection,
    RefusedError,
    length_of,
    parse,
)
from pyruntime.engine.wasi.server import Exchange
from pyruntime.engine.wasi.values import Ok

TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABC-_0123456789", min_size=1, max_size=12)
VALUES = st.binary(max_size=20).map(lambda value: bytes(b for b in value if b >= 0x20 and b != 0x7F).strip())


class Pair:
    """Two ends of a stream: `here` speaks HTTP, `there` sends and reads bytes."""

    def __init__(self, sent: bytes = b"", end: bool = False) -> None:
        mine, self.there = socket.socketpair()
        self.there.settimeout(5)
        self.here = Connection(mine)
        self.there.sendall(sent)
        if end:
            self.there.shutdown(socket.SHUT_WR)

    def received(self) -> bytes:
        self.here.close()
        return b"".join(iter(lambda: self.there.recv(1 << 16), b""))

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *error: object) -> None:
        self.here.close()
        self.there.close()


def whole(body: Body) -> bytes:
    return b"".join(iter(lambda: body.read(7, True), None))  # type: ignore[arg-type]


def test_a_head_and_what_follows_it() -> None:
    with Pair(b"POST /x?y HTTP/1.1\r\nHost: a\r\nX-One:  1 \r\nx-one: 2\r\nContent-Length: 4\r\n\r\nbodyGET") as pair:
        head = parse(pair.here.head() or b"")
        assert head.words == ("POST", "/x?y", "HTTP/1.1")
        assert head.values("x-one") == [b"1", b"2"]
        assert head.listed("x-one") == [b"1", b"2"]
        body = Body(pair.here, length_of(head))
        assert whole(body) == b"body"
        assert body.ended
        assert pair.here.take(9) == b"GET"


def test_chunks_and_trailers() -> None:
    sent = b"4;ext=1\r\nWiki\r\n5\r\npedia\r\n0\r\nX-Sum: 9\r\n\r\nrest"
    with Pair(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + sent) as pair:
        body = Body(pair.here, length_of(parse(pair.here.head() or b"")))
        assert whole(body) == b"Wikipedia"
        assert body.trailers == [("X-Sum", b"9")]
        assert pair.here.take(9) == b"rest"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost : a", 400),
        (b"GET / HTTP/1.1\r\n folded", 400),
        (b"GET / HTTP/1.1\r\nHost: a\nX: b", 400),
        (b"GET / HTTP/1.1\r\nX: a\0b", 400),
        (b"GET / HTTP/1.1\r\nno colon", 400),
        (b"GET / HTTP/1.1\r\n: empty", 400),
        (b"GET /", 400),
        (b"\x01GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\n" + b"\r\n".join([b"X: y"] * 300), 431),
    ],
)
def test_heads_that_are_refused(head: bytes, status: int) -> None:
    with pytest.raises(RefusedError) as error:
        parse(head)
    assert error.value.status == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Content-Length: 1\r\nContent-Length: 2", 400),
        (b"Content-Length: 1, 2", 400),
        (b"Content-Length: -1", 400),
        (b"Content-Length: 1x", 400),
        (b"Content-Length: \xb2", 400),
        (b"Content-Length: 99999999999999999999", 400),
        (b"Content-Length: 1\r\nTransfer-Encoding: chunked", 400),
        (b"Transfer-Encoding: gzip, chunked", 501),
        (b"Transfer-Encoding: chunked, chunked", 501),
        (b"Transfer-Encoding: identity", 501),
        (b"Content-Length:", 400),
        (b"Content-Length: ,", 400),
        (b"Transfer-Encoding: ,", 400),
        (b"Transfer-Encoding:\r\nContent-Length: 1", 400),
    ],
)
def test_framing_that_two_could_read_in_two_ways(fields: bytes, status: int) -> None:
    with pytest.raises(RefusedError) as error:
        length_of(parse(b"POST / HTTP/1.1\r\n" + fields))
    assert error.value.status == status


def test_the_same_length_twice_is_one() -> None:
    assert length_of(parse(b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3")) == 3


def test_a_head_has_an_end_and_a_limit() -> None:
    with Pair(b"GET / HTTP/1.1\r\nHost: a\r\n", end=True) as pair:
        assert pair.here.head() is None
    with Pair(b"GET / HTTP/1.1\r\nX: " + b"a" * (HEAD_LIMIT + 10)) as pair, pytest.raises(RefusedError) as error:
        pair.here.head()
    assert error.value.status == 431


@pytest.mark.parametrize(
    "chunks",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x1\r\n",
        b"1\r\naXX\r\n",
        b"1\r\na0\r\n\r\n",
        b"5\r\nab",
        b"f" * 5000,
        b"0\r\nno\r\n\r\n",
        b" 1\r\na\r\n0\r\n\r\n",
        b"1;\nx\r\na\r\n0\r\n\r\n",
        b"1;\rx\r\na\r\n0\r\n\r\n",
    ],
)
def test_chunks_that_are_none(chunks: bytes) -> None:
    with Pair(b"T / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, end=True) as pair:
        body = Body(pair.here, length_of(parse(pair.here.head() or b"")))
        with pytest.raises(StreamFaultError):
            whole(body)
        assert pair.here.broken


def test_a_body_that_is_cut_off() -> None:
    with Pair(b"ab", end=True) as pair, pytest.raises(StreamFaultError, match="cut off"):
        whole(Body(pair.here, 5))


def test_a_read_that_must_not_wait_does_not() -> None:
    with Pair() as pair:
        body = Body(pair.here, 3)
        assert body.read(10, False) == b""
        assert not body.pollable().ready()
        pair.there.sendall(b"abc")
        assert body.pollable().ready()
        assert body.read(10, False) == b"abc"
        assert body.read(10, False) is None


def test_nothing_is_asked_for_before_the_body_is_wanted() -> None:
    asked = []
    with Pair(b"abc") as pair:
        body = Body(pair.here, 3, lambda: asked.append(1))
        assert not body.drain(100)
        assert asked == []
        assert whole(body) == b"abc"
        assert asked == [1]


def writer(pair: Pair, *fields: "tuple[str, bytes]", bodiless: bool = False, chunks: bool = True) -> BodyWriter:
    return BodyWriter(pair.here, "HTTP/1.1 200 OK", list(fields), bodiless, chunks)


def test_an_empty_body_is_known_to_be() -> None:
    with Pair() as pair:
        writer(pair).finish([])
        assert pair.received() == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def test_a_length_is_kept_to() -> None:
    with Pair() as pair:
        short = writer(pair, ("Content-Length", b"5"))
        short.write(b"abc")
        with pytest.raises(StreamFaultError, match="3 bytes, content-length says 5"):
            short.finish([])
        assert pair.here.broken
    with Pair() as pair:
        long = writer(pair, ("Content-Length", b"2"))
        with pytest.raises(StreamFaultError, match="longer"):
            long.write(b"abc")
        assert pair.received() == b""


def test_two_lengths_are_not_sent() -> None:
    with Pair() as pair, pytest.raises(StreamFaultError, match="more than one"):
        writer(pair, ("Content-Length", b"5"), ("content-length", b"6"))
    with Pair() as pair:
        same = writer(pair, ("Content-Length", b"3"), ("content-length", b"3"))
        same.whole(b"abc")
        assert not pair.here.broken


def test_a_head_alone() -> None:
    with Pair() as pair:
        head = writer(pair, ("Content-Length", b"5"), bodiless=True)
        head.write(b"abcde")
        head.finish([])
        assert pair.received() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


def test_without_chunks_the_connection_ends_the_body() -> None:
    with Pair() as pair:
        old = writer(pair, chunks=False)
        old.write(b"abc")
        old.finish([])
        assert pair.here.broken
        assert pair.received() == b"HTTP/1.1 200 OK\r\n\r\nabc"


@given(st.lists(st.binary(max_size=50), max_size=8), st.lists(st.tuples(TOKENS, VALUES), max_size=3), st.booleans())
def test_what_is_written_is_read_back(parts: "list[bytes]", more: "list[tuple[str, bytes]]", sized: bool) -> None:
    more = [entry for entry in more if entry[0].lower() not in ("content-length", "transfer-encoding")]
    content = b"".join(parts)
    with Pair() as pair:
        fields = [*more, ("content-length", b"%d" % len(content))] if sized else more
        out = BodyWriter(pair.here, "HTTP/1.1 200 OK", fields, False, True)
        for part in parts:
            out.write(part)
        out.finish([] if sized else more)
        sent = pair.received()
    with Pair(sent, end=True) as pair:
        head = parse(pair.here.head() or b"")
        body = Body(pair.here, length_of(head))
        assert [entry for entry in head.fields if entry in more] == more
        assert whole(body) == content
        assert body.trailers == (more if not sized and any(parts) else [])
        assert not pair.here.held()


@given(st.binary(max_size=200))
def test_no_head_is_too_odd_to_be_refused(data: bytes) -> None:
    try:
        length_of(parse(data))
    except RefusedError:
        pass


def test_a_guest_that_states_two_lengths_has_failed() -> None:
    with Pair() as pair:
        exchange = Exchange(pair.here, parse(b"GET / HTTP/1.1\r\nHost: a"))
        fields = Fields([("content-length", b"1"), ("Content-Length", b"2")])
        TYPES["[static]response-outparam.set"](None, Outparam(exchange.respond), Ok(OutgoingResponse(fields)))
        exchange.finish()
        assert exchange.persists()
        assert pair.received().startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(
    "lines", ["Content-Length: 3, 3", "Content-Length: ,3", "Content-Length: 3\r\ncontent-length: 3"]
)
def test_one_length_is_sent_on_where_the_same_came_twice(lines: str) -> None:
    """A guest that clones the fields it was asked with answers, or asks others, with these."""
    head = parse(b"POST / HTTP/1.1\r\nHost: a\r\n" + lines.encode())
    with Pair(b"abc") as pair:
        body = Body(pair.here, length_of(head))
        cloned = Fields(IncomingRequest("POST", "/", "a", head.fields, body).headers.entries)
        assert cloned.get("content-length") == [b"3"]
