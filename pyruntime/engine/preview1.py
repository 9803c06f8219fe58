"""Sockets for modules of WASI preview 1 that were passed on by LISTEN_FDS: sock_accept and what goes on from there.

wasmtime's own preview 1 knows files only. Each function that takes a descriptor is put in the place of the library's:
it serves our sockets, and hands all else on. Handing on takes a small module in between, since the library's functions
find the memory to work on in the instance that calls them.

The listening sockets are descriptors 3 and following, as sd_listen_fds(3) has it; the opened directories come after.
Numbers of accepted connections begin where no file's will be.
"""

import _socket
import errno
import select
import time

from pyruntime.engine.binding import Library, check
from pyruntime.engine.cdata import Char, HostFunction, Int32, address, buffer, cell, uint32_at
from pyruntime.errors import Error, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SHAPES = {
    "wasmtime_linker_define": "PPPNPNP>P",
    "wasmtime_linker_instantiate": "PPPPP>P",
    "wasmtime_caller_context": "P>P",
    "wasmtime_caller_export_get": "PPNP>?",
    "wasmtime_memory_data": "PP>P",
    "wasmtime_memory_data_size": "PP>N",
}
WANTS = "sock_accept"
WASI = "wasi_snapshot_preview1"
# Every function here returns an errno, and takes 32-bit numbers: this many.
FUNCTIONS = {
    "fd_close": 1, "fd_fdstat_get": 2, "fd_fdstat_set_flags": 2, "fd_filestat_get": 2, "fd_prestat_get": 2,
    "fd_read": 4, "fd_write": 4, "poll_oneoff": 4, "sock_accept": 3, "sock_recv": 6, "sock_send": 5,
    "sock_shutdown": 2,
}  # fmt: skip
_FIRST = 3
_CONNECTIONS = 1 << 14  # the number of the first accepted connection: beyond those of any open file
_SLOT, _VALUE = 16, 32  # bytes of a wasmtime_val_raw_t, and of a wasmtime_val_t {kind, union}
_I32, _MEMORY_UNION = 0, 8
_SOCKET_STREAM, _NONBLOCK = 6, 4  # filetype, fdflags
_NO_DIRECTORY = 1  # a tag of prestat that says no more: C libraries look at the next descriptor
_LARGEST = 1 << 20  # bytes of one receive, or of one send
_LONGEST = (1 << 31) - 1  # milliseconds that poll(2) takes
_AGAIN, _BADF, _FAULT, _INVAL, _IO, _NOTSUP = 6, 8, 21, 28, 29, 58
_ERRNO = {
    errno.EACCES: 2, errno.EAGAIN: _AGAIN, errno.EBADF: _BADF, errno.ECONNABORTED: 13, errno.ECONNREFUSED: 14,
    errno.ECONNRESET: 15, errno.EINTR: 27, errno.EINVAL: _INVAL, errno.EMFILE: 33, errno.ENFILE: 41,
    errno.ENOBUFS: 42, errno.ENOMEM: 48, errno.ENOTCONN: 53, errno.ENOTSOCK: 57, errno.EOPNOTSUPP: _NOTSUP,
    errno.EPERM: 63, errno.EPIPE: 64, errno.ETIMEDOUT: 73,
}  # fmt: skip
_EVENT, _SUBSCRIPTION = 32, 48
_CLOCK, _READ = 0, 1  # eventtype; 2 is write


def between() -> str:
    """The text of the module that calls the library's functions with the guest's memory."""
    imports, functions = [], []
    for name, count in FUNCTIONS.items():
        parameters = " ".join(["i32"] * count)
        given = " ".join(f"(local.get {index})" for index in range(count))
        imports.append(f'(import "{WASI}" "{name}" (func ${name} (param {parameters}) (result i32)))')
        functions.append(f'(func (export "{name}") (param {parameters}) (result i32) (call ${name} {given}))')
    memory = '(import "guest" "memory" (memory 0)) (export "memory" (memory 0))'
    return f"(module {' '.join(imports)} {memory} {' '.join(functions)})"


class _FaultError(Exception):
    """The guest named memory that it does not have."""


