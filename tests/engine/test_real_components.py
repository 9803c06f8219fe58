"""A component by a real toolchain: CPython with a script, by componentize-py, with and without the network."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

WORLD = """package test:real@0.1.0;
world real { export wasi:cli/run@0.2.0; }
"""
# What the world needs, and what the toolchain itself asks for.
CLI = """package wasi:cli@0.2.0;
interface environment {
  get-environment: func() -> list<tuple<string, string>>;
  get-arguments: func() -> list<string>;
  initial-cwd: func() -> option<string>;
}
interface run { run: func() -> result; }
"""
SCRIPT = """import os, socket, sys
from wit_world import exports

class Run(exports.Run):
    def run(self) -> None:
        print(sys.argv[1:], os.environ["A"], sorted(os.listdir("/")), open("/file").read())
        try:
            server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
        except OSError as error:
            print(type(error).__name__)
            return
        peer, _ = server.accept()
        peer.sendall(peer.recv(100).upper())
        peer.close()
"""


@pytest.fixture(scope="module")
def component(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builder = shutil.which("componentize-py")
    if builder is None:
        pytest.skip("needs componentize-py (pip install componentize-py) in PATH")
    folder = tmp_path_factory.mktemp("real")
    (folder / "wit/deps/cli").mkdir(parents=True)
    (folder / "wit/world.wit").write_text(WORLD)
    (folder / "wit/deps/cli/cli.wit").write_text(CLI)
    (folder / "app.py").write_text(SCRIPT)
    words = ["-d", "wit", "-w", "real", "componentize", "app", "-o", "app.wasm"]
    subprocess.run([builder, *words], cwd=folder, check=True, capture_output=True, timeout=600)
    return folder / "app.wasm"


def start(component: Path, folder: Path, port: int, *options: str) -> "subprocess.Popen[str]":
    (folder / "file").write_text("content")
    options = (*options, "--env", "A=b", "--preopen", f"{folder}:/")
    command = [sys.executable, str(HERE / "runner.py"), "--in-place", *options]
    return subprocess.Popen(
        [*command, "wasmtime", str(component), "--", "guest", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_python_without_the_network(component: Path, tmp_path: Path) -> None:
    port = free_port()
    process = start(component, tmp_path, port)
    out, _ = process.communicate(timeout=900)
    assert (process.returncode, out) == (0, f"['{port}'] b ['file'] content\nPermissionError\n")


def test_python_with_the_network(component: Path, tmp_path: Path) -> None:
    """The world is ours then: what it reads and lists too."""
    port, answers = free_port(), []
    process = start(component, tmp_path, port, "--network", "127.0.0.0/8")

    def ask() -> None:
        while process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", port), 60) as client:
                    client.sendall(b"said")
                    answers.append(client.recv(100))
                return
            except ConnectionRefusedError:
                threading.Event().wait(0.1)

    thread = threading.Thread(target=ask)
    thread.start()
    out, _ = process.communicate(timeout=900)
    thread.join()
    assert (process.returncode, out) == (0, f"['{port}'] b ['file'] content\n")
    assert answers == [b"SAID"]
