"""Run one module the way a container's init does; started by test_guests.py as a program of its own.

    runner.py ENGINE MODULE [--env A=B]... [--preopen HOST:GUEST]... [--chroot DIR] [--fuel N]... -- ARGV...

The module is compiled and loaded first. Then a child forks, gives back all signals to their defaults, changes its root,
refuses to import and to open anything, and runs it. The exit status is the guest's.
"""

import argparse
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyruntime.engine import base

REFUSED = ("import", "open", "ctypes.dlopen", "subprocess.Popen", "os.listdir")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("module")
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--preopen", action="append", default=[])
    parser.add_argument("--chroot")
    parser.add_argument("--rlimit-as", type=int)
    parser.add_argument("--read-only", action="append", default=[], help="a --preopen that is")
    parser.add_argument("--function", default="_start")
    parser.add_argument("--memory", type=int)
    parser.add_argument("--fuel", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--http", default="", help="address:port to serve at")
    parser.add_argument("--network", help="the addresses that may be reached, or all")
    parser.add_argument("--listen", type=int, default=0, help="this many sockets from descriptor 3 on")
    parser.add_argument("--in-place", action="store_true", help="no fork: this process becomes the guest")
    parser.add_argument("argv", nargs="*")
    return parser.parse_args()


def confine(asked: argparse.Namespace) -> None:
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    if asked.chroot:
        os.chroot(asked.chroot)
        os.chdir("/")
    if asked.rlimit_as:
        resource.setrlimit(resource.RLIMIT_AS, (asked.rlimit_as, asked.rlimit_as))
    sys.path.clear()
    # Where the world is ours, the guest's files are opened by Python, in the container and as the guest asks for them.
    allowed = ("open", "os.listdir") if asked.network is not None else ()
    sys.addaudithook(lambda event, details: refuse(event, details) if event not in allowed else None)


def refuse(event: str, details: object) -> None:
    if event in REFUSED:
        os.write(2, f"refused: {event} {details}\n".encode())
        os._exit(99)


def network(asked: argparse.Namespace) -> "base.Network | None":
    from pyruntime.engine import base

    if not asked.http and asked.network is None and not asked.listen:
        return None
    addresses = () if asked.network in (None, "all") else tuple(asked.network.split(","))
    return base.Network(tuple(range(3, 3 + asked.listen)), asked.http, asked.network is not None, addresses)


def main() -> int:
    asked = arguments()
    from pyruntime.engine import base
    from pyruntime.engine.engines import load
    from pyruntime.engine.select import Selection, kind_of
    from pyruntime.errors import Error

    limits = base.Limits(asked.memory, asked.fuel, asked.seconds, asked.rlimit_as)
    try:
        with open(asked.module, "rb") as file:
            wasm = file.read()
        selection = Selection(asked.engine, asked.module, wasm, "the test", kind_of(wasm), asked.function)
        module = load(selection, limits)
    except Error as error:
        sys.exit(f"refused: {error}")
    assert len(os.listdir("/proc/self/task")) == 1, "preparing left threads behind"
    preopens = [(*pair.split(":"), pair in asked.read_only) for pair in asked.preopen]
    guest = base.Guest(asked.argv, asked.env, "/", preopens, asked.function, limits, network(asked))
    child = 0 if asked.in_place else os.fork()
    if child == 0:
        confine(asked)
        os._exit(base.run(module, guest))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
