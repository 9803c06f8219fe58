"""WasmEdge's sockets, which the published examples for containers are written with: a server that answers once."""

import socket

import pytest

from tests.system.harness import Runtime, new_id, wait_until
from tests.system.wasm import Wasm

# Listens at 127.0.0.1, accepts once, sends back what it receives, and exits with 7; with 100 and the errno before that.
SERVER = """(module
  (import "wasi_snapshot_preview1" "sock_open" (func $open (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_bind" (func $bind (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_listen" (func $listen (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "\\7f\\00\\00\\01")
  (func $ok (param $errno i32)
    (if (local.get $errno) (then (call $exit (i32.add (i32.const 100) (local.get $errno))))))
  (func (export "_start") (local $fd i32)
    (call $ok (call $open (i32.const 1) (i32.const 2) (i32.const 0)))
    (local.set $fd (i32.load (i32.const 0)))
    (i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (i32.const 4))
    (call $ok (call $bind (local.get $fd) (i32.const 32) (i32.const {port})))
    (call $ok (call $listen (local.get $fd) (i32.const 8)))
    (call $ok (call $accept (local.get $fd) (i32.const 4)))
    (i32.store (i32.const 16) (i32.const 1024)) (i32.store (i32.const 20) (i32.const 4096))
    (call $ok (call $recv (i32.load (i32.const 4)) (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 24)
      (i32.const 28)))
    (i32.store (i32.const 20) (i32.load (i32.const 24)))
    (call $ok (call $send (i32.load (i32.const 4)) (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 24)))
    (call $ok (call $close (i32.load (i32.const 4))))
    (call $exit (i32.const 7))))"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def connected(port: int) -> "socket.socket | None":
    try:
        return socket.create_connection(("127.0.0.1", port), 1)
    except OSError:
        return None


def test_a_server_with_wasmedge_sockets_answers(rt: Runtime, wasm: Wasm) -> None:
    if wasm.engine != "wasmedge":
        pytest.skip("WasmEdge alone has these sockets in its WASI")
    port = free_port()
    bundle = wasm(SERVER.replace("{port}", str(port))).without("network")
    process, base = rt.popen("run", "--bundle", bundle.write().path, new_id())
    found: "list[socket.socket]" = []

    def answers() -> bool:
        assert process.poll() is None, (process.returncode, base.with_suffix(".err").read_text())
        client = connected(port)
        if client:
            found.append(client)
        return bool(client)

    wait_until(answers, "it listens", 60)
    with found[0] as client:
        client.sendall(b"POST /echo HTTP/1.1\r\n\r\nhello")
        assert client.recv(4096) == b"POST /echo HTTP/1.1\r\n\r\nhello"
    assert process.wait(30) == 7
