"""pidfd_open(2), Linux 5.3, and pidfd_send_signal(2), Linux 5.1.

Python's own where it has them; by their numbers where it was built against an older C library, as those builds are
that are meant to run on every distribution.
"""

try:
    from _signal import pidfd_send_signal
    from posix import pidfd_open
except ImportError:
    from pyruntime.kernel.syscall import syscall

    def pidfd_open(pid: int, flags: int = 0) -> int:
        """A descriptor of a process; close-on-exec. Raises OSError (ESRCH)."""
        return syscall("pidfd_open", pid, flags)

    def pidfd_send_signal(pidfd: int, signalnum: int, siginfo: None = None, flags: int = 0) -> None:
        """kill(2) by descriptor. Raises OSError (ESRCH, EPERM)."""
        syscall("pidfd_send_signal", pidfd, signalnum, 0, flags)


__all__ = ["pidfd_open", "pidfd_send_signal"]
