"""wasi:io without an engine: waiting."""

import os
import select
import socket

import pytest

from pyruntime.engine.wasi.io import Pollable, _poll, wait


@pytest.mark.parametrize("at", [1 << 53, (1 << 64) - 1])
def test_waiting_for_a_descriptor_or_a_time_that_poll_cannot_wait_for(at: int) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        select.select([], [], [], 0.05)
        os.write(writer, b"x")
        os._exit(0)
    assert wait([Pollable(reader, select.POLLIN), Pollable(at=at)]) == [0]
    os.waitpid(child, 0)
    os.close(reader)
    os.close(writer)


def test_two_who_wait_for_other_things_of_one_descriptor() -> None:
    """poll(2) takes one entry for each; a datagram socket's two streams are such a pair."""
    here, there = socket.socketpair()
    with here, there:
        there.send(b"x")
        both = [Pollable(here.fileno(), select.POLLOUT), Pollable(here.fileno(), select.POLLIN)]
        assert _poll(both, 0) == [(here.fileno(), select.POLLOUT | select.POLLIN)]
