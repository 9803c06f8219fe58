"""A run-time limit for engines that have none of their own, or only one that slows every guest down."""

import _thread
import posix as os
import time

from pyruntime.engine.base import TRAPPED
from pyruntime.errors import Error


def end_after(seconds: "float | None") -> None:
    """End this process `seconds` from now, as a trap does: one line on stderr, status TRAPPED. None is no limit.

    Only for a process that forks no more and whose engine lets go of the interpreter lock while the guest runs.
    Raises Error when the thread that waits cannot be started.
    """
    if seconds is None:
        return
    try:
        _thread.start_new_thread(_end, (seconds,))
    except RuntimeError as error:
        raise Error(f"{error}: a run-time limit needs room for a thread; raise linux.resources.pids.limit") from None


def _end(seconds: float) -> None:
    time.sleep(seconds)
    try:
        os.write(2, f"wasm trap: interrupted: it ran longer than {seconds:g} s\n".encode())
    except OSError:
        pass  # stderr is closed or full: the exit status still tells
    os._exit(TRAPPED)