class Memory:
    """The guest's linear memory during one call."""

    def __init__(self, library: Library, context: int, extern: "Any") -> None:
        memory = address(extern) + _MEMORY_UNION
        self._start = library.wasmtime_memory_data(context, memory) or 0
        self._size = library.wasmtime_memory_data_size(context, memory)

    def _place(self, at: int, count: int) -> int:
        if at + count > self._size:
            raise _FaultError
        return int(self._start) + at

    def read(self, at: int, count: int) -> bytes:
        """`count` bytes."""
        return bytes((Char * count).from_address(self._place(at, count))) if count else b""

    def write(self, at: int, content: bytes) -> None:
        """All of `content`."""
        if content:
            view = memoryview((Char * len(content)).from_address(self._place(at, len(content)))).cast("B")
            view[:] = content

    def number(self, at: int, count: int = 4) -> int:
        """An unsigned number of `count` bytes."""
        return int.from_bytes(self.read(at, count), "little")

    def put(self, at: int, value: int, count: int = 4) -> None:
        """Write one."""
        self.write(at, value.to_bytes(count, "little"))

    def vectors(self, at: int, count: int) -> "list[tuple[int, int]]":
        """The (address, length) pairs of an iovec array."""
        if count > 1024:
            raise _FaultError
        return [(self.number(at + 8 * index), self.number(at + 8 * index + 4)) for index in range(count)]


