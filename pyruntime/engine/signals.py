"""End a process that is busy inside a guest: when a signal asks for it, or when the guest's time is up.

Python runs a signal's handler only between two bytecodes of the main thread, and that thread is in the engine. The
default action does not help either: the kernel drops it for PID 1 of a PID namespace (pid_namespaces(7)). So the
C-level handler writes the signal's number into a pipe, and a thread that reads it ends the process. That needs no
support of the engine, costs the guest's code nothing, and ends a guest that waits in a host call too.
"""

import _signal
import _thread
import posix as os
import select
import time

from pyruntime.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ENDING = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM)
TIMED_OUT = 134  # as a trap: see base.TRAPPED
_LONGEST = (1 << 31) - 1  # milliseconds that poll(2) takes: 24 days
_GRACE = 0.2  # seconds that an interrupted guest has to trap; one that waits in a host call does not


def watch(seconds: "float | None", interrupt: "Callable[[], None] | None") -> None:
    """From now on the signals in ENDING end this process with status 128 + number, within milliseconds.

    After `seconds` of run time `interrupt` is called, and where that does not end the guest the process ends with
    status 134. Only for a process that forks no more, as it starts a thread. Raises Error when that cannot be started.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    _signal.set_wakeup_fd(writer)
    for number in ENDING:
        _signal.signal(number, _noted)
    # Here they stay blocked, and in the engine's threads, which inherit it: else a guest that waits would see EINTR.
    _signal.pthread_sigmask(_signal.SIG_BLOCK, ENDING)
    end = None if seconds is None else time.monotonic() + seconds
    try:
        _thread.start_new_thread(_wait, (reader, end, interrupt))
    except RuntimeError as error:
        raise Error(f"{error}: a Wasm container needs room for threads; raise linux.resources.pids.limit") from None


def _noted(number: int, frame: object) -> None:
    """Does nothing: it is there so that the interpreter's C handler is installed, which writes to the pipe."""


def _wait(reader: int, end: "float | None", interrupt: "Callable[[], None] | None") -> None:
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, ENDING)
    while True:
        if end is not None and not _readable(reader, end - time.monotonic()):
            if interrupt is None:
                _time_is_up()
            else:
                interrupt()
            interrupt, end = None, time.monotonic() + _GRACE
            continue
        # _exit in a thread ends the whole process (exit_group(2)), also one that is blocked in a host call.
        for number in os.read(reader, 1):
            if number in ENDING:
                os._exit(128 + number)


def _readable(fd: int, seconds: float) -> bool:
    """Whether something can be read before so many seconds are over, however many that are."""
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    end = time.monotonic() + seconds
    while not waiting.poll(min(max(0, int(seconds * 1000) + 1), _LONGEST)):
        seconds = end - time.monotonic()
        if seconds <= 0:
            return False
    return True


def _time_is_up() -> None:
    try:
        os.write(2, b"wasm trap: interrupted: its time is up\n")
    finally:
        os._exit(TIMED_OUT)
