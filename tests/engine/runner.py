"""Run one module the way a container's init does; started by test_guests.py as a program of its own.

    runner.py ENGINE MODULE [--env A=B]... [--preopen HOST:GUEST]... [--chroot DIR] [--rlimit-as BYTES] -- ARGV...

The module is prepared first. Then a child forks, gives back all signals to their defaults, changes its root, refuses
to import and to open anything, and runs it. The exit status is the guest's.
"""

import argparse
import os
import resource
import signal
import sys

REFUSED = ("import", "open", "ctypes.dlopen", "subprocess.Popen", "os.listdir")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("module")
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--preopen", action="append", default=[])
    parser.add_argument("--chroot")
    parser.add_argument("--rlimit-as", type=int)
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
    sys.addaudithook(refuse)


def refuse(event: str, details: object) -> None:
    if event in REFUSED:
        os.write(2, f"refused: {event} {details}\n".encode())
        os._exit(99)


def main() -> int:
    asked = arguments()
    from pyruntime.engine.engines import make
    from pyruntime.errors import Error

    engine = make(asked.engine)
    try:
        with open(asked.module, "rb") as file:
            module = engine.prepare(file.read(), asked.rlimit_as)
    except Error as error:
        sys.exit(f"refused: {error}")
    assert len(os.listdir("/proc/self/task")) == 1, "preparing left threads behind"
    preopens = [tuple(pair.split(":")) for pair in asked.preopen]
    child = 0 if asked.in_place else os.fork()
    if child == 0:
        confine(asked)
        os._exit(engine.run(module, asked.argv, asked.env, preopens))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
