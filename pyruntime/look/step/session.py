"""The walk, in a child of ours that asks before every step of either lane.

The one who asks is the command or the process that becomes the container; both hold one end of a socketpair, on which
the number of the step goes up and one letter comes down. The kernel adds the sender's pid, in our terms.
"""

import os
import socket
import struct
import sys
from collections.abc import Callable

from pyruntime.errors import Error
from pyruntime.kernel.process import exit_status, set_child_subreaper, set_dumpable
from pyruntime.look.step.whatif import Change
from pyruntime.steps.base import HOST, Step
from pyruntime.steps.guestfilter import FilterGuest
from pyruntime.steps.program import Execve, PassDescriptors
from pyruntime.steps.seccomp import LoadSeccomp
from pyruntime.steps.wasm import EnterModule
from pyruntime.walk.walker import Walker

GO, QUIT = b"g", b"q"
LEFT = "left at a stop"
_SLOT = "stop"
_CREDENTIALS = struct.Struct("3i")
_FILTERS = (LoadSeccomp, FilterGuest)
_LAST = (*_FILTERS, Execve, EnterModule)


class Stop:
    """The walk stands before step `index`; `pid` is who is going to do it."""

    def __init__(self, index: int, step: Step, pid: int) -> None:
        self.index = index
        self.step = step
        self.pid = pid


class Session:
    """Watches a walk: `decide` is called at every stop and says whether to go on."""

    def __init__(self, decide: "Callable[[list[Step], Stop], bool]", change: "Change | None") -> None:
        self.decide = decide
        self.change = change
        self.left = False
        self._ordinary = os.geteuid() != 0  # asked here: in a user namespace of its own, init is uid 0
        self._silent = 1 << 30

    def watch(self, walker: Walker) -> None:
        """Fork: the child goes on with the walk, we attend to its stops and end with its exit status."""
        if self.change is not None:
            sys.stdout.write(f"what if: {self.change.name}. {self.change.apply(walker.steps)}.\n")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            ours.close()
            self._walk(walker, theirs)
            return
        theirs.close()
        try:
            self._attend(walker.steps, ours)
        finally:  # after an interrupt as well: at the end of our socket the walk takes everything back
            ours.close()
            _, status = os.waitpid(child, 0)
        sys.stdout.flush()
        os._exit(0 if self.left else exit_status(status))

    def _walk(self, walker: Walker, end: socket.socket) -> None:
        """In the child: ask at every step from now on, as long as that can be done."""
        set_child_subreaper()
        if self.change is not None:
            self.change.enter()
        walker.fds[_SLOT] = end.detach()
        for index, step in enumerate(walker.steps):
            if isinstance(step, PassDescriptors):
                step.slots = (*step.slots, _SLOT)
            if isinstance(step, _FILTERS):  # under the container's filter a question could be the end
                self._silent = index + 1
        walker.trace = lambda index, step: self._ask(walker, index, step)

    def _ask(self, walker: Walker, index: int, step: Step) -> None:
        if index >= self._silent:
            return
        own = step.lane != HOST and self._ordinary
        if own:  # else its user, who is not root, could not look at it
            set_dumpable(True)
        fd = walker.fds[_SLOT]
        os.write(fd, struct.pack("I", index))
        answer = os.read(fd, 1)
        if own and isinstance(step, _LAST):  # until then nothing runs in there, and the command's stops come in between
            set_dumpable(False)
        if answer != GO:
            raise Error(LEFT)

    def _attend(self, steps: "list[Step]", end: socket.socket) -> None:
        while True:
            data, ancillary, _, _ = end.recvmsg(4, socket.CMSG_SPACE(_CREDENTIALS.size))
            if not data:
                return
            (index,) = struct.unpack("I", data)
            pid = _CREDENTIALS.unpack(ancillary[0][2])[0]
            self.left = not self.decide(steps, Stop(index, steps[index], pid))
            end.send(QUIT if self.left else GO)
