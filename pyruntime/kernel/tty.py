"""Terminals: pty(7), ioctl_tty(2). The peer of a pty is taken from its master by TIOCGPTPEER, never opened by name."""

import _struct
import fcntl
import posix as os

from pyruntime.errors import Error
from pyruntime.kernel.paths import open_in_root

_TIOCSPTLCK, _TIOCGPTPEER, _TIOCSWINSZ, _TIOCGWINSZ, _TIOCSCTTY = 0x40045431, 0x5441, 0x5414, 0x5413, 0x540E
_TCGETS, _TCSETS = 0x5401, 0x5402
_ONLCR = 0x4
_S_IFMT, _S_IFCHR = 0o170000, 0o020000
_PTMX = os.makedev(5, 2)
_FIRST_SLAVE, _LAST_SLAVE = 136, 143  # majors of /dev/pts/*, admin-guide/devices.txt


def open_pty(root_fd: int) -> "tuple[int, int]":
    """A new pty of the devpts mounted in the root, as (master, slave) descriptors. Raises OSError; Error for another
    file at /dev/ptmx: a filesystem of the container's own could answer with any number, of the caller's terminal too.

    ONLCR is cleared on the slave, as engines expect: they see the program's line ends as written.
    """
    master = open_in_root(root_fd, "/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    try:
        if not _is_ptmx(master):
            raise Error("/dev/ptmx of the container is not the character device 5:2; mount a devpts beside it")
        fcntl.ioctl(master, _TIOCSPTLCK, _struct.pack("i", 0))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        if not _is_slave(slave):
            raise Error("/dev/ptmx of the container gave a terminal that is none of a devpts")
    except (OSError, Error):
        os.close(master)
        raise
    settings = bytearray(fcntl.ioctl(slave, _TCGETS, bytes(60)))
    flags = _struct.unpack_from("I", settings, 4)[0]
    _struct.pack_into("I", settings, 4, flags & ~_ONLCR)
    fcntl.ioctl(slave, _TCSETS, bytes(settings))
    return master, slave


def _is_ptmx(fd: int) -> bool:
    found = os.fstat(fd)
    return found.st_mode & _S_IFMT == _S_IFCHR and found.st_rdev == _PTMX


def _is_slave(fd: int) -> bool:
    found = os.fstat(fd)
    return found.st_mode & _S_IFMT == _S_IFCHR and _FIRST_SLAVE <= os.major(found.st_rdev) <= _LAST_SLAVE


def set_size(fd: int, rows: int, columns: int) -> None:
    """Set a terminal's size in characters. Raises OSError."""
    fcntl.ioctl(fd, _TIOCSWINSZ, _struct.pack("4H", rows, columns, 0, 0))


def copy_size(source: int, target: int) -> None:
    """Give one terminal the size of another; without effect when the source is none or does not know its own."""
    try:
        size = fcntl.ioctl(source, _TIOCGWINSZ, bytes(8))
        if any(size):
            fcntl.ioctl(target, _TIOCSWINSZ, size)
    except OSError:
        return


def make_controlling(fd: int) -> None:
    """Make the terminal the session leader's controlling terminal. Raises OSError."""
    fcntl.ioctl(fd, _TIOCSCTTY, 0)


def set_raw(fd: int) -> "bytes":
    """Put a terminal in raw mode (cfmakeraw(3)); returns the settings `restore` takes. Raises OSError."""
    before: bytes = fcntl.ioctl(fd, _TCGETS, bytes(60))
    settings = bytearray(before)
    iflag, oflag, cflag, lflag = _struct.unpack_from("4I", settings)
    iflag &= ~(
        0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x80 | 0x100 | 0x400
    )  # IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
    oflag &= ~0x1  # OPOST
    lflag &= ~(0x1 | 0x2 | 0x8 | 0x40 | 0x8000)  # ISIG ICANON ECHO ECHONL IEXTEN
    cflag = cflag & ~(0x30 | 0x100) | 0x30  # CSIZE PARENB; CS8
    _struct.pack_into("4I", settings, 0, iflag, oflag, cflag, lflag)
    settings[17 + 5], settings[17 + 6] = 0, 1  # VTIME, VMIN: a read returns with the first byte
    fcntl.ioctl(fd, _TCSETS, bytes(settings))
    return before


def restore(fd: int, settings: bytes) -> None:
    """Give a terminal the settings `set_raw` returned. Raises OSError."""
    fcntl.ioctl(fd, _TCSETS, settings)