class Sockets:
    """The guest's sockets, and the functions that know them."""

    def __init__(self, library: Library, engine: int, binary: bytes) -> None:
        """`binary` is `between()`, assembled. Raises Error."""
        self._library = library
        self._engine = engine
        self._module = cell()
        check(library, library.wasmtime_module_new(engine, binary, len(binary), self._module), "sockets")
        self._names = list(FUNCTIONS)
        self._own = {name: getattr(self, f"_{name}") for name in FUNCTIONS}
        self._callback = HostFunction(self._called)  # kept: the library holds its address only
        self._sockets: "dict[int, Any]" = {}
        self._flags: "dict[int, int]" = {}
        self._next = _CONNECTIONS
        self._handed: "dict[str, Any]" = {}

    def define(self, linker: int) -> None:
        """Put our functions into a linker that has the library's. Raises Error."""
        library, module = self._library, WASI.encode()
        for index, (name, count) in enumerate(FUNCTIONS.items()):
            shape = library.wasm_functype_new(self._numbers(count), self._numbers(1))
            given = (linker, module, len(module), name.encode(), len(name), shape, self._callback, index, None)
            check(library, library.wasmtime_linker_define_func_unchecked(*given), name)

    def _numbers(self, count: int) -> "Any":
        vector, kinds = cell(2), cell(count)
        for index in range(count):
            kinds[index] = self._library.wasm_valtype_new(_I32)
        self._library.wasm_valtype_vec_new(vector, count, kinds)
        return vector

    def take(self, listeners: "tuple[int, ...]") -> None:
        """The sockets that the guest begins with. Raises Error."""
        for index, fd in enumerate(listeners):
            try:
                self._sockets[_FIRST + index] = _socket.socket(fileno=fd)
            except OSError as error:
                raise Error(f"descriptor {fd} of LISTEN_FDS: {reason(error)}") from None

    def _called(self, data: "int | None", caller: int, arguments: int, count: int) -> "int | None":
        name = self._names[data or 0]
        given = [uint32_at(arguments + _SLOT * index) for index in range(FUNCTIONS[name])]
        try:
            found = self._answer(name, caller, given)
        except _FaultError:
            found = _FAULT
        except OSError as error:
            found = _ERRNO.get(error.errno or 0, _IO)
        except Exception as error:
            # An exception here would be printed with a traceback by the interpreter, and the guest would go on.
            text = f"{name}: {error}".encode()
            return int(self._library.wasmtime_trap_new(text, len(text)))
        Int32.from_address(arguments).value = found
        return None

    def _answer(self, name: str, caller: int, given: "list[int]") -> int:
        library, extern = self._library, cell(4)
        context = library.wasmtime_caller_context(caller)
        if not library.wasmtime_caller_export_get(caller, b"memory", 6, extern):
            return _FAULT
        memory = Memory(library, context, extern)
        ours = self._polls(memory, given) if name == "poll_oneoff" else given[0] in self._sockets
        if ours:
            answer: "Callable[..., int]" = self._own[name]
            return answer(memory, *given)
        return self._hand_on(name, context, extern, given)

    def _hand_on(self, name: str, context: int, extern: "Any", given: "list[int]") -> int:
        library, trap, result = self._library, cell(), cell(_VALUE // 8)
        if not self._handed:
            self._instantiate(context, extern)
        values = buffer(bytes(_VALUE * len(given)))
        for index, number in enumerate(given):
            Int32.from_address(address(values) + _VALUE * index + 8).value = number
        function = address(self._handed[name]) + 8
        error = library.wasmtime_func_call(context, function, values, len(given), result, 1, trap)
        check(library, error, name)
        if trap[0]:
            raise Error("the library's function trapped")
        return uint32_at(address(result) + 8)

    def _instantiate(self, context: int, extern: "Any") -> None:
        library, instance, trap = self._library, cell(2), cell()
        linker = library.wasmtime_linker_new(self._engine)
        check(library, library.wasmtime_linker_define_wasi(linker), "WASI")
        given = (linker, context, b"guest", 5, b"memory", 6, extern)
        check(library, library.wasmtime_linker_define(*given), "memory")
        error = library.wasmtime_linker_instantiate(linker, context, self._module[0], instance, trap)
        check(library, error, "sockets")
        for name in FUNCTIONS:
            found = cell(4)
            library.wasmtime_instance_export_get(context, instance, name.encode(), len(name), found)
            self._handed[name] = found

    # What each function does with one of ours.

    def _sock_accept(self, memory: Memory, fd: int, flags: int, out: int) -> int:
        accepted, _ = self._sockets[fd]._accept()
        number, self._next = self._next, self._next + 1
        self._sockets[number] = _socket.socket(fileno=accepted)
        self._fd_fdstat_set_flags(memory, number, flags)
        memory.put(out, number)
        return 0

    def _fd_close(self, memory: Memory, fd: int) -> int:
        self._sockets.pop(fd).close()
        self._flags.pop(fd, None)
        return 0

    def _fd_read(self, memory: Memory, fd: int, vectors: int, count: int, out: int, flags: int = 0) -> int:
        wanted = memory.vectors(vectors, count)
        found = self._sockets[fd].recv(min(sum(size for _, size in wanted), _LARGEST), flags)
        memory.put(out, len(found))
        for place, size in wanted:
            memory.write(place, found[:size])
            found = found[size:]
        return 0

    def _fd_write(self, memory: Memory, fd: int, vectors: int, count: int, out: int) -> int:
        content = bytearray()
        for place, size in memory.vectors(vectors, count):  # they may all name the same memory
            content += memory.read(place, min(size, _LARGEST - len(content)))
        memory.put(out, self._sockets[fd].send(content, _socket.MSG_NOSIGNAL))
        return 0

    def _sock_recv(
        self, memory: Memory, fd: int, vectors: int, count: int, flags: int, out: int, out_flags: int
    ) -> int:
        peek, wait = flags & 1, flags & 2
        how = (_socket.MSG_PEEK if peek else 0) | (_socket.MSG_WAITALL if wait else 0)
        memory.put(out_flags, 0, 2)
        return self._fd_read(memory, fd, vectors, count, out, how)

    def _sock_send(self, memory: Memory, fd: int, vectors: int, count: int, flags: int, out: int) -> int:
        return self._fd_write(memory, fd, vectors, count, out) if not flags else _NOTSUP

    def _sock_shutdown(self, memory: Memory, fd: int, how: int) -> int:
        if how not in (1, 2, 3):
            return _INVAL
        self._sockets[fd].shutdown(how - 1)
        return 0

    def _fd_fdstat_get(self, memory: Memory, fd: int, out: int) -> int:
        rights = (1 << 30) - 1
        memory.put(out, _SOCKET_STREAM | self._flags.get(fd, 0) << 16, 8)
        memory.put(out + 8, rights, 8)
        memory.put(out + 16, rights, 8)
        return 0

    def _fd_fdstat_set_flags(self, memory: Memory, fd: int, flags: int) -> int:
        if flags & ~_NONBLOCK:
            return _INVAL
        self._flags[fd] = flags
        self._sockets[fd].setblocking(not flags)
        return 0

    def _fd_filestat_get(self, memory: Memory, fd: int, out: int) -> int:
        memory.write(out, bytes(64))
        memory.put(out + 8, fd, 8)
        memory.put(out + 16, _SOCKET_STREAM, 1)
        return 0

    def _fd_prestat_get(self, memory: Memory, fd: int, out: int) -> int:
        if fd >= _CONNECTIONS:
            return _BADF
        memory.put(out, _NO_DIRECTORY, 8)
        return 0

    def _polls(self, memory: Memory, given: "list[int]") -> bool:
        return any(entry[2] in self._sockets for entry in self._subscriptions(memory, given[0], given[2]))

    def _subscriptions(self, memory: Memory, at: int, count: int) -> "list[tuple[bytes, int, int, int]]":
        """(userdata, type, descriptor, -1) or (userdata, type, -1, nanoseconds of the monotonic clock) for each."""
        if count > 4096:
            raise _FaultError
        found = []
        for place in range(at, at + count * _SUBSCRIPTION, _SUBSCRIPTION):
            entry = memory.read(place, _SUBSCRIPTION)
            kind, fd = entry[8], int.from_bytes(entry[16:20], "little")
            found.append((entry[:8], kind, -1, _deadline(entry)) if kind == _CLOCK else (entry[:8], kind, fd, -1))
        return found

    def _poll_oneoff(self, memory: Memory, subscribed: int, events: int, count: int, out: int) -> int:
        entries = self._subscriptions(memory, subscribed, count)
        ready = self._wait(entries)
        for index, (userdata, kind, _, _) in enumerate(ready):
            event = userdata + bytes((0, 0, kind)) + bytes(5) + (1).to_bytes(8, "little") + bytes(8)
            memory.write(events + _EVENT * index, event)
        memory.put(out, len(ready))
        return 0

    def _wait(self, entries: "list[tuple[bytes, int, int, int]]") -> "list[tuple[bytes, int, int, int]]":
        poll = select.poll()
        real: "dict[int, int]" = {}
        for entry in entries:
            fd = self._real(entry[2])
            if fd >= 0:
                real[fd] = real.get(fd, 0) | (select.POLLIN if entry[1] == _READ else select.POLLOUT)
                poll.register(fd, real[fd])
        while True:
            times = [entry[3] for entry in entries if entry[1] == _CLOCK]
            left = max(0, min(times) - time.monotonic_ns()) if times else None
            files = any(entry[1] != _CLOCK and self._real(entry[2]) < 0 for entry in entries)
            found = dict(poll.poll(0 if files else None if left is None else min(-(-left // 1_000_000), _LONGEST)))
            ready = [entry for entry in entries if self._is_ready(entry, found)]
            if ready:
                return ready

    def _real(self, fd: int) -> int:
        """The kernel's number for a descriptor of the guest, -1 for a file: those are always ready."""
        if fd in self._sockets:
            return int(self._sockets[fd].fileno())
        return fd if 0 <= fd <= 2 else -1

    def _is_ready(self, entry: "tuple[bytes, int, int, int]", found: "dict[int, int]") -> bool:
        _, kind, fd, deadline = entry
        if kind == _CLOCK:
            return time.monotonic_ns() >= deadline
        real = self._real(fd)
        events = found.get(real, 0)
        wanted = select.POLLIN if kind == _READ else select.POLLOUT
        return real < 0 or bool(events & (wanted | select.POLLHUP | select.POLLERR))


def _deadline(entry: bytes) -> int:
    """When a clock's subscription is over, in nanoseconds of the monotonic clock."""
    clock, when = int.from_bytes(entry[16:20], "little"), int.from_bytes(entry[24:32], "little")
    if not entry[40] & 1:
        return time.monotonic_ns() + when
    return when if clock else when - time.time_ns() + time.monotonic_ns()
