"""A connection to a real dbus-daemon: greeting, calls, errors, signals, and what happens when it goes away."""

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyruntime.cgroup.systemd import manager
from pyruntime.cgroup.systemd.bus import Bus, Dropped, Refused
from pyruntime.errors import Error

NAME, PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"


@pytest.fixture
def address(tmp_path: Path) -> "Iterator[str]":
    """The socket of a bus of our own."""
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("needs dbus-daemon (package dbus-daemon)")
    path = tmp_path / "bus"
    (tmp_path / "bus.conf").write_text(
        f"<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>'
        '<allow own="*"/></policy></busconfig>'
    )
    command = [program, f"--config-file={tmp_path}/bus.conf", "--nofork", "--nopidfile", "--print-address"]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    daemon.stdout.readline()
    yield str(path)
    daemon.terminate()
    daemon.wait()
    daemon.stdout.close()


@pytest.fixture
def bus(address: str) -> "Iterator[Bus]":
    found = Bus(address, 5)
    yield found
    found.close()


def test_a_call(bus: Bus) -> None:
    assert len(bus.call(NAME, PATH, NAME, "GetId")[0]) == 32
    assert bus.call(NAME, PATH, NAME, "NameHasOwner", "s", NAME) == [True]
    assert NAME in bus.call(NAME, PATH, NAME, "ListNames")[0]
    everything = bus.call(NAME, PATH, f"{NAME}.Properties", "GetAll", "s", NAME)[0]
    assert dict(everything)["Interfaces"][0] == "as"


def test_a_refused_call(bus: Bus) -> None:
    with pytest.raises(Refused) as caught:
        bus.call(NAME, PATH, NAME, "Nonsense")
    assert caught.value.name == "UnknownMethod"
    assert caught.value.text.startswith("Nonsense: UnknownMethod: ")
    with pytest.raises(Refused) as caught:
        bus.call("org.freedesktop.systemd1.nobody", "/", "a.b", "C")
    assert caught.value.name == "ServiceUnknown"


def test_a_signal(address: str, bus: Bus) -> None:
    """Those that come while an answer is awaited are kept."""
    bus.watch(f"type='signal',sender='{NAME}',member='NameOwnerChanged'")
    other = Bus(address, 5)
    other.call(NAME, PATH, NAME, "RequestName", "su", "org.example.first", 0)
    other.call(NAME, PATH, NAME, "RequestName", "su", "org.example.second", 0)
    bus.call(NAME, PATH, NAME, "GetId")
    assert bus.signal("NameOwnerChanged", lambda told: told[0] == "org.example.second")[0] == "org.example.second"
    other.close()
    assert bus.signal("NameOwnerChanged", lambda told: told[0] == "org.example.first")[2] == ""


def test_a_signal_that_does_not_come(address: str) -> None:
    bus = Bus(address, 0.2)
    with pytest.raises(Error, match="no word of the signal Nothing within 0 s"):
        bus.signal("Nothing", lambda told: True)
    bus.close()


def test_a_manager_that_is_not_there(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bus without systemd on it answers, and what it answers is told."""
    monkeypatch.setattr(manager, "_SYSTEM", ("/no-such-place/bus", address))
    with pytest.raises(Error, match="^--systemd-cgroup: systemd is not to be reached: ") as caught:
        manager.find(rootless=False)
    assert f"/no-such-place/bus: nobody listens there; {address}: ServiceUnknown; " in caught.value.text


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(Error, match="/none: nobody listens there"):
        Bus(str(tmp_path / "none"))


def served(path: Path, *answers: bytes) -> threading.Thread:
    """A server that gives one answer for each thing it is sent, then closes."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(2)

    def serve() -> None:
        connection, _ = server.accept()
        with server, connection, contextlib.suppress(ConnectionError):  # the other side may have had enough
            for answer in answers:
                connection.recv(4096)
                connection.sendall(answer)
            connection.recv(4096)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_server_that_asks_for_more(tmp_path: Path) -> None:
    """Some say DATA first; systemd's private socket has no Hello."""
    (tmp_path / "systemd").mkdir()
    path = tmp_path / "systemd/private"
    thread = served(path, b"DATA\r\n", b"OK 0123456789abcdef0123456789abcdef\r\n")
    bus = Bus(str(path), 5)
    thread.join()
    with pytest.raises(Dropped):
        bus.call(NAME, PATH, NAME, "GetId")
    bus.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"REJECTED EXTERNAL\r\n", "does not accept this user: REJECTED EXTERNAL"),
        (b"220 mail.example ESMTP\r\n", "does not accept this user"),
        (b"x" * 600, "is not a socket of D-Bus"),
    ],
)
def test_a_server_of_another_kind(tmp_path: Path, answer: bytes, words: str) -> None:
    thread = served(tmp_path / "socket", answer)
    with pytest.raises(Error, match=words):
        Bus(str(tmp_path / "socket"), 5)
    thread.join()


def test_user_sockets() -> None:
    given = {b"DBUS_SESSION_BUS_ADDRESS": b"tcp:host=x;unix:path=/run/a%20b,guid=1;unix:abstract=/tmp/x"}
    assert manager.user_sockets(given, 0) == ["/run/a b", "@/tmp/x"]
    assert manager.user_sockets({}, 0) == []
    assert manager.user_sockets({}, 1000) == ["/run/user/1000/bus", "/run/user/1000/systemd/private"]
    both = {b"DBUS_SESSION_BUS_ADDRESS": b"unix:path=/run/user/7/bus", b"XDG_RUNTIME_DIR": b"/run/user/7"}
    assert manager.user_sockets(both, 0) == ["/run/user/7/bus", "/run/user/7/systemd/private"]
    assert manager.user_sockets({b"DBUS_SESSION_BUS_ADDRESS": b"unix:path=%zz"}, 0) == ["%zz"]
