"""wasi:sockets by its functions, with real sockets: what is permitted, in which order, and which error is which."""

import socket
import threading
from typing import Any

import pytest

from pyruntime.engine.base import Guest, Network
from pyruntime.engine.wasi import io, sockets, tcp
from pyruntime.engine.wasi.host import Call
from pyruntime.engine.wasi.io import wait
from pyruntime.engine.wasi.values import Err, Ok

ALL = Network(outgoing=True)
LOCAL = Network(outgoing=True, addresses=("127.0.0.0/8",))


class Guestly:
    """Calls functions of an interface as a guest does."""

    def __init__(self, network: "Network | None") -> None:
        self.call = Call(Guest([], [], network=network))
        self.network = tcp.Network()

    def __call__(self, name: str, *arguments: Any) -> Any:
        functions = {key: value for each in sockets.FUNCTIONS.values() for key, value in each.items()}
        found = functions[name](self.call, *arguments)
        return found.value if isinstance(found, Ok) else found

    def tcp(self, function: str, *arguments: Any) -> Any:
        return self(f"[method]tcp-socket.{function}", *arguments)

    def udp(self, function: str, *arguments: Any) -> Any:
        return self(f"[method]udp-socket.{function}", *arguments)

    def close(self, *things: Any) -> None:
        for thing in things:
            thing.dropped()


def v4(port: int, host: "tuple[int, ...]" = (127, 0, 0, 1)) -> "tuple[str, dict[str, Any]]":
    return "ipv4", {"port": port, "address": host}


def code(found: Any) -> Any:
    assert isinstance(found, Err), found
    return found.value


def listening(guest: Guestly) -> "tuple[Any, int]":
    sock = guest("create-tcp-socket", "ipv4")
    assert guest.tcp("start-bind", sock, guest.network, v4(0)) is None
    assert guest.tcp("finish-bind", sock) is None
    assert guest.tcp("start-listen", sock) is None
    assert guest.tcp("finish-listen", sock) is None
    assert guest.tcp("is-listening", sock)
    return sock, guest.tcp("local-address", sock)[1]["port"]


def test_a_server_and_its_client() -> None:
    guest = Guestly(ALL)
    server, port = listening(guest)
    assert code(guest.tcp("accept", server)) == "would-block"
    client = guest("create-tcp-socket", "ipv4")
    assert guest.tcp("start-connect", client, guest.network, v4(port)) is None
    wait([guest.tcp("subscribe", client)])
    read, write = guest.tcp("finish-connect", client)
    wait([guest.tcp("subscribe", server)])
    peer, peer_read, peer_write = guest.tcp("accept", server)
    assert guest.tcp("remote-address", peer) == guest.tcp("local-address", client)
    assert peer_read.read(10, False).value == b""
    write.write(b"question")
    assert peer_read.read(100, True).value == b"question"
    peer_write.write(b"answer")
    assert read.read(100, True).value == b"answer"
    assert guest.tcp("shutdown", client, "send") is None
    assert code(peer_read.read(100, True)) == "closed"
    guest.close(client, peer, server, read, write, peer_read, peer_write)
    assert client.sock.fileno() == peer.sock.fileno() == -1


def test_streams_outlive_their_socket() -> None:
    guest = Guestly(ALL)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = guest("create-tcp-socket", "ipv4")
        guest.tcp("start-connect", client, guest.network, v4(listener.getsockname()[1]))
        wait([guest.tcp("subscribe", client)])
        read, write = guest.tcp("finish-connect", client)
        client.dropped()
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"still")
            assert read.read(100, True).value == b"still"
        guest.close(read, write)


def test_without_permission_there_is_no_socket_and_no_name() -> None:
    for network in (None, Network(http="127.0.0.1:1")):
        guest = Guestly(network)
        assert code(guest("create-tcp-socket", "ipv4")) == "access-denied"
        assert code(guest("create-udp-socket", "ipv6")) == "access-denied"
        assert code(guest("resolve-addresses", guest.network, "localhost")) == "access-denied"


def test_addresses_that_are_not_permitted() -> None:
    guest = Guestly(LOCAL)
    sock = guest("create-tcp-socket", "ipv4")
    assert code(guest.tcp("start-connect", sock, guest.network, v4(1, (10, 0, 0, 1)))) == "access-denied"
    assert code(guest.tcp("start-bind", sock, guest.network, v4(0, (0, 0, 0, 0)))) == "access-denied"
    assert guest.tcp("start-bind", sock, guest.network, v4(0)) is None
    datagrams = guest("create-udp-socket", "ipv4")
    _, outgoing = guest.udp("stream", datagrams, None)
    send = "[method]outgoing-datagram-stream.send"
    assert code(guest(send, outgoing, [{"data": b"x", "remote-address": v4(9, (10, 0, 0, 1))}])) == "access-denied"
    assert code(guest.udp("stream", datagrams, v4(9, (10, 0, 0, 1)))) == "access-denied"
    guest.close(sock, datagrams)


