"""The signals by which an engine notices that its guest trapped."""

import _ctypes

from pyruntime.engine.cdata import RTLD_NOW, Function, Int32, Pointer, buffer

_FAULTS = (4, 7, 8, 11)  # SIGILL, SIGBUS, SIGFPE, SIGSEGV: how the engine notices most traps
_SIGACTION_SIZE = 256  # struct sigaction of glibc and musl has 152 bytes


class FaultHandlers:
    """The process's actions for the signals a trapping guest raises, to be put back after a reset of all signals.

    The engine installs them once per process and forked children inherit them, but a runtime that clears every
    disposition on its way to execve(2) takes them away.
    """

    def __init__(self, more: "tuple[int, ...]" = ()) -> None:
        """Remember the actions now in force, also of the signals in `more`."""
        libc = _ctypes.dlopen(None, RTLD_NOW)  # type: ignore[arg-type]
        self._sigaction = Function(_ctypes.dlsym(libc, "sigaction"))
        self._sigaction.argtypes = (Int32, Pointer, Pointer)
        self._saved = [(number, buffer(bytes(_SIGACTION_SIZE))) for number in (*_FAULTS, *more)]
        for number, action in self._saved:
            self._sigaction(number, None, action)

    def restore(self) -> None:
        """Put the remembered actions in force; makes system calls only."""
        for number, action in self._saved:
            self._sigaction(number, action, None)
