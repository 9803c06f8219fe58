"""sd_notify(3): datagrams that tell a service manager how a service is doing."""

import _socket
import _struct
import posix as os
import select

_LARGEST = 65536


def listen(directory: int, name: str) -> int:
    """Bind a datagram socket that everybody may write to; returns its descriptor. Raises OSError.

    `directory` is the descriptor of the folder, whose path may be longer than the 107 bytes of a socket's address.
    """
    path = f"/proc/self/fd/{directory}/{name}"
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    sock.bind(path.encode())
    os.chmod(path, 0o777)
    return sock.detach()


def receive(fd: int) -> bytes:
    """The next message, b"" if there is none now. Raises OSError."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM, 0, fd)
    try:
        return sock.recv(_LARGEST, _socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""
    finally:
        sock.detach()


def send(address: bytes, message: bytes, fd: "int | None" = None) -> None:
    """Send one message, maybe with a descriptor, to a path or an abstract address (`@name`). Raises OSError."""
    where = b"\0" + address[1:] if address.startswith(b"@") else address
    ancillary = [] if fd is None else [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _struct.pack("i", fd))]
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        sock.sendmsg([message], ancillary, _socket.MSG_NOSIGNAL, where)
    finally:
        sock.close()


def barrier(address: bytes, milliseconds: int) -> None:
    """sd_notify_barrier(3): wait until the manager has read what was sent, or the time is over. Raises OSError."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        send(address, b"BARRIER=1", writer)
        os.close(writer)
        writer = -1
        poller = select.poll()
        poller.register(reader, 0)
        poller.poll(milliseconds)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
