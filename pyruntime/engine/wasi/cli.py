"""wasi:cli, wasi:clocks and wasi:random for components whose world is ours."""

import posix as os
import time

from pyruntime.engine.wasi.host import Call, GuestEnd
from pyruntime.engine.wasi.io import Descriptor, InputStream, OutputStream, Pollable
from pyruntime.engine.wasi.values import Ok

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyruntime.engine.base import Guest

_NANO = 1_000_000_000
_LONGEST = 1 << 20  # bytes of randomness in one call


class Exited(GuestEnd):
    """The guest ended itself through wasi:cli/exit."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit with status {status}")
        self.status = status


def _exit(call: Call, status: object) -> None:
    raise Exited(0 if isinstance(status, Ok) else 1)


def _exit_with_code(call: Call, status: int) -> None:
    raise Exited(status)


EXIT: "dict[str, Callable[..., Any]]" = {"exit": _exit, "exit-with-code": _exit_with_code}


def _random(call: Call, count: int) -> bytes:
    if count > _LONGEST:
        raise GuestEnd(f"{count} bytes of randomness asked for at once, {_LONGEST} are allowed")
    return b"".join(_random_parts(count))


def _random_parts(count: int) -> "list[bytes]":
    """getrandom(2) returns at most 33554431 bytes, and may be interrupted after 256."""
    parts: "list[bytes]" = []
    while count > 0:
        parts.append(os.getrandom(count))
        count -= len(parts[-1])
    return parts


def _number(call: Call) -> int:
    return int.from_bytes(os.getrandom(8), "little")


def _datetime(nanoseconds: int) -> "dict[str, int]":
    return {"seconds": nanoseconds // _NANO, "nanoseconds": nanoseconds % _NANO}


def _environment(guest: "Guest") -> "list[tuple[str, str]]":
    return [(name, value) for name, _, value in (entry.partition("=") for entry in guest.env)]


RESOURCES = {"terminal-input": 38, "terminal-output": 39}

FUNCTIONS: "dict[str, dict[str, Callable[..., Any]]]" = {
    "wasi:cli/environment": {
        "get-environment": lambda call: _environment(call.guest),
        "get-arguments": lambda call: call.guest.argv,
        "initial-cwd": lambda call: call.guest.cwd,
    },
    "wasi:cli/exit": EXIT,
    "wasi:cli/stdin": {"get-stdin": lambda call: InputStream(Descriptor(0))},
    "wasi:cli/stdout": {"get-stdout": lambda call: OutputStream(Descriptor(1))},
    "wasi:cli/stderr": {"get-stderr": lambda call: OutputStream(Descriptor(2))},
    "wasi:cli/terminal-stdin": {"get-terminal-stdin": lambda call: None},
    "wasi:cli/terminal-stdout": {"get-terminal-stdout": lambda call: None},
    "wasi:cli/terminal-stderr": {"get-terminal-stderr": lambda call: None},
    "wasi:clocks/monotonic-clock": {
        "now": lambda call: time.monotonic_ns(),
        "resolution": lambda call: 1,
        "subscribe-instant": lambda call, at: Pollable(at=at),
        "subscribe-duration": lambda call, length: Pollable(at=time.monotonic_ns() + length),
    },
    "wasi:clocks/wall-clock": {
        "now": lambda call: _datetime(time.time_ns()),
        "resolution": lambda call: _datetime(1),
    },
    "wasi:random/random": {"get-random-bytes": _random, "get-random-u64": _number},
    "wasi:random/insecure": {"get-insecure-random-bytes": _random, "get-insecure-random-u64": _number},
    "wasi:random/insecure-seed": {
        "insecure-seed": lambda call: (_number(call), _number(call)),
        "get-insecure-seed": lambda call: (_number(call), _number(call)),
    },
}
