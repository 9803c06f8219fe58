"""The datagrams between the lanes: exact framing, caps, and what a lost peer looks like."""

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.walk.channel import Channel, Failed, PeerGone, pair

Ends = tuple[Channel, Channel]

NAMES = st.text("abcdefghij_:", min_size=1, max_size=8).filter(lambda name: not name.startswith("fd:"))


@pytest.fixture
def ends() -> "Iterator[Ends]":
    one, two = pair()
    yield one, two
    one.close()
    two.close()


@given(st.sampled_from([b"B", b"N"]), st.dictionaries(NAMES, st.integers(-(2**63), 2**64), max_size=8))
def test_values_arrive_as_they_were(kind: bytes, values: "dict[str, int]") -> None:
    one, two = pair()
    one.send(kind, values, {})
    assert two.receive() == (kind, values, {})
    one.close()
    two.close()


def test_descriptors_arrive_by_name_and_close_on_exec(ends: Ends) -> None:
    one, two = ends
    source, sink = os.pipe()
    one.send(b"B", {"n": 1}, {"out": sink, "ns:user": source})
    kind, values, fds = two.receive()
    assert (kind, values, sorted(fds)) == (b"B", {"n": 1}, ["ns:user", "out"])
    os.write(fds["out"], b"x")
    assert os.read(source, 9) == b"x"
    assert not os.get_inheritable(fds["out"])
    for fd in (source, sink, *fds.values()):
        os.close(fd)


def test_a_failure_is_raised_where_it_arrives(ends: Ends) -> None:
    one, two = ends
    one.fail(70000, "it broke: caf\udce9")
    with pytest.raises(Failed) as raised:
        two.receive()
    assert (raised.value.index, raised.value.text) == (70000, "it broke: caf\udce9")


def test_a_long_failure_is_cut_and_never_lost(ends: Ends) -> None:
    one, two = ends
    one.fail(1, "x" * 1_000_000)
    with pytest.raises(Failed) as raised:
        two.receive()
    assert raised.value.text == "x" * 32768


def test_more_descriptors_than_agreed_are_refused(ends: Ends) -> None:
    one, two = ends
    one.send(b"B", {}, {f"f{number}": 1 for number in range(40)})
    with pytest.raises(SystemError):
        two.receive()


def test_a_message_that_does_not_fit_is_refused_and_not_cut(ends: Ends) -> None:
    one, two = ends
    one.end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    one.end.send(b"B" + b"a=1 " * 20000)
    with pytest.raises(SystemError):
        two.receive()


def test_announced_descriptors_must_be_there(ends: Ends) -> None:
    one, two = ends
    one.end.send(b"Bfd:root")
    with pytest.raises(SystemError, match="1 descriptors announced, 0 received"):
        two.receive()


def test_end_of_file_is_a_gone_peer(ends: Ends) -> None:
    one, two = ends
    one.close()
    with pytest.raises(PeerGone):
        two.receive()
    with pytest.raises(PeerGone):
        two.send(b"B", {}, {})
    two.fail(1, "nobody listens")


def test_what_was_said_before_the_end_is_still_heard(ends: Ends) -> None:
    one, two = ends
    one.send(b"B", {"a": 1}, {})
    one.close()
    assert two.receive()[1] == {"a": 1}


def test_a_peer_that_died_with_unread_words_is_pending(ends: Ends) -> None:
    one, two = ends
    assert not one.pending()
    one.send(b"B", {"x": 1}, {})
    two.close()
    assert one.pending()
    with pytest.raises(PeerGone):
        one.receive()
