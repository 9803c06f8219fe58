"""A component that serves HTTP: each request in an instance of its own, which a trap ends and nothing else."""

import _thread
import posix as os
import time

from pyruntime.engine import base
from pyruntime.engine.binding import check
from pyruntime.engine.cdata import address, buffer
from pyruntime.engine.component import Loaded, Running
from pyruntime.engine.faults import FaultHandlers
from pyruntime.engine.permissions import ADDRESS
from pyruntime.engine.wasi import cli, http, io, server
from pyruntime.engine.wasi.binding import FUNCTION, OF, RESOURCE, VALUE_SIZE
from pyruntime.engine.wasi.host import Call, Host
from pyruntime.engine.wasi.outgoing import handle as outgoing
from pyruntime.engine.wasi.values import RESOURCE as RESOURCE_VALUE
from pyruntime.engine.wasi.values import store_word
from pyruntime.engine.wasi.world import HANDLER
from pyruntime.errors import Error, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_TICK = 0.05  # seconds between two epochs, of which a request with a time limit is given as many as it needs

FUNCTIONS: "dict[str, dict[str, Callable[..., Any]]]" = {
    **io.FUNCTIONS,
    **cli.FUNCTIONS,
    "wasi:http/types": http.TYPES,
    "wasi:http/outgoing-handler": {"handle": outgoing},
}
RESOURCES = {**io.RESOURCES, **cli.RESOURCES, **http.RESOURCES}


class RequestCall(Call):
    """The handling of one request; `guest` is what the container gives to each."""

    def __init__(self, guest: base.Guest) -> None:
        super().__init__()
        self.guest = guest

    def end_all(self) -> None:
        """The instance is gone, and with it whatever it held."""
        for number in list(self.resources):
            self.drop(number)


class Service:
    """A linked component that handles requests; see base.Module."""

    engine = "wasmtime"
    times_itself = True

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._handler = loaded.world.exported(HANDLER)
        loaded.world.function(self._handler, "handle")
        self._linker = self._link()
        self._faults = FaultHandlers()
        self._guest = base.Guest([], [])

    def _link(self) -> int:
        loaded, library = self._loaded, self._loaded.library
        linker: int = library.wasmtime_component_linker_new(loaded.engine)
        self._host = Host(library, linker)
        for name, members in loaded.world.imports.items():
            self._define(name, members)
        # What has no function here cannot be reached: there is no file and no socket to call it with.
        error = library.wasmtime_component_linker_define_unknown_imports_as_traps(linker, loaded.component)
        check(library, error, "the component cannot be linked")
        return linker

    def _define(self, name: str, members: "dict[str, tuple[int, int]]") -> None:
        interface = name.partition("@")[0]
        known = FUNCTIONS.get(interface, {})
        functions = {
            member: known[member] for member, (kind, _) in members.items() if kind == FUNCTION and member in known
        }
        resources = {member: RESOURCES[member] for member, (kind, _) in members.items() if kind == RESOURCE}
        self._host.define(name, functions, resources)

    def start(self, guest: base.Guest) -> int:
        """Serve until a signal ends the process; see base.Module."""
        self._faults.restore()
        self._guest = guest
        network = guest.network or base.Network()
        listeners = [server.inherited(fd) for fd in network.listeners] or [server.listen(network.http or ADDRESS)]
        if guest.limits.seconds is not None:
            _thread.start_new_thread(self._tick, ())
        server.serve(listeners, self._handle)
        return 0

    def _tick(self) -> None:
        while True:
            time.sleep(_TICK)
            self._loaded.library.wasmtime_engine_increment_epoch(self._loaded.engine)

    def _handle(self, request: http.IncomingRequest, outparam: http.Outparam) -> None:
        """Handle one request. What goes wrong is told on stderr, and to the client by who reads `outparam`."""
        running = Running(self._loaded, self._linker, self._guest.limits)
        call = RequestCall(self._guest)
        self._limit_time(running)
        self._host.enter(call, running.context)
        try:
            running.instantiate()
            self._call(running, call, request, outparam)
        except Error as error:
            if not isinstance(call.end, cli.Exited) or call.end.status:
                _complain(request, call, error)
        finally:
            call.end_all()
            self._host.leave()
            running.close()

    def _limit_time(self, running: Running) -> None:
        seconds = self._guest.limits.seconds
        if seconds is not None:
            # The epoch that is under way counts for nothing.
            ticks = int(seconds / _TICK) + 2
            running.library.wasmtime_context_set_epoch_deadline(running.context, ticks)

    def _call(self, running: Running, call: Call, request: http.IncomingRequest, outparam: http.Outparam) -> None:
        arguments = buffer(bytes(2 * VALUE_SIZE))
        at = address(arguments)
        for place, thing in ((at, request), (at + VALUE_SIZE, outparam)):
            store_word(place + OF, self._host.own(call, running.context, thing))
            arguments[place - at] = bytes((RESOURCE_VALUE,))
        try:
            running.call(self._handler, "handle", arguments, 2)
        finally:
            for place in (at, at + VALUE_SIZE):
                running.library.wasmtime_component_val_delete(place)


def _complain(request: http.IncomingRequest, call: Call, error: Error) -> None:
    what = "trap" if isinstance(error, base.TrapError) and call.end is None else "error"
    text = f"wasm {what}: {request.method_text} {request.path}: {call.end or error}"
    lines = "".join(one_line(line) + "\n" for line in text.split("\n"))
    try:
        os.write(2, lines.encode("utf-8", "backslashreplace"))
    except OSError:
        return  # stderr is closed or full: the client has its answer
