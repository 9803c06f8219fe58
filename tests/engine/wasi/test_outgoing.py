"""Requests that a guest makes: to real servers, in their form, and refused where there is no permission."""

import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyruntime.engine.base import Guest, Network
from pyruntime.engine.wasi import outgoing, tls
from pyruntime.engine.wasi.host import Call
from pyruntime.engine.wasi.http import Fields, IncomingResponse, OutgoingRequest, RequestOptions
from pyruntime.engine.wasi.io import StreamFaultError
from pyruntime.engine.wasi.values import Err, Ok


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        seen = f"{self.command} {self.path} {self.headers['host'].partition(':')[0]} {self.headers.get('x-a')}".encode()
        self.send_response(203)
        self.send_header("x-b", "c")
        self.send_header("content-length", str(len(seen)))
        self.end_headers()
        self.wfile.write(seen)

    def do_POST(self) -> None:
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content))


@pytest.fixture
def server() -> "Iterator[http.server.ThreadingHTTPServer]":
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def made(authority: str, method: str = "get", scheme: str = "HTTP", *fields: "tuple[str, bytes]") -> OutgoingRequest:
    request = OutgoingRequest(Fields(fields))
    request.set_method((method, None))
    request.set_scheme((scheme, None))
    request.set_text("authority", authority)
    request.set_text("path", "/p?q")
    return request


def ask(request: OutgoingRequest, network: "Network | None", options: "RequestOptions | None" = None) -> Any:
    """The response, or the error-code in an Err."""
    future = outgoing.handle(Call(Guest([], [], network=network)), request, options)
    if isinstance(future, Err):
        return future
    return finished(future.value)


def finished(future: Any) -> Any:
    while not (pollable := future.pollable()).ready():
        threading.Event().wait(0.01)
    assert pollable.ready()
    answer = future.get()
    assert isinstance(future.get(), Err)
    return answer.value.value if isinstance(answer.value, Ok) else answer.value


def body(response: IncomingResponse) -> bytes:
    return b"".join(iter(lambda: response.body.read(100, True), None))


ALL = Network(outgoing=True)


def test_a_request_and_its_answer(server: http.server.HTTPServer) -> None:
    port = server.server_address[1]
    response = ask(made(f"127.0.0.1:{port}", "get", "HTTP", ("x-a", b"1")), ALL)
    assert response.status == 203
    assert response.headers.get("X-B") == [b"c"]
    assert body(response) == b"GET /p?q 127.0.0.1 1"


def test_a_body_that_is_written_after_the_request_was_sent(server: http.server.HTTPServer) -> None:
    request = made(f"127.0.0.1:{server.server_address[1]}", "post")
    sink: Any = request.make_body().value
    future: Any = outgoing.handle(Call(Guest([], [], network=ALL)), request, None)
    assert future.value.get() is None
    for part in (b"one ", b"two ", b"three"):
        sink.write(part)
    assert isinstance(sink.finish(None), Ok)
    response = finished(future.value)
    assert (response.status, body(response)) == (200, b"one two three")