def test_errors_have_their_codes() -> None:
    guest = Guestly(ALL)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sock = guest("create-tcp-socket", "ipv4")
        port = taken.getsockname()[1]
        assert code(guest.tcp("start-bind", sock, guest.network, v4(port))) == "address-in-use"
        assert code(guest.tcp("start-bind", sock, guest.network, v4(0, (192, 0, 2, 1)))) == "address-not-bindable"
        assert code(guest.tcp("finish-bind", sock)) == "not-in-progress"
        assert code(guest.tcp("start-listen", sock)) == "invalid-state"
        assert code(guest.tcp("accept", sock)) == "invalid-state"
    wrong = ("ipv6", {"port": 1, "flow-info": 0, "address": (0,) * 7 + (1,), "scope-id": 0})
    assert code(guest.tcp("start-connect", sock, guest.network, wrong)) == "invalid-argument"
    guest.tcp("start-connect", sock, guest.network, v4(port))
    wait([guest.tcp("subscribe", sock)])
    assert code(guest.tcp("finish-connect", sock)) == "connection-refused"
    guest.close(sock)


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [
        ("hop-limit", 17, 17),
        ("keep-alive-idle-time", 5_000_000_000, 5_000_000_000),
        ("keep-alive-interval", 1, 1_000_000_000),
        ("keep-alive-count", 3, 3),
        ("send-buffer-size", 65536, 65536),
    ],
)
def test_options(option: str, value: int, least: int) -> None:
    guest = Guestly(ALL)
    sock = guest("create-tcp-socket", "ipv4")
    assert guest.tcp(f"set-{option}", sock, value) is None
    assert guest.tcp(option, sock) >= least
    assert code(guest.tcp(f"set-{option}", sock, 0)) == "invalid-argument"
    guest.close(sock)


def test_datagrams() -> None:
    guest = Guestly(ALL)
    one, two = guest("create-udp-socket", "ipv4"), guest("create-udp-socket", "ipv4")
    guest.udp("start-bind", one, guest.network, v4(0))
    guest.udp("finish-bind", one)
    place = guest.udp("local-address", one)
    incoming, _ = guest.udp("stream", one, None)
    _, outgoing = guest.udp("stream", two, None)
    receive, send = "[method]incoming-datagram-stream.receive", "[method]outgoing-datagram-stream.send"
    assert guest(receive, incoming, 10) == []
    assert code(guest(send, outgoing, [{"data": b"x", "remote-address": None}])) == "invalid-argument"
    assert guest(send, outgoing, [{"data": b"a", "remote-address": place}, {"data": b"", "remote-address": place}]) == 2
    wait([guest("[method]incoming-datagram-stream.subscribe", incoming)])
    found = guest(receive, incoming, 10)
    assert [entry["data"] for entry in found] == [b"a", b""]
    assert found[0]["remote-address"][1]["address"] == (127, 0, 0, 1)
    guest.close(one, two)


def test_ipv6_addresses_both_ways() -> None:
    address = ("fe80::1", 80, 7, 3)
    assert tcp.from_wit(tcp.to_wit(address)) == address


def test_names() -> None:
    guest = Guestly(ALL)
    found = guest("resolve-addresses", guest.network, "127.0.0.1")
    following = "[method]resolve-address-stream.resolve-next-address"
    assert guest(following, found) == ("ipv4", (127, 0, 0, 1))
    assert guest(following, found) is None
    assert code(guest("resolve-addresses", guest.network, "nobody.invalid")) in (
        "name-unresolvable",
        "temporary-resolver-failure",
    )
    assert code(guest("resolve-addresses", guest.network, "ü")) == "invalid-argument"


def test_a_large_write_waits_for_its_reader() -> None:
    guest = Guestly(ALL)
    here, there = socket.socketpair()
    here.setblocking(False)
    content = b"x" * 2_000_000
    received = bytearray()

    def read() -> None:
        while len(received) < len(content):
            received.extend(there.recv(1 << 16))

    thread = threading.Thread(target=read)
    thread.start()
    tcp.Stream(here).write(content)
    thread.join(20)
    assert bytes(received) == content
    here.close()
    there.close()
    assert guest.network.RESOURCE == tcp.NETWORK


def test_an_address_that_no_kernel_has_is_an_argument() -> None:
    guest = Guestly(ALL)
    sock = guest("create-tcp-socket", "ipv6")
    parts = {"port": 1, "flow-info": 0xFFFFFFFF, "address": (0, 0, 0, 0, 0, 0, 0, 1), "scope-id": 0}
    assert code(guest.tcp("start-connect", sock, guest.network, ("ipv6", parts))) == "invalid-argument"
    assert code(guest.tcp("start-bind", sock, guest.network, ("ipv6", parts))) == "invalid-argument"
    guest.close(sock)


def test_a_peer_that_does_not_read_holds_up_nobody_else() -> None:
    """A guest that serves many asks what it may write, and waits for all of them at once."""
    guest, streams = Guestly(ALL), io.FUNCTIONS["wasi:io/streams"]
    sock, port = listening(guest)
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        wait([guest.tcp("subscribe", sock)])
        end, source, sink = guest.tcp("accept", sock)
        allowed = lambda: streams["[method]output-stream.check-write"](guest.call, sink).value  # noqa: E731
        sent = 0
        while room := allowed():
            assert streams["[method]output-stream.write"](guest.call, sink, bytes(room)).value is None
            sent += room
        ready = streams["[method]output-stream.subscribe"](guest.call, sink)
        assert not ready.ready()
        peer.settimeout(10)
        got = 0
        while got < sent:
            got += len(peer.recv(1 << 20))
        wait([ready])
        assert allowed()
        for end_of in (source, sink, end, sock):
            end_of.dropped()
