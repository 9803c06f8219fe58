"""The descriptors a caller left open: those it asked to pass on are kept, the rest are closed before anything else."""

import fcntl
import posix as os

from pyruntime.errors import Error
from pyruntime.kernel.process import close_above, close_range


def listen_fds() -> int:
    """How many sockets a service manager passed to us (sd_listen_fds(3)); 0 unless they are meant for this pid."""
    try:
        if int(os.environ.get(b"LISTEN_PID", b"")) == os.getpid():
            return max(0, int(os.environ.get(b"LISTEN_FDS", b"0")))
    except ValueError:
        pass
    return 0


def named(path: str) -> int:
    """The descriptor that a path such as /dev/fd/63 stands for, as a shell writes it for <(COMMAND); -1 for none."""
    for folder in ("/dev/fd/", "/proc/self/fd/"):
        number = path[len(folder) :]
        if path.startswith(folder) and number.isascii() and number.isdigit() and len(number) < 10:
            return int(number)
    return -1


def close_leaked(preserve: int, spare: int = -1) -> None:
    """Close every descriptor above stderr but those to pass on, and mark these close-on-exec until the last moment.

    `spare` stays open too: the caller closes it. Raises Error that names the first one to pass on that is not open.
    """
    if preserve < 0:
        raise Error(f"--preserve-fds {preserve}: expected a number of descriptors, 0 or more")
    listening = listen_fds()
    last = 2 + listening + preserve
    for fd in range(3, last + 1):
        try:
            fcntl.fcntl(fd, fcntl.F_GETFD)
        except (OSError, OverflowError):
            asked = f"--preserve-fds {preserve}" if fd > 2 + listening else f"LISTEN_FDS={listening}"
            raise Error(f"{asked}: descriptor {fd} is not open") from None
    if last > 2:
        close_range(3, last, mark_only=True)
    if spare > last:
        if spare > last + 1:
            close_range(last + 1, spare - 1)
        last = spare
    close_above(last)
