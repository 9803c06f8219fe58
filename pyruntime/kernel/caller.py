"""What execve(2) laid out for our own command, in a process that becomes something else without another execve."""

import _struct
import posix as os
import sys

from pyruntime.kernel.syscall import function, memory, pointer, symbol, syscall

_PR_SET_NAME = 15
_NAME = 15  # bytes of a process's name


def become(words: "list[bytes]") -> None:
    """Let /proc/PID/cmdline show these words, as far as there is room, comm the first one's name, environ nothing.

    The room is that of our own command line, which is overwritten, as is the environment; zero bytes fill the rest,
    for only CAP_SYS_RESOURCE may move their ends (proc(5), PR_SET_MM). Raises OSError where the C library does not tell
    where they lie.
    """
    start, end = _arguments()
    text = b"\0".join(words)[: end - start - 1] + b"\0"
    memory(start, end - start).raw = text + bytes(end - start - len(text))
    first, last = _environment()
    if last > first:
        memory(first, last - first).raw = bytes(last - first)
    os.environ.clear()
    syscall("prctl", _PR_SET_NAME, words[0].rpartition(b"/")[2][:_NAME], 0, 0, 0)


def _arguments() -> "tuple[int, int]":
    """Where the command line begins and ends."""
    start = _pointer_at(symbol("program_invocation_name"))
    return start, start + sum(len(word.encode("utf-8", "surrogateescape")) + 1 for word in sys.orig_argv)


def _environment() -> "tuple[int, int]":
    """Where the environment begins and ends: its strings lie one after the other."""
    entries = _pointer_at(symbol("environ"))
    first = last = _pointer_at(entries) if entries else 0
    while entries and _pointer_at(entries) == last != 0:
        last += int(function("strlen")(pointer(last))) + 1
        entries += 8
    return first, last


def _pointer_at(address: int) -> int:
    return int(_struct.unpack("P", bytes(memory(address, 8)))[0])
