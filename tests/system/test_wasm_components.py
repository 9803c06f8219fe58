"""Components in containers: commands, and services that answer HTTP requests from inside their namespaces."""

import http.client
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.engine import components
from tests.engine import test_preview1 as preview1
from tests.system.harness import ROOT, Bundle, Runtime, new_id, wait_until
from tests.system.wasm import Alive, Make, answers, put
from tests.system.wasm_cache import artefacts
from tests.system.wasm_cache import cache as cache

ECHO = (ROOT / "examples/bundles/http-echo/http-echo.wat").read_text()
HELLO = b"hello from a WebAssembly component\n"
LOOP = ECHO.replace("(then (call $answer", "(then (loop $on (br $on)) (call $answer", 1)


@pytest.fixture(autouse=True)
def _engine() -> None:
    if "wasmtime" not in answers():
        pytest.skip("needs wasmtime (docs/how-to/run-wasm.md says where it is looked for)")


def made(make: Make, text: str, *arguments: str, **annotations: str) -> Bundle:
    bundle = make("/guest.wasm", *arguments)
    put(bundle, "guest.wasm", text)
    bundle.config["annotations"] = {f"pyruntime.wasm.{name}": value for name, value in annotations.items()}
    return bundle


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def ask(port: int, method: str = "GET", path: str = "/", body: "bytes | None" = None) -> "tuple[int, bytes]":
    """The status and body of one request, repeated until somebody listens."""
    end = time.monotonic() + 20
    while True:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            client.request(method, path, body)
            answer = client.getresponse()
            return answer.status, answer.read()
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.05)
        finally:
            client.close()


@pytest.mark.parametrize("status", [0, 3, 137, 255])
def test_the_exit_status_of_a_command(rt: Runtime, make: Make, status: int) -> None:
    result = rt.run(made(make, components.exiting("exit-with-code", status)))
    assert (result.rc, result.err) == (status, "")


def test_what_a_command_gets(rt: Runtime, make: Make) -> None:
    bundle = made(make, components.ARGUMENTS, "one", "two words")
    bundle.process["env"] = ["A=b"]
    result = rt.run(bundle)
    assert result.out.splitlines()[:5] == ["/guest.wasm", "one", "two words", "A", "b"]


def test_a_trap(rt: Runtime, make: Make) -> None:
    result = rt.run(made(make, components.command("(unreachable)")))
    assert result.rc == 134
    assert result.err.startswith("wasm trap: unreachable\n    at ")


def test_a_function_by_name(rt: Runtime, make: Make) -> None:
    bundle = made(make, components.command("(i32.const 1)").replace('(export "run"', '(export "check"', 2))
    bundle.process["args"] = ["/guest.wasm#wasi:cli/run@0.2.0#check"]
    assert rt.run(bundle).rc == 1


def test_a_second_start_finds_it_compiled(rt: Runtime, make: Make, cache: Path) -> None:
    text = components.command("(i32.const 0)")
    assert rt.run(made(make, text)).rc == 0
    (first,) = artefacts(cache)
    written = first.stat()
    assert rt.run(made(make, text)).rc == 0
    assert artefacts(cache) == [first]
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


@pytest.fixture
def service(rt: Runtime, make: Make, alive: Alive) -> "tuple[str, int]":
    port = free_port()
    bundle = made(make, ECHO, http=f"127.0.0.1:{port}").without("network")
    return alive(bundle, busy=False), port


def test_requests_are_answered(service: "tuple[str, int]") -> None:
    _, port = service
    assert ask(port) == (200, HELLO)
    assert ask(port, "POST", "/echo", b"said and heard") == (200, b"said and heard")
    assert ask(port, "GET", "/other") == (404, b"nothing is here\n")


