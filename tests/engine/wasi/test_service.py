"""A component that serves HTTP, in a process of its own as a container has it: requests through real sockets."""

import _thread
import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyruntime.engine.engines import make
from pyruntime.engine.wasi import server
from pyruntime.errors import Error

ROOT = Path(__file__).resolve().parents[3]
ECHO = (ROOT / "examples/bundles/http-echo/http-echo.wat").read_text()
HELLO = b"hello from a WebAssembly component\n"


class Service:
    """A runner that serves `text` at `address`."""

    def __init__(self, folder: Path, text: str, *options: str, listen: "socket.socket | None" = None) -> None:
        self.file = folder / "service.wat"
        self.file.write_text(text)
        self.errors = folder / "stderr"
        self.port = listen.getsockname()[1] if listen else free_port()
        where = ["--listen", "1"] if listen else ["--http", f"127.0.0.1:{self.port}"]
        command = [sys.executable, str(ROOT / "tests/engine/runner.py"), "--in-place", *where, *options]
        command += ["wasmtime", str(self.file), "--", "service"]
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stderr=errors,
                env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                preexec_fn=(lambda: os.dup2(listen.fileno(), 3)) if listen else None,
                pass_fds=(3,) if listen else (),
            )

    def connect(self) -> socket.socket:
        """A connection, as soon as somebody listens."""
        end = time.monotonic() + 30
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 10)
            except ConnectionRefusedError:
                assert self.process.poll() is None, self.errors.read_text()
                assert time.monotonic() < end
                time.sleep(0.02)

    def client(self) -> http.client.HTTPConnection:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        client.sock = self.connect()
        return client

    def raw(self, sent: bytes) -> bytes:
        """What comes back on a connection of its own until it is closed."""
        with self.connect() as sock:
            sock.sendall(sent)
            return b"".join(iter(lambda: sock.recv(1 << 16), b""))

    def end(self) -> "tuple[int, str]":
        """SIGTERM; the exit status and stderr."""
        self.process.terminate()
        return self.process.wait(10), self.errors.read_text()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(folder: Path, text: str, *options: str, listen: "socket.socket | None" = None) -> "Iterator[Service]":
    try:
        make("wasmtime").probe()
    except Error as error:
        pytest.skip(f"wasmtime cannot run here: {error}")
    service = Service(folder, text, *options, listen=listen)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait()


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Service]":
    with serving(tmp_path_factory.mktemp("echo"), ECHO) as service:
        yield service


def test_one_request_after_another_on_one_connection(echo: Service) -> None:
    client = echo.client()
    for _ in range(3):
        client.request("GET", "/")
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, HELLO)
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers["date"])
        client.request("POST", "/echo", b"said and heard")
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"said and heard")
    client.close()


def test_a_large_body_with_a_length_and_in_chunks(echo: Service) -> None:
    client, body = echo.client(), os.urandom(300_000)
    client.request("POST", "/echo", body)
    assert client.getresponse().read() == body
    client.request("POST", "/echo", iter([body[:1], body[1:70_000], body[70_000:]]), encode_chunked=True)
    assert client.getresponse().read() == body
    client.close()


def test_a_body_streams(echo: Service) -> None:
    """What was sent comes back before the rest is sent."""
    with echo.connect() as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        seen = b""
        while b"first" not in seen:
            seen += sock.recv(4096)
        sock.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
        while not seen.endswith(b"0\r\n\r\n"):
            seen += sock.recv(4096)
        assert b"second" in seen


