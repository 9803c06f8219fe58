"""The one thing done to a network namespace here: the loopback device up, by two ioctls (netdevice(7))."""

import _socket
import _struct
import fcntl

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def loopback_up() -> None:
    """Bring `lo` of the current network namespace up. Raises OSError."""
    control = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        request = _struct.pack("16sH22x", b"lo", 0)
        answer = fcntl.ioctl(control.fileno(), _SIOCGIFFLAGS, request)
        flags = _struct.unpack("16sH22x", answer)[1]
        fcntl.ioctl(control.fileno(), _SIOCSIFFLAGS, _struct.pack("16sH22x", b"lo", flags | _IFF_UP))
    finally:
        control.close()
