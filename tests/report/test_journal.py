"""The datagrams that journald and syslog get; a socket of the test stands for the service."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyruntime.errors import Error
from pyruntime.report import journal
from pyruntime.report.log import Log


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = str(tmp_path / "socket")
    monkeypatch.setattr(journal, "SOCKETS", {"journald": path, "syslog": path})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(5)
        yield listener


def test_journald(service: socket.socket, capfd: pytest.CaptureFixture[str]) -> None:
    Log("journald:box\n1").error("it\nbroke", hint="look")
    assert service.recv(4096) == (b"MESSAGE=it\\nbroke\nPRIORITY=3\nSYSLOG_IDENTIFIER=box\\n1\nPYRUNTIME_HINT=look\n")
    assert capfd.readouterr().err == "it\\nbroke\n"


def test_syslog(service: socket.socket, capfd: pytest.CaptureFixture[str]) -> None:
    Log("syslog:", level="info").info("ready", n=1)
    assert re.fullmatch(rb"<14>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d pyruntime\[\d+\]: ready n=1", service.recv(4096))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("scheme", ["journald", "syslog"])
def test_a_service_that_is_not_there(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SOCKETS", {scheme: str(tmp_path / "none")})
    with pytest.raises(Error, match=f"^--log: cannot reach {scheme} at .*give --log a file$") as caught:
        Log(f"{scheme}:box")
    assert caught.value.code == 1


def test_a_service_that_went_away_does_not_hide_the_error(
    service: socket.socket, capfd: pytest.CaptureFixture[str]
) -> None:
    log = Log("journald:box")
    service.close()
    log.error("no")
    assert capfd.readouterr().err == "no\n"