def test_the_client_is_asked_for_a_body_when_the_component_wants_it(echo: Service) -> None:
    with echo.connect() as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.sendall(b"ok")
        seen = b""
        while not seen.endswith(b"ok\r\n0\r\n\r\n"):
            seen += sock.recv(4096)
    answer = echo.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_head_and_http_1_0(echo: Service) -> None:
    client = echo.client()
    client.request("HEAD", "/")
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (404, b"")
    client.close()
    head, _, body = echo.raw(b"GET / HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert body == HELLO
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: me@a\r\n\r\n", 400),
        (b"GET http://me@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_requests_that_are_refused_before_the_component_sees_them(echo: Service, request_: bytes, status: int) -> None:
    answer = echo.raw(request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in answer


def test_an_empty_line_before_a_request_is_passed_over(echo: Service) -> None:
    """As clients of old times send one after a body (RFC 9112, 2.2)."""
    post = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none\r\n"
    last = b"\r\nGET / HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n"
    assert echo.raw(post + post + last).count(b"HTTP/1.1 200 OK\r\n") == 3


def test_requests_at_the_same_time(echo: Service) -> None:
    """One that has not ended does not hold up the next."""
    with echo.connect() as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        answers = []

        def ask() -> None:
            client = echo.client()
            client.request("GET", "/")
            answers.append(client.getresponse().read())
            client.close()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert answers == [HELLO] * 8


def test_a_client_that_goes_away(echo: Service) -> None:
    for _ in range(3):
        with echo.connect() as sock:
            sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
        with echo.connect() as sock:
            sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + b"a" * 60_000)
    client = echo.client()
    client.request("GET", "/")
    assert client.getresponse().read() == HELLO
    client.close()


def test_a_trap_is_the_end_of_its_request_alone(tmp_path: Path) -> None:
    text = ECHO.replace("(then (call $answer", "(then (unreachable) (call $answer", 1)
    with serving(tmp_path, text) as service:
        client = service.client()
        client.request("GET", "/")
        assert client.getresponse().read() == b"the component failed\n"
        client.request("POST", "/echo", b"still here")
        assert client.getresponse().read() == b"still here"
        client.close()
        status, errors = service.end()
    assert status == 143
    assert errors.splitlines()[0] == "wasm trap: GET /: unreachable"
    assert "    at " in errors


def test_a_trap_after_the_head_is_no_whole_answer(tmp_path: Path) -> None:
    text = ECHO.replace(
        "(call $end (local.get $body) (local.get $output)))\n\n    (func $echo", "(unreachable))\n\n    (func $echo"
    )
    assert text != ECHO
    with serving(tmp_path, text) as service:
        client = service.client()
        client.request("GET", "/")
        with pytest.raises(http.client.IncompleteRead):
            client.getresponse().read()
        client.close()


def test_without_an_answer_it_is_500(tmp_path: Path) -> None:
    text = ECHO.replace("(local $method i32)\n", "(local $method i32) (return)\n", 1)
    with serving(tmp_path, text) as service:
        assert service.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 500 ")


LOOP = ECHO.replace("(then (call $answer", "(then (loop $on (br $on)) (call $answer", 1)


@pytest.mark.parametrize(
    ("option", "value", "kind"), [("--fuel", "1000000", "out of fuel"), ("--seconds", "0.3", "interrupted")]
)
def test_limits_are_those_of_each_request(tmp_path: Path, option: str, value: str, kind: str) -> None:
    with serving(tmp_path, LOOP, option, value) as service:
        client = service.client()
        for _ in range(2):
            client.request("GET", "/")
            assert client.getresponse().read() == b"the component failed\n"
            client.request("POST", "/echo", b"fine")
            assert client.getresponse().read() == b"fine"
        time.sleep(0.5)
        client.request("POST", "/echo", b"later")
        assert client.getresponse().read() == b"later"
        client.close()
        _, errors = service.end()
    assert errors.count(f"wasm trap: GET /: {kind}\n") == 2


def test_sigterm_ends_a_service_that_computes(tmp_path: Path) -> None:
    with serving(tmp_path, LOOP) as service, service.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(5) == 143


def test_a_socket_that_listens_already(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, serving(tmp_path, ECHO, listen=listener) as service:
        listener.close()
        assert HELLO in service.raw(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(tmp_path, ECHO, "--http", f"127.0.0.1:{port}") as service:
            assert service.process.wait(30) == 134
            expected = f"wasm: cannot serve HTTP at 127.0.0.1:{port}: address already in use\n"
            assert service.errors.read_text() == expected


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_connections_that_ask_for_nothing_keep_nobody_out(tmp_path: Path, sent: bytes) -> None:
    """As many as are served at a time, silent from the start, within a head, or after an answer."""
    with serving(tmp_path, ECHO) as service, contextlib.ExitStack() as idle:
        for _ in range(70):
            sock = idle.enter_context(service.connect())
            sock.sendall(sent)
        time.sleep(0.5)
        client = service.client()
        client.request("GET", "/")
        assert client.getresponse().read() == HELLO
        client.close()


def test_a_body_that_nobody_reads_keeps_nobody_out(tmp_path: Path) -> None:
    """Clients that send a byte now and then of a body that was answered already hold no place for long."""
    with serving(tmp_path, ECHO) as service, contextlib.ExitStack() as slow:
        socks = [slow.enter_context(service.connect()) for _ in range(70)]
        for sock in socks:
            sock.sendall(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\nabc")
        client = service.client()
        client.request("GET", "/")
        assert client.getresponse().read() == HELLO
        client.close()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_arrives_although_the_body_was_not_read(echo: Service, version: bytes) -> None:
    """Closing with bytes unread resets the connection, and the peer may lose what it was sent."""
    head = b"POST /nowhere HTTP/" + version + b"\r\nHost: a\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n"
    with echo.connect() as sock:
        sock.sendall(head + b"a" * 100_000)
        time.sleep(0.3)
        for _ in range(29):
            sock.sendall(b"a" * 100_000)
        answer = b"".join(iter(lambda: sock.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_without_a_thread_for_one_more_the_oldest_that_waits_has_to_go() -> None:
    """As where linux.resources.pids.limit allows fewer than are served at a time."""
    places, (idle, waiting), (late, refused) = server.Places(64), socket.socketpair(), socket.socketpair()
    ended: "list[object]" = []
    connection = server.Connection(waiting)
    _thread.start_new_thread(lambda: ended.append(places.idle(connection, connection.head)), ())
    while connection not in places._waiting:
        time.sleep(0.01)
    old = _thread.stack_size(1 << 46)  # more than there is of addresses
    try:
        server._start(refused, lambda request, outparam: None, places)
    finally:
        _thread.stack_size(old)
    idle.settimeout(10)
    assert idle.recv(1) == b""
    assert late.recv(4096).startswith(b"HTTP/1.1 503 ")
    while not ended:
        time.sleep(0.01)
    assert ended == [None]
    for sock in (idle, late):
        sock.close()
    connection.close()


def test_who_was_refused_keeps_nobody_out(tmp_path: Path) -> None:
    with serving(tmp_path, ECHO) as service, contextlib.ExitStack() as refused:
        for _ in range(200):
            refused.enter_context(service.connect()).sendall(b"nonsense\r\n\r\n")
        began = time.monotonic()
        client = service.client()
        client.request("GET", "/")
        assert client.getresponse().read() == HELLO
        client.close()
        assert time.monotonic() - began < 20


def anonymous(pid: int) -> int:
    """kB of a process's memory that are in no file."""
    return int(re.findall(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/", "/trap"])
def test_nothing_of_a_request_is_left(tmp_path: Path, path: str) -> None:
    text = ECHO.replace("(then (call $answer", "(then (unreachable) (call $answer", 1) if path == "/trap" else ECHO
    with serving(tmp_path, text) as service:
        client = service.client()
        sizes = []
        for _ in range(2):
            for _ in range(2000):
                client.request("GET", path)
                client.getresponse().read()
            sizes.append(anonymous(service.process.pid))
        client.close()
        assert len(os.listdir(f"/proc/{service.process.pid}/fd")) < 12
    assert sizes[1] - sizes[0] < 128, sizes