def test_fields_of_a_request_that_came_in_are_sent_on_without_those_of_its_connection() -> None:
    """A component that stands in front of others clones what it was asked with, and that has a Host already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        authority = f"127.0.0.1:{listener.getsockname()[1]}"
        request = made(authority, "get", "HTTP", ("Host", b"outside"), ("Transfer-Encoding", b"x"), ("x-a", b"1"))
        future: Any = outgoing.handle(Call(Guest([], [], network=ALL)), request, None)
        with listener.accept()[0] as peer:
            sent = peer.recv(4096)
        future.value.dropped()
    assert sent == b"GET /p?q HTTP/1.1\r\nhost: %s\r\nx-a: 1\r\nconnection: close\r\n\r\n" % authority.encode()


@pytest.mark.parametrize("nanoseconds", [1 << 53, (1 << 64) - 1])
def test_time_limits_that_are_longer_than_the_kernel_takes(server: http.server.HTTPServer, nanoseconds: int) -> None:
    options = RequestOptions()
    for name in ("connect-timeout", "first-byte-timeout", "between-bytes-timeout"):
        options.set(name, nanoseconds)
    response = ask(made(f"127.0.0.1:{server.server_address[1]}"), ALL, options)
    assert body(response).startswith(b"GET /p?q 127.0.0.1")


def test_a_port_that_is_no_number() -> None:
    found = ask(made("127.0.0.1:" + "9" * 5000), ALL)
    assert isinstance(found, Err)
    assert found.value == "HTTP-request-URI-invalid"


def test_without_permission_it_is_denied() -> None:
    for network in (None, Network(http="127.0.0.1:1")):
        assert ask(made("127.0.0.1:1"), network).value == "HTTP-request-denied"


def test_only_permitted_addresses_are_reached(server: http.server.HTTPServer) -> None:
    authority = f"localhost:{server.server_address[1]}"
    prohibited = ask(made(authority), Network(outgoing=True, addresses=("10.0.0.0/8", "::1")))
    assert prohibited.value in ("destination-IP-prohibited", "connection-refused")
    response = ask(made(authority), Network(outgoing=True, addresses=("127.0.0.0/8",)))
    assert (response.status, len(body(response))) == (203, 23)


@pytest.mark.parametrize(
    ("authority", "scheme", "code"),
    [
        ("127.0.0.1:1", "HTTP", "connection-refused"),
        ("127.0.0.1:x", "HTTP", "HTTP-request-URI-invalid"),
        ("127.0.0.1:0", "HTTP", "HTTP-request-URI-invalid"),
        ("127.0.0.1:1", "other", "HTTP-request-URI-invalid"),
    ],
)
def test_error_codes(authority: str, scheme: str, code: str) -> None:
    assert ask(made(authority, "get", scheme), ALL).value == code


def test_a_name_that_nobody_has() -> None:
    assert ask(made("nobody.invalid"), ALL).value[0] == "DNS-error"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "connection-terminated"),
        (b"SSH-2.0-x\r\n\r\n", "HTTP-protocol-error"),
        (b"HTTP/1.1 xyz\r\n\r\n", "HTTP-protocol-error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP-protocol-error"),
    ],
)
def test_answers_that_are_none(answer: bytes, code: str) -> None:
    assert ask(made(f"127.0.0.1:{once(answer)}"), ALL).value == code


def once(answer: bytes) -> int:
    """The port of a server that gives one answer, whatever it is asked."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))

    def give() -> None:
        with listener, listener.accept()[0] as sock:
            sock.recv(4096)
            sock.sendall(answer)

    threading.Thread(target=give).start()
    port: int = listener.getsockname()[1]
    return port


def test_interim_answers_and_a_missing_reason() -> None:
    response = ask(made(f"127.0.0.1:{once(b'HTTP/1.1 103 E' + CRLF * 2 + b'HTTP/1.1 201' + CRLF * 2 + b'end')}"), ALL)
    assert (response.status, body(response)) == (201, b"end")


CRLF = b"\r\n"


def test_an_answer_that_does_not_come_in_time() -> None:
    import socket

    options = RequestOptions()
    options.set("first-byte-timeout", 50_000_000)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        request = made(f"127.0.0.1:{silent.getsockname()[1]}")
        future: Any = outgoing.handle(Call(Guest([], [], network=ALL)), request, options).value
        assert future.get() is None
        future.connection.set_timeout(0.05)
        assert not future.pollable().ready()
        future.dropped()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for localhost that signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    try:
        subprocess.run([*command, *names, *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl (Debian: openssl)")
    return folder


def test_tls(server: http.server.HTTPServer, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "certificate", certificate / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    authority = f"localhost:{server.server_address[1]}"
    monkeypatch.setattr(tls.wrap, "__defaults__", ((str(certificate / "certificate"),),))
    local = Network(outgoing=True, addresses=("127.0.0.0/8",))
    assert body(ask(made(authority, "get", "HTTPS"), local)).startswith(b"GET /p?q localhost")
    assert (
        ask(made(authority.replace("localhost", "127.0.0.1"), "get", "HTTPS"), local).value == "TLS-certificate-error"
    )
    monkeypatch.setattr(tls.wrap, "__defaults__", (("/nowhere",),))
    assert ask(made(authority, "get", "HTTPS"), local).value == "TLS-certificate-error"


def test_a_body_that_is_never_finished_is_not_sent_as_if_it_were(server: http.server.HTTPServer) -> None:
    request = made(f"127.0.0.1:{server.server_address[1]}", "post", "HTTP", ("content-length", b"5"))
    sink: Any = request.make_body().value
    future: Any = outgoing.handle(Call(Guest([], [], network=ALL)), request, None)
    sink.write(b"abc")
    assert isinstance(sink.finish(None), Err)
    future.value.dropped()
    with pytest.raises(StreamFaultError, match="finished"):
        sink.write(b"de")
