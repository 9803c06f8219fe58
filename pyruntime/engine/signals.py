"""End a process that is busy inside a guest when a signal asks it to.

Python runs a signal's handler only between two bytecodes of the main thread, and that thread is in the engine. The
default action does not help either: the kernel drops it for PID 1 of a PID namespace (pid_namespaces(7)). So the
C-level handler writes the signal's number into a pipe, and a thread that reads it ends the process.
"""

import _signal
import _thread
import posix as os

from pyruntime.errors import Error

ENDING = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM)


def exit_on_signals() -> None:
    """From now on the signals in ENDING end this process with status 128 + number, within milliseconds.

    Only for a process that forks no more, as it starts a thread. Raises Error when the thread cannot be started.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    _signal.set_wakeup_fd(writer)
    for number in ENDING:
        _signal.signal(number, _noted)
    # Here they stay blocked, and in the engine's threads, which inherit it: else a guest that waits would see EINTR.
    _signal.pthread_sigmask(_signal.SIG_BLOCK, ENDING)
    try:
        _thread.start_new_thread(_wait, (reader,))
    except RuntimeError as error:
        raise Error(f"{error}: a Wasm container needs room for threads; raise linux.resources.pids.limit") from None


def _noted(number: int, frame: object) -> None:
    """Does nothing: it is there so that the interpreter's C handler is installed, which writes to the pipe."""


def _wait(reader: int) -> None:
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, ENDING)
    while True:
        # _exit in a thread ends the whole process (exit_group(2)), also one that is blocked in a host call.
        for number in os.read(reader, 1):
            if number in ENDING:
                os._exit(128 + number)
