"""The times of a walk, kept in memory that both lanes share until execve takes it away.

    steps    for each: begin, end                     (nanoseconds of CLOCK_MONOTONIC; 0 is not yet)
    calls    for each lane: how many, then for each: number of its name, begin, end

A system call is seen where it is made through `kernel.syscall`: namespaces, mounts, the root, capabilities, filters.
What the interpreter's own modules call (open, read, fork) is not.
"""

import _struct
import posix as os
from time import monotonic_ns

from pyruntime.kernel.syscall import NR, shared_page, watched

_PAIR, _CALL, _COUNT = 16, 24, 8
_MOST = 600  # calls that are kept of a lane; a plan of a hundred mounts makes some four hundred
_PAGE = 4096
NAMES = tuple(sorted(NR))


class Recorder:
    """Begin and end of every step of a plan, and of the system calls made on the way."""

    def __init__(self, steps: int) -> None:
        """For a plan of so many steps. Raises OSError without memory."""
        self.steps = steps
        self._lane = _COUNT + _MOST * _CALL
        self._memory = shared_page((steps * _PAIR + 2 * self._lane) // _PAGE + 1)
        self._command = os.getpid()
        watched(self._called)

    def begin(self, index: int) -> None:
        """Step `index` begins."""
        self._put("Q", index * _PAIR, monotonic_ns())

    def end(self, index: int) -> None:
        """Step `index` has ended well."""
        self._put("Q", index * _PAIR + 8, monotonic_ns())

    def times(self, index: int) -> "tuple[int, int]":
        """Begin and end of a step, 0 for what has not been."""
        begin, end = self._get("QQ", index * _PAIR)
        return begin, end

    def calls(self, lane: int) -> "list[tuple[str, int, int]]":
        """The calls of the command (0) or of init (1): name, begin, end."""
        start = self._start(lane)
        (count,) = self._get("Q", start)
        rows = [self._get("QQQ", start + _COUNT + number * _CALL) for number in range(min(count, _MOST))]
        return [(NAMES[name], begin, end) for name, begin, end in rows if end]

    def _called(self, name: str, begin: int, end: int) -> None:
        start = self._start(os.getpid() != self._command)
        (count,) = self._get("Q", start)
        if count < _MOST:
            self._put("QQQ", start + _COUNT + count * _CALL, NAMES.index(name), begin, end)
        self._put("Q", start, count + 1)

    def _start(self, lane: int) -> int:
        return self.steps * _PAIR + lane * self._lane

    def _put(self, form: str, offset: int, *values: int) -> None:
        _struct.pack_into(form, self._memory, offset, *values)

    def _get(self, form: str, offset: int) -> "tuple[int, ...]":
        return _struct.unpack_from(form, self._memory, offset)
