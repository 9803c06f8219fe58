"""Sockets for modules of preview 1: passed on by LISTEN_FDS, accepted, polled, and the rest left as it was."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pyruntime.engine.engines import make
from pyruntime.errors import Error

HERE = Path(__file__).resolve().parent
W = '(import "wasi_snapshot_preview1" '

FRAME = f"""(module
  {W}"sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  {W}"sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  {W}"sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
  {W}"sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
  {W}"fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  {W}"fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  {W}"fd_close" (func $close (param i32) (result i32)))
  {W}"fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
  {W}"fd_fdstat_set_flags" (func $flags (param i32 i32) (result i32)))
  {W}"fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  {W}"poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  {W}"path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  {W}"proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 512) "file")
  ;; Ends with the number of the step when its errno is not the one expected.
  (func $is (param $errno i32) (param $expected i32) (param $step i32)
    (if (i32.ne (local.get $errno) (local.get $expected)) (then (call $exit (local.get $step)))))
  ;; One iovec at 16: what lies at 1024 on.
  (func $room (param $length i32)
    (i32.store (i32.const 16) (i32.const 1024)) (i32.store (i32.const 20) (local.get $length)))
  (func (export "_start") (local $fd i32)
    BODY))"""

ANSWER = """
    (call $is (call $accept (i32.const 3) (i32.const 0) (i32.const 8)) (i32.const 0) (i32.const 1))
    (local.set $fd (i32.load (i32.const 8)))
    (call $is (call $stat (local.get $fd) (i32.const 64)) (i32.const 0) (i32.const 2))
    (call $is (i32.load8_u (i32.const 64)) (i32.const 6) (i32.const 3))
    (call $room (i32.const 100))
    (call $is (call $recv (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 8) (i32.const 12))
      (i32.const 0) (i32.const 4))
    (call $room (i32.load (i32.const 8)))
    (call $is (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)) (i32.const 0) (i32.const 5))
    (call $is (call $send (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 8))
      (i32.const 0) (i32.const 6))
    (call $is (call $write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 8)) (i32.const 0) (i32.const 7))
    (call $is (call $shutdown (local.get $fd) (i32.const 2)) (i32.const 0) (i32.const 8))
    (call $is (call $read (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 8)) (i32.const 0) (i32.const 9))
    (call $is (i32.load (i32.const 8)) (i32.const 0) (i32.const 10))
    (call $is (call $close (local.get $fd)) (i32.const 0) (i32.const 11))
    (call $is (call $close (local.get $fd)) (i32.const 8) (i32.const 12))"""


def text(body: str) -> str:
    return FRAME.replace("BODY", body)


def start(folder: Path, body: str, *options: str, listener: "socket.socket | None" = None) -> "subprocess.Popen[bytes]":
    try:
        make("wasmtime").probe()
    except Error as error:
        pytest.skip(f"wasmtime cannot run here: {error}")
    module = folder / "module.wat"
    module.write_text(text(body))
    options = (*options, "--listen", "1") if listener else options
    command = [sys.executable, str(HERE / "runner.py"), "--in-place", *options, "wasmtime", str(module), "--", "guest"]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        pass_fds=(3,) if listener else (),
        preexec_fn=(lambda: os.dup2(listener.fileno(), 3)) if listener else None,
    )


def ended(process: "subprocess.Popen[bytes]") -> "tuple[int, bytes, bytes]":
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


def test_a_connection_is_accepted_and_answered(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(tmp_path, ANSWER, listener=listener)
        with socket.create_connection(listener.getsockname(), 20) as client:
            client.sendall(b"said")
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(100), b""))
        assert (ended(process), answer) == ((0, b"said", b""), b"saidsaid")


def test_directories_come_after_the_sockets(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    body = """
    (call $is (call $prestat (i32.const 3) (i32.const 64)) (i32.const 0) (i32.const 1))
    (call $is (i32.load8_u (i32.const 64)) (i32.const 1) (i32.const 2))
    (call $is (call $prestat (i32.const 4) (i32.const 64)) (i32.const 0) (i32.const 3))
    (call $is (i32.load8_u (i32.const 64)) (i32.const 0) (i32.const 4))
    (call $is (call $prestat (i32.const 5) (i32.const 64)) (i32.const 8) (i32.const 5))
    (call $is (call $open (i32.const 4) (i32.const 0) (i32.const 512) (i32.const 4) (i32.const 0) (i64.const 2)
      (i64.const 0) (i32.const 0) (i32.const 8)) (i32.const 0) (i32.const 6))
    (call $room (i32.const 100))
    (call $is (call $read (i32.load (i32.const 8)) (i32.const 16) (i32.const 1) (i32.const 12)) (i32.const 0)
      (i32.const 7))
    (call $room (i32.load (i32.const 12)))
    (call $is (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 12)) (i32.const 0) (i32.const 8))"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(tmp_path, body, "--preopen", f"{tmp_path}:/", listener=listener)
        assert ended(process) == (0, b"content", b"")


