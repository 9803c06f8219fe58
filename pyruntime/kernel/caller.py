"""What execve(2) laid out for our own command, in a process that becomes something else without another execve."""

import _struct
import posix as os

from pyruntime.kernel.syscall import function, memory, pointer, symbol, syscall

_PR_SET_NAME = 15
_NAME = 15  # bytes


def forget_environment() -> None:
    """Overwrite with zero bytes what /proc/PID/environ shows: proc(5). Raises OSError where libc has no `environ`."""
    entries = _pointer_at(symbol("environ"))
    first = last = _pointer_at(entries) if entries else 0
    while entries and _pointer_at(entries) == last != 0:  # they lie one after the other, but for those set later
        last += int(function("strlen")(pointer(last))) + 1
        entries += 8
    if last > first:
        memory(first, last - first).raw = bytes(last - first)
    os.environ.clear()


def set_name(path: bytes) -> None:
    """Call this thread as execve of a path would: PR_SET_NAME of prctl(2)."""
    syscall("prctl", _PR_SET_NAME, path.rpartition(b"/")[2][:_NAME], 0, 0, 0)


def _pointer_at(address: int) -> int:
    return int(_struct.unpack("P", bytes(memory(address, 8)))[0])
