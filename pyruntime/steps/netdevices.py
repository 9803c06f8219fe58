"""The step of `linux.netDevices`."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import links
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyruntime.walk.walker import Walker

_HINTS = {
    17: "a device of that name is in the container's network namespace already; give another name, or one with %d",
    19: "ip link lists the devices of this network namespace",
    22: "the kernel does not move devices of this kind",
}


class MoveNetDevices(Step):
    """Move network devices of the host into the container's network namespace. They are never moved back: that is the
    business of whoever owns the namespace, and of the kernel when it ends.
    """

    lane = HOST

    def __init__(self, because: str, devices: "list[tuple[str, str]]", load: "Callable[[], Any]") -> None:
        """`devices`: (name here, name there); `load` gives pyroute2."""
        super().__init__(because)
        self.devices = devices
        self.load = load

    def describe(self) -> str:
        named = ", ".join(name if name == new else f"{name} as {new}" for name, new in self.devices)
        return f"move into the network namespace, with lasting addresses: {named}"

    def run(self, walker: "Walker") -> None:
        ns_fd = os.open(f"/proc/{walker.values['init_pid']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        move = links.Move(self.load(), ns_fd)
        try:
            for act in (move.check, move.go):  # one that can't be moved must not cost another its addresses
                self._each(act)
        finally:
            move.close()
            os.close(ns_fd)

    def _each(self, act: "Callable[[str, str], None]") -> None:
        for name, new_name in self.devices:
            try:
                act(name, new_name)
            except OSError as error:
                hint = f"; {_HINTS[error.errno]}" if error.errno in _HINTS else ""
                subject = error.filename or name
                raise Error(f'{self.because}["{name}"]: {subject}: {reason(error)}{hint}') from None