POLL = """
    (i64.store (i32.const 256) (i64.const 7)) (i32.store8 (i32.const 264) (i32.const 1))
    (i32.store (i32.const 272) (i32.const 3))
    (i64.store (i32.const 304) (i64.const 9)) (i32.store8 (i32.const 312) (i32.const 0))
    (i32.store (i32.const 320) (i32.const 1)) (i64.store (i32.const 328) (i64.const {nanoseconds}))
    (call $is (call $poll (i32.const 256) (i32.const 640) (i32.const 2) (i32.const 8)) (i32.const 0) (i32.const 1))
    (call $is (i32.load (i32.const 8)) (i32.const 1) (i32.const 2))
    (call $exit (i32.load8_u (i32.const 640)))"""


def test_waiting_for_a_connection_or_a_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(tmp_path, POLL.format(nanoseconds=20_000_000), listener=listener)
        assert ended(process) == (9, b"", b"")
        with socket.create_connection(listener.getsockname()):
            process = start(tmp_path, POLL.format(nanoseconds=60_000_000_000), listener=listener)
            assert ended(process) == (7, b"", b"")


@pytest.mark.parametrize("nanoseconds", [1 << 52, -1])
def test_waiting_for_longer_than_poll_can(tmp_path: Path, nanoseconds: int) -> None:
    """A month and more, as programs ask for that want no end: in WASI's unsigned number -1 is the most."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(tmp_path, POLL.format(nanoseconds=nanoseconds), listener=listener)
        with socket.create_connection(listener.getsockname()):
            assert ended(process) == (7, b"", b"")


def test_what_is_sent_at_once_takes_no_more_memory_than_the_guest_has(tmp_path: Path) -> None:
    """The same page named a thousand times: as much is taken as one call takes, and the rest is for the next."""
    body = """
    (local $at i32)
    (call $is (call $accept (i32.const 3) (i32.const 0) (i32.const 8)) (i32.const 0) (i32.const 1))
    (local.set $fd (i32.load (i32.const 8)))
    (loop $more
      (i32.store (i32.add (i32.const 16384) (local.get $at)) (i32.const 0))
      (i32.store (i32.add (i32.const 16388) (local.get $at)) (i32.const 65536))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $more (i32.lt_u (local.get $at) (i32.const 8192))))
    (call $is (call $write (local.get $fd) (i32.const 16384) (i32.const 1024) (i32.const 8)) (i32.const 0)
      (i32.const 2))
    (call $is (i32.gt_u (i32.load (i32.const 8)) (i32.const 0)) (i32.const 1) (i32.const 3))
    (call $is (i32.gt_u (i32.load (i32.const 8)) (i32.const 1048576)) (i32.const 0) (i32.const 4))"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(tmp_path, body, listener=listener)
        with socket.create_connection(listener.getsockname(), 20) as client:
            while client.recv(1 << 20):
                pass
        assert ended(process) == (0, b"", b"")


def test_what_must_not_wait_does_not(tmp_path: Path) -> None:
    body = """
    (call $is (call $flags (i32.const 3) (i32.const 4)) (i32.const 0) (i32.const 1))
    (call $is (call $stat (i32.const 3) (i32.const 64)) (i32.const 0) (i32.const 2))
    (call $is (i32.load16_u (i32.const 66)) (i32.const 4) (i32.const 3))
    (call $is (call $accept (i32.const 3) (i32.const 0) (i32.const 8)) (i32.const 6) (i32.const 4))
    (call $is (call $accept (i32.const 3) (i32.const 0) (i32.const 999999)) (i32.const 6) (i32.const 6))"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert ended(start(tmp_path, body, listener=listener)) == (0, b"", b"")


def test_memory_that_the_guest_does_not_have(tmp_path: Path) -> None:
    body = """
    (call $is (call $stat (i32.const 3) (i32.const 65530)) (i32.const 21) (i32.const 1))
    (call $is (call $poll (i32.const 65530) (i32.const 0) (i32.const 1) (i32.const 0)) (i32.const 21) (i32.const 2))
    (i32.store (i32.const 16) (i32.const -1)) (i32.store (i32.const 20) (i32.const 5))
    (call $is (call $write (i32.const 3) (i32.const 16) (i32.const 1) (i32.const 8)) (i32.const 21) (i32.const 3))"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert ended(start(tmp_path, body, listener=listener)) == (0, b"", b"")


def test_without_sockets_it_is_the_library_that_answers(tmp_path: Path) -> None:
    body = """
    (call $is (call $prestat (i32.const 3) (i32.const 64)) (i32.const 0) (i32.const 1))
    (call $is (i32.load8_u (i32.const 64)) (i32.const 0) (i32.const 2))
    (call $is (call $prestat (i32.const 4) (i32.const 64)) (i32.const 8) (i32.const 3))"""
    assert ended(start(tmp_path, body, "--preopen", f"{tmp_path}:/")) == (0, b"", b"")


def test_a_descriptor_that_is_no_socket(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+b") as file:
        process = start(tmp_path, "(nop)", listener=file)  # type: ignore[arg-type]
        assert ended(process) == (134, b"", b"wasm: descriptor 3 of LISTEN_FDS: socket operation on non-socket\n")
