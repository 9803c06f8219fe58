"""A component that serves HTTP: each request in an instance of its own, which a trap ends and nothing else."""

import _thread
import posix as os
import time

from pyruntime.engine import base
from pyruntime.engine.cdata import address, buffer
from pyruntime.engine.component import Loaded, Running, ignore_pipes
from pyruntime.engine.faults import FaultHandlers
from pyruntime.engine.permissions import ADDRESS
from pyruntime.engine.wasi import cli, http, server
from pyruntime.engine.wasi.binding import OF, VALUE_SIZE
from pyruntime.engine.wasi.host import Call
from pyruntime.engine.wasi.linking import link
from pyruntime.engine.wasi.values import RESOURCE as RESOURCE_VALUE
from pyruntime.engine.wasi.values import store_word
from pyruntime.engine.wasi.world import HANDLER
from pyruntime.errors import Error, one_line

_TICK = 0.05  # seconds between two epochs, of which a request with a time limit is given as many as it needs


class Service:
    """A linked component that handles requests; see base.Module."""

    engine = "wasmtime"
    times_itself = True

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._handler = loaded.world.exported(HANDLER)
        loaded.world.function(self._handler, "handle")
        self._linker, self._host = link(loaded)
        self._faults = FaultHandlers()
        self._guest = base.Guest([], [])

    def start(self, guest: base.Guest) -> int:
        """Serve until a signal ends the process; see base.Module."""
        self._faults.restore()
        ignore_pipes()
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
        call = Call(self._guest)
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
