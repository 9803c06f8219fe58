"""What the two lanes say to each other: batons, news and failures, one datagram each.

A SEQPACKET socketpair frames exactly and tells end of file. Four kinds of datagram:

    B name=value …   the baton: the receiver's turn; values and the descriptors named `fd:NAME` travel with it
    N name=value …   news that do not pass the turn (the pid of a process that is about to become init)
    F index text     the sender's step `index` failed with this text; its lane has ended
    (end of file)    the sender is gone: after the last step this means that execve was reached

Failures are written to a shared page too, before they are sent: who may make no system call any more can do that.
"""

import _socket
import _struct
import posix as os

from pyruntime.errors import Error
from pyruntime.kernel.syscall import shared_page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX = 65536
_TEXT_MAX = 32768
FDS_MAX = 16  # in one datagram
_WORDS_MAX = 4095  # a page, less a zero byte
_GONE = (32, 104, 107, 111)  # EPIPE, ECONNRESET, ENOTCONN, ECONNREFUSED


class Failed(Error):
    """The other lane's step failed; `index` is its place in the plan."""

    def __init__(self, index: int, text: str) -> None:
        super().__init__(text)
        self.index = index


class PeerGone(Error):
    """The other lane ended without a word."""


class Channel:
    """One end of the socketpair."""

    def __init__(self, end: "_socket.socket", last_words: "Any") -> None:
        self.end = end
        self.last_words = last_words

    def send(self, kind: bytes, values: "dict[str, int]", fds: "dict[str, int]") -> None:
        """Send a baton or news. Raises PeerGone when nobody is there to take it."""
        words = [f"{name}={value}" for name, value in values.items()] + [f"fd:{name}" for name in fds]
        ancillary = (
            [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _struct.pack(f"{len(fds)}i", *fds.values()))] if fds else []
        )
        data = kind + " ".join(words).encode()
        try:
            if ancillary:
                self.end.sendmsg([data], ancillary, _socket.MSG_NOSIGNAL)
            else:  # the one call that a profile with a listener is known not to hold up
                os.write(self.end.fileno(), data)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            raise PeerGone("the other process has ended") from None

    def fail(self, index: int, text: str) -> None:
        """Report that our step `index` failed; lost without harm when nobody listens any more.

        First where no call is needed: a filter of the container's may be in force, and forbid them all.
        """
        data = _struct.pack("I", index) + text.encode("utf-8", "surrogateescape")[:_TEXT_MAX]
        self.last_words[: len(data[:_WORDS_MAX])] = data[:_WORDS_MAX]
        try:
            self.end.sendmsg([b"F" + data], [], _socket.MSG_NOSIGNAL)
        except OSError:
            return

    def left(self) -> "Failed | None":
        """What the other side wrote down as its failure and could not send, None for nothing."""
        words = bytes(self.last_words).rstrip(b"\0")
        if len(words) <= 4:
            return None
        return Failed(_struct.unpack("I", words[:4])[0], words[4:].decode("utf-8", "replace"))

    def receive(self) -> "tuple[bytes, dict[str, int], dict[str, int]]":
        """Wait for the next datagram: (kind, values, descriptors). Raises Failed or PeerGone."""
        while True:
            try:
                data, ancillary, flags, _ = self.end.recvmsg(
                    _MAX, _socket.CMSG_SPACE(4 * FDS_MAX), _socket.MSG_CMSG_CLOEXEC
                )
                break
            except InterruptedError:
                continue
            except ConnectionResetError:
                raise PeerGone("the other process has ended") from None
        if not data:
            raise PeerGone("the other process has ended")
        if flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
            raise SystemError(f"a message of the other process is longer than {_MAX} bytes or {FDS_MAX} descriptors")
        if data[:1] == b"F":
            raise Failed(_struct.unpack("I", data[1:5])[0], data[5:].decode("utf-8", "surrogateescape"))
        return (data[:1], *_unpack(data[1:].decode(), ancillary))

    def pending(self) -> bool:
        """Whether there is anything to receive, be it the end; does not wait."""
        try:
            self.end.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except ConnectionResetError:  # the end, of a peer that died with words of ours unread
            return True
        return True

    def ended(self) -> bool:
        """Whether the other side has closed its end and nothing is left to read; does not wait."""
        try:
            return not self.end.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # reset by a peer that died, or closed by ourselves
            return True

    def close(self) -> None:
        """Close our end: the other side sees end of file."""
        self.end.close()


def _unpack(words: str, ancillary: "list[tuple[int, int, bytes]]") -> "tuple[dict[str, int], dict[str, int]]":
    numbers: "list[int]" = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            numbers.extend(_struct.unpack(f"{len(data) // 4}i", data))
    values, names = {}, []
    for word in words.split():
        if word.startswith("fd:"):
            names.append(word[3:])
        else:
            name, _, value = word.partition("=")
            values[name] = int(value)
    if len(names) != len(numbers):
        raise SystemError(f"{len(names)} descriptors announced, {len(numbers)} received")
    return values, dict(zip(names, numbers, strict=True))


def pair() -> "tuple[Channel, Channel]":
    """The two ends, close-on-exec."""
    one, two = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    page = shared_page()
    return Channel(one, page), Channel(two, page)
