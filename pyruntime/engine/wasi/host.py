"""Host functions in Python: one callback for all of them, and a table of resources for each call into a guest.

A function is `function(call, *arguments)`, where `call` is what was given to `Host.entered`: one call into a guest,
which runs in one thread from beginning to end.
"""

import _thread

from pyruntime.engine.binding import check
from pyruntime.engine.cdata import cell
from pyruntime.engine.wasi.binding import VALUE_SIZE, Callback, Destructor
from pyruntime.engine.wasi.values import Reader, Shape, Shapes, Writer
from pyruntime.errors import Error, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyruntime.engine.base import Guest
    from pyruntime.engine.binding import Library


class GuestEnd(Exception):
    """Raised by a host function to end the guest; the call into it fails, and whoever made it knows why."""


class Call:
    """One call into a guest: what the container gives to it, the resources it holds, and the store it runs in."""

    def __init__(self, guest: "Guest") -> None:
        self.guest = guest
        self.context = 0
        self.end: "GuestEnd | None" = None  # why a host function ended the guest
        self.resources: "dict[int, Any]" = {}
        self._next = 1

    def hold(self, thing: object) -> int:
        """Put a resource into the table; its number there is what the library keeps."""
        number = self._next
        self._next += 1
        self.resources[number] = thing
        return number

    def drop(self, number: int) -> None:
        """The guest has dropped a resource."""
        thing = self.resources.pop(number, None)
        dropped = getattr(thing, "dropped", None)
        if dropped is not None:
            dropped()

    def end_all(self) -> None:
        """The instance is gone, and with it whatever it held."""
        for number in list(self.resources):
            self.drop(number)


class _Function:
    __slots__ = ("name", "run", "shape", "shaped")

    def __init__(self, name: str, run: "Callable[..., Any]") -> None:
        self.name = name
        self.run = run
        self.shape: "Shape | None" = None
        self.shaped = False


class Host:
    """Defines functions and resources in a linker, and answers when a guest calls."""

    def __init__(self, library: "Library", linker: int) -> None:
        self._library = library
        self._linker = linker
        self._functions: "list[_Function]" = []
        self._calls: "dict[int, Call]" = {}
        self._shapes = Shapes(library)
        self._callback = Callback(self._answer)  # these two are kept: the library holds their addresses only
        self._destructor = Destructor(self._dropped)

    def define(self, interface: str, functions: "dict[str, Callable[..., Any]]", resources: "dict[str, int]") -> None:
        """Define an imported instance: its functions, and its resources by their numbers. Raises Error."""
        library = self._library
        name, root, instance = interface.encode(), library.wasmtime_component_linker_root(self._linker), cell()
        error = library.wasmtime_component_linker_instance_add_instance(root, name, len(name), instance)
        check(library, error, interface)
        for member, number in resources.items():
            self._define_resource(instance[0], member.encode(), number)
        for member, function in functions.items():
            self._define_function(instance[0], member.encode(), _Function(f"{interface}#{member}", function))
        library.wasmtime_component_linker_instance_delete(instance[0])
        library.wasmtime_component_linker_instance_delete(root)

    def _define_resource(self, instance: int, name: bytes, number: int) -> None:
        library = self._library
        of = library.wasmtime_component_resource_type_new_host(number)
        error = library.wasmtime_component_linker_instance_add_resource(
            instance, name, len(name), of, self._destructor, None, None
        )
        check(library, error, name.decode())

    def _define_function(self, instance: int, name: bytes, function: _Function) -> None:
        library, index = self._library, len(self._functions)
        self._functions.append(function)
        error = library.wasmtime_component_linker_instance_add_func(
            instance, name, len(name), self._callback, index, None
        )
        check(library, error, function.name)

    def enter(self, call: Call, context: int) -> None:
        """From now on, calls of host functions in this thread belong to `call`."""
        call.context = context
        self._calls[_thread.get_ident()] = call

    def leave(self) -> None:
        """The guest that was entered in this thread runs no more."""
        self._calls.pop(_thread.get_ident(), None)

    def _answer(
        self, data: "int | None", context: int, of: int, arguments: int, count: int, results: int, expected: int
    ) -> "int | None":
        function = self._functions[data or 0]
        call = self._calls[_thread.get_ident()]
        try:
            reader = Reader(lambda at: self._resource(call, context, at))
            values = [reader.read(arguments + VALUE_SIZE * index) for index in range(count)]
            answer = function.run(call, *values)
            if expected:
                self._write(call, context, function, of, answer, results)
        except GuestEnd as end:
            call.end = end
            return self._error(str(end))
        except Exception as error:
            # An exception here would be printed with a traceback by the interpreter, and the guest would go on.
            return self._error(f"{function.name}: {type(error).__name__}: {error}")
        return None

    def _write(self, call: Call, context: int, function: _Function, of: int, answer: object, results: int) -> None:
        if not function.shaped:
            function.shape, function.shaped = self._shapes.of_result(of), True
        if function.shape is not None:
            Writer(self._library, lambda thing: self.own(call, context, thing)).write(function.shape, answer, results)

    def _error(self, text: str) -> int:
        return int(self._library.wasmtime_error_new(one_line(text).encode("utf-8", "replace")))

    def _dropped(self, data: "int | None", context: int, number: int) -> "int | None":
        try:
            call = self._calls.get(_thread.get_ident())
            if call is not None:
                call.drop(number)
        except Exception as error:
            return self._error(f"a resource: {type(error).__name__}: {error}")
        return None

    def _resource(self, call: Call, context: int, of: int) -> "Any":
        """What a resource in the arguments stands for; one that is handed over leaves the table."""
        library, host = self._library, cell()
        check(library, library.wasmtime_component_resource_any_to_host(context, of, host), "a resource")
        number = library.wasmtime_component_resource_host_rep(host[0])
        owned = library.wasmtime_component_resource_host_owned(host[0])
        library.wasmtime_component_resource_host_delete(host[0])
        if number not in call.resources:
            raise Error(f"no resource {number}")
        return call.resources.pop(number) if owned else call.resources[number]

    def own(self, call: Call, context: int, thing: "Any") -> int:
        """Hand a resource over to the guest: the pointer to a wasmtime_component_resource_any_t."""
        library, anything = self._library, cell()
        host = library.wasmtime_component_resource_host_new(True, call.hold(thing), thing.RESOURCE)
        error = library.wasmtime_component_resource_host_to_any(context, host, anything)
        library.wasmtime_component_resource_host_delete(host)
        check(library, error, "a resource")
        return int(anything[0])