@pytest.mark.parametrize("busy", [False, True])
def test_sigterm_ends_a_service_within_50_milliseconds(rt: Runtime, make: Make, alive: Alive, busy: bool) -> None:
    """As PID 1 of its namespace, idle or with a request that computes for ever; with patience on a busy machine."""
    port = free_port()
    name = alive(made(make, LOOP, http=f"127.0.0.1:{port}").without("network"), busy=False)
    assert ask(port, "POST", "/echo", b"x") == (200, b"x")
    pid = rt.state(name)["pid"]
    with socket.create_connection(("127.0.0.1", port)) as sock:
        if busy:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.3)
        descriptor = os.pidfd_open(pid)
        os.kill(pid, 15)
        begin = time.monotonic()
        wait_until(lambda: _ended(descriptor), "the service has ended")
        seconds = time.monotonic() - begin
        os.close(descriptor)
    assert seconds < 0.05 * max(1.0, os.getloadavg()[0])


def _ended(pidfd: int) -> bool:
    import select

    return bool(select.select([pidfd], [], [], 0)[0])


def test_the_status_of_an_ended_service(rt: Runtime, make: Make) -> None:
    port, name = free_port(), new_id()
    bundle = made(make, ECHO, http=f"127.0.0.1:{port}").without("network")
    bundle.write()
    process, _ = rt.popen("run", "--bundle", bundle.path, name)
    assert ask(port) == (200, HELLO)
    assert rt("kill", name, "TERM").rc == 0
    assert process.wait(20) == 143


def test_an_inherited_socket_serves_a_container_that_has_no_network(rt: Runtime, make: Make) -> None:
    bundle, name = made(make, ECHO), new_id()
    bundle.write()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = rt.command("run", "--bundle", bundle.path, name)
        process = passed(command, listener)
        assert ask(port) == (200, HELLO)
        assert rt("kill", name, "TERM").rc == 0
        assert process.wait(20) == 143


def test_a_module_of_preview_1_accepts_on_an_inherited_socket(rt: Runtime, make: Make, tmp_path: Path) -> None:
    bundle, name = made(make, preview1.text(preview1.ANSWER)), new_id()
    bundle.write()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = passed(rt.command("run", "--bundle", bundle.path, name), listener)
        with socket.create_connection(listener.getsockname(), 20) as client:
            client.sendall(b"said")
            client.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: client.recv(100), b"")) == b"saidsaid"
        assert process.wait(20) == 0


def passed(command: "list[str]", listener: socket.socket) -> "subprocess.Popen[bytes]":
    """A command that was given a socket as systemd does it."""
    return subprocess.Popen(
        ["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh", *command],
        stdin=subprocess.DEVNULL,
        pass_fds=(3,),
        preexec_fn=lambda: os.dup2(listener.fileno(), 3),
    )


def test_limits_are_those_of_each_request(rt: Runtime, make: Make, alive: Alive) -> None:
    port = free_port()
    name = alive(made(make, LOOP, http=f"127.0.0.1:{port}", timeout="0.3").without("network"), busy=False)
    for _ in range(2):
        assert ask(port) == (500, b"the component failed\n")
        assert ask(port, "POST", "/echo", b"x") == (200, b"x")
    assert rt.status(name) == "running"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("http", "localhost:80", '"localhost:80" is no address to serve at'),
        ("http", "127.0.0.1", "is no address to serve at"),
        ("http", "127.0.0.1:0", "is no address to serve at"),
        ("network", "some", 'expected "all", or addresses such as'),
    ],
)
def test_bad_annotations_are_refused_before_anything_is_made(
    rt: Runtime, make: Make, name: str, value: str, text: str
) -> None:
    result = rt.run(made(make, ECHO, **{name: value}))
    assert result.rc != 0
    told = result.err.replace("\\", "")
    assert f'annotations["pyruntime.wasm.{name}"]' in told
    assert text in told
    assert rt.containers() == []


def test_an_address_for_what_does_not_serve(rt: Runtime, make: Make) -> None:
    result = rt.run(made(make, components.command("(i32.const 0)"), http="127.0.0.1:8080"))
    assert "exports wasi:http/incoming-handler" in result.err


def test_wasi_0_3_is_refused_by_name(rt: Runtime, make: Make) -> None:
    result = rt.run(made(make, components.exiting("exit", 0, "0.3.0")))
    assert result.rc != 0
    assert "imports wasi:cli/exit@0.3.0" in result.err
    assert Path(rt.root).exists()
    assert rt.containers() == []
