"""Handing descriptors over unix sockets: unix(7), SCM_RIGHTS."""

import _socket
import _struct

from pyruntime.errors import Error, explain_oserror

_PATH_MAX = 107
_TIMEOUT = 10.0  # seconds


def connect(path: str, what: str) -> int:
    """Connect to the stream socket at `path`; returns its descriptor. Raises Error that names it by `what`."""
    name = path.encode("utf-8", "surrogateescape")
    if len(name) > _PATH_MAX:
        raise Error(f"{what} {path}: the path of a unix socket has at most {_PATH_MAX} bytes, this one has {len(name)}")
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    sock.settimeout(_TIMEOUT)
    try:
        sock.connect(name)
    except TimeoutError:
        raise Error(f"{what} {path}: nobody accepted the connection for {_TIMEOUT:.0f} s") from None
    except OSError as error:
        raise Error(f"failed to connect with {what} {path}: {explain_oserror(error)}") from None
    sock.settimeout(None)
    return sock.detach()


def send_fd(sock_fd: int, payload: bytes, fd: int) -> None:
    """Send one descriptor with its payload in one message. Raises OSError."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, sock_fd)
    try:
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _struct.pack("i", fd))]
        sock.sendmsg([payload], ancillary, _socket.MSG_NOSIGNAL)
    finally:
        sock.detach()
