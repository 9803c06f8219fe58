"""A connection to a bus of D-Bus, or to systemd itself over its private socket.

The D-Bus Specification, "Authentication Protocol" and "Message Bus"; for the private socket see systemctl(1).
"""

import _socket
from time import monotonic

from pyruntime.cgroup.systemd import wire
from pyruntime.errors import Error, explain_oserror, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyruntime.cgroup.systemd.wire import Message

PRIVATE = "/systemd/private"  # how the paths of systemd's own sockets end, where no bus stands between
PATIENCE = 30.0  # seconds; as long as other runtimes wait for systemd
_BUS = "org.freedesktop.DBus"
# By other words than the kernel's: engines take those for a missing program, or one that may not be run.
_UNREACHED = {2: "nobody listens there", 111: "nobody listens there", 13: "does not let this user in"}
_AUTH_LINE = 512  # bytes; what a server answers is shorter


class Dropped(Error):
    """The connection was closed by the other side."""


class Refused(Error):
    """The other side answered a call by an error; `name` is the last word of its name, `said` what it says."""

    def __init__(self, text: str, name: str, said: str) -> None:
        super().__init__(text)
        self.name = name
        self.said = said


class Bus:
    """One connection. Signals that come in while something else is awaited are kept."""

    def __init__(self, address: str, seconds: float = PATIENCE) -> None:
        """Connect to the unix socket at `address` (one that begins with @ has an abstract name). Raises Error."""
        self.address = address
        self.private = address.endswith(PRIVATE)
        self._serial = 0
        self._seconds = seconds
        self._signals: "list[Message]" = []
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self._open()
        except BaseException:
            self._socket.close()
            raise

    def _open(self) -> None:
        self._socket.settimeout(self._seconds)
        name = self.address.encode("utf-8", "surrogateescape")
        try:
            self._socket.connect(b"\0" + name[1:] if name.startswith(b"@") else name)
        except OSError as error:
            text = _UNREACHED.get(error.errno or 0) or explain_oserror(error)
            raise Error(f"{self.address}: {text}") from None
        deadline = monotonic() + self._seconds
        self._authenticate(deadline)
        if not self.private:
            self.call(_BUS, "/org/freedesktop/DBus", _BUS, "Hello")

    def _authenticate(self, deadline: float) -> None:
        """By what the kernel says of us: in a user namespace our own idea of our user id is not the server's."""
        self._send(b"\0AUTH EXTERNAL\r\n")
        answer = self._line(deadline)
        if answer.startswith(b"DATA"):
            self._send(b"DATA\r\n")
            answer = self._line(deadline)
        if not answer.startswith(b"OK"):
            raise Error(f"{self.address}: does not accept this user: {one_line(answer.decode('ascii', 'replace'))}")
        self._send(b"BEGIN\r\n")

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def call(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", *values: "Any"
    ) -> "list[Any]":
        """Call a method and wait for what it returns. Raises Refused, Dropped, Error."""
        self._serial += 1
        serial = self._serial
        fields = {
            wire.PATH: path, wire.INTERFACE: interface, wire.MEMBER: member, wire.SIGNATURE: signature,
            wire.DESTINATION: "" if self.private else destination,
        }  # fmt: skip
        self._send(wire.call(serial, fields, values))
        deadline = monotonic() + self._seconds
        while True:
            message = self._receive(deadline, f"an answer to {member}")
            if message.fields.get(wire.REPLY_SERIAL) == serial:
                return _answer(message, member)
            if message.kind == wire.SIGNAL:
                self._signals.append(message)

    def watch(self, rule: str) -> None:
        """Have the bus send us the signals of this match rule; without a bus all of them come."""
        if not self.private:
            self.call(_BUS, "/org/freedesktop/DBus", _BUS, "AddMatch", "s", rule)

    def signal(self, member: str, wanted: "Callable[[list[Any]], bool]") -> "list[Any]":
        """Wait for the signal of this name whose arguments are `wanted`. Raises Dropped; Error if it does not come."""
        deadline = monotonic() + self._seconds
        while True:
            while self._signals:
                message = self._signals.pop(0)
                if message.fields.get(wire.MEMBER) == member and wanted(message.body):
                    return message.body
            message = self._receive(deadline, f"the signal {member}")
            if message.kind == wire.SIGNAL:
                self._signals.append(message)

    def _send(self, data: bytes) -> None:
        try:
            while data:
                data = data[self._socket.send(data, _socket.MSG_NOSIGNAL) :]
        except OSError as error:
            raise Dropped(f"{self.address}: {explain_oserror(error)}") from None

    def _receive(self, deadline: float, what: str) -> "Message":
        try:
            start = self._take(wire.HEADER, deadline, what)
            return wire.parse(start + self._take(wire.length(start) - wire.HEADER, deadline, what))
        except ValueError as error:
            raise Error(f"{self.address}: {one_line(str(error))}") from None

    def _take(self, size: int, deadline: float, what: str) -> bytes:
        found = b""
        while len(found) < size:
            self._socket.settimeout(max(deadline - monotonic(), 0.001))
            try:
                part = self._socket.recv(size - len(found))
            except TimeoutError:
                raise Error(f"{self.address}: no word of {what} within {self._seconds:.0f} s") from None
            except OSError as error:
                raise Dropped(f"{self.address}: {explain_oserror(error)}") from None
            if not part:
                raise Dropped(f"{self.address}: the connection was closed")
            found += part
        return found

    def _line(self, deadline: float) -> bytes:
        found = b""
        while not found.endswith(b"\r\n"):
            if len(found) > _AUTH_LINE:
                raise Error(f"{self.address}: is not a socket of D-Bus")
            found += self._take(1, deadline, "who we are")
        return found[:-2]


def _answer(message: "Message", member: str) -> "list[Any]":
    if message.kind != wire.ERROR:
        return message.body
    name = str(message.fields.get(wire.ERROR_NAME, "")).rpartition(".")[2]
    said = one_line(str(message.body[0])) if message.body and isinstance(message.body[0], str) else ""
    raise Refused(f"{member}: {name}: {said}", name, said)
