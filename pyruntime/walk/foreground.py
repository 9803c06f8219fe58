"""Waiting for a container or an exec in the foreground: signals are forwarded, terminals and pipes copied."""

import _signal
import posix as os
import select

from pyruntime.kernel import tty
from pyruntime.kernel.pidfd import pidfd_open, pidfd_send_signal
from pyruntime.kernel.process import exit_status
from pyruntime.walk.walker import Walker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NOT_FORWARDED = (_signal.SIGCHLD, _signal.SIGURG, _signal.SIGWINCH)
_UNCATCHABLE = (_signal.SIGKILL, _signal.SIGSTOP, 32, 33)
_FAULTS = (_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL, _signal.SIGABRT, _signal.SIGPIPE)
_CHUNK = 65536
_DRAIN = 100  # milliseconds that late output of a dead container is waited for


class _Copy:
    """One direction of bytes: read from `source`, keep what `sink` does not take yet."""

    def __init__(self, source: int, sink: int, close_sink: bool) -> None:
        self.source = source
        self.sink = sink
        self.close_sink = close_sink
        self.data = b""
        self.open = True

    def fill(self) -> None:
        try:
            chunk = os.read(self.source, _CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last process has closed the terminal
            chunk = b""
        self.data += chunk
        if not chunk:
            self.open = False
            if not self.data:
                self._end()

    def drain(self) -> None:
        if not self.data:
            return
        try:
            self.data = self.data[os.write(self.sink, self.data) :]
        except BlockingIOError:
            return
        except OSError:  # the reader is gone: what is left has no place to go
            self.data = b""
            self.open = False
        if not self.open and not self.data:
            self._end()

    def _end(self) -> None:
        if self.close_sink:
            self.close_sink = False
            os.close(self.sink)


class Foreground:
    """One foreground process: its pid and pidfd, the bytes to copy, our terminal's settings."""

    def __init__(self, walker: Walker) -> None:
        self.pid = walker.values["init_pid"]
        self.pidfd = pidfd_open(self.pid)
        self.status: "int | None" = None
        self.master = walker.fds.get("master")
        self.copies: "list[_Copy]" = []
        self.saved: "bytes | None" = None
        self.watched: "dict[int, Callable[[], object]]" = {}
        self.wake, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in range(1, _signal.NSIG):
            if number not in _UNCATCHABLE and number not in _FAULTS:
                _signal.signal(number, _noted)
        for number in walker.signals:
            self._forward(number)
        if self.master is not None:
            self._take_terminal(self.master)
        else:
            self._take_pipes(walker)

    def _take_terminal(self, master: int) -> None:
        if os.isatty(0):
            self.saved = tty.set_raw(0)
            tty.copy_size(0, master)
        self.copies = [_Copy(0, master, False), _Copy(master, 1, False)]

    def _take_pipes(self, walker: Walker) -> None:
        """The ends of the pipes that stand between the container and a terminal of ours."""
        for fd in (0, 1, 2):
            end = walker.fds.get(f"pipe:{fd}")
            if end is not None:
                self.copies.append(_Copy(0, end, True) if fd == 0 else _Copy(end, fd, False))

    def attend(self) -> int:
        """Until the process has ended and its output is written; returns the exit status as a shell has it."""
        try:
            while self.status is None:
                self._turn(None)
            while self._output_left() and self._turn(_DRAIN):
                continue
        finally:
            if self.saved is not None:
                tty.restore(0, self.saved)
        return exit_status(self.status)

    def _output_left(self) -> bool:
        return any((copy.open or copy.data) and copy.source > 2 for copy in self.copies)

    def _turn(self, timeout: "int | None") -> bool:
        """One round of poll; False when nothing happened in `timeout` milliseconds."""
        poller = select.poll()
        poller.register(self.wake, select.POLLIN)
        if self.status is None:
            poller.register(self.pidfd, select.POLLIN)
        for fd in self.watched:
            poller.register(fd, select.POLLIN)
        for copy in self.copies:
            self._register(poller, copy)
        happened = poller.poll(timeout)
        ready = dict(happened)
        if self.wake in ready:
            self._signals()
        for fd, act in self.watched.items():
            if fd in ready:
                act()
        if self.pidfd in ready:
            self._reap()
        for copy in self.copies:
            if copy.data and ready.get(copy.sink, 0):
                copy.drain()
            elif copy.open and not copy.data and ready.get(copy.source, 0):
                copy.fill()
                copy.drain()
        return bool(happened)

    def _register(self, poller: "select.poll", copy: _Copy) -> None:
        if copy.data:
            poller.register(copy.sink, select.POLLOUT)
        elif copy.open and not (copy.source == 0 and self.status is not None):
            poller.register(copy.source, select.POLLIN)

    def _signals(self) -> None:
        for number in os.read(self.wake, 256):
            if number == _signal.SIGCHLD:
                self._reap()
            elif number == _signal.SIGWINCH:
                if self.master is not None:
                    tty.copy_size(0, self.master)
            elif number not in _NOT_FORWARDED and self.status is None:
                self._forward(number)

    def _forward(self, number: int) -> None:
        try:
            pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def _reap(self) -> None:
        """Collect every child that has ended: as a subreaper we inherit the container's orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.pid:
                self.status = status


def _noted(number: int, frame: object) -> None:
    """Nothing to do here: the number is in the wake-up pipe."""


def attend(walker: Walker, watched: "dict[int, Callable[[], object]] | None" = None) -> int:
    """Stay with the process a walk has started until it ends; returns its exit status, 128 plus a signal's number.

    `watched`: descriptors with what is to be done whenever one can be read.
    """
    foreground = Foreground(walker)
    foreground.watched = watched or {}
    return foreground.attend()
