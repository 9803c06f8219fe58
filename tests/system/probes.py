"""Guests that make an engine use the kernel in every way they can: what a filter of system calls has to let through."""

from collections.abc import Callable

from tests.system.wat import APPEND, CREATE, DIRECTORY, READ, ROOT, WRITE, Program

_EVENTS, _SUBSCRIPTIONS = 3072, 2048
DESCRIPTOR_CALLS: "dict[str, tuple[int, ...]]" = {  # with what follows the descriptor
    "fd_sync": (), "fd_datasync": (), "fd_allocate": (0, 1000), "fd_advise": (0, 9, 1), "fd_filestat_set_size": (100,),
    "fd_filestat_get": (65536,), "fd_fdstat_get": (64,), "fd_filestat_set_times": (0, 0, 10), "fd_seek": (0, 0, 64),
    "fd_tell": (64,), "fd_pread": (16, 1, 0, 64), "fd_pwrite": (16, 1, 0, 64), "fd_fdstat_set_flags": (1,),
}  # fmt: skip


def streams() -> Program:
    """Reads its input and writes to both outputs."""
    program = Program()
    program.say("read", program.read(0)).show()
    program.say("stdin", program.call("fd_fdstat_get", 0, 64)).say("stdout", program.call("fd_filestat_get", 1, 65536))
    program.do("(i32.store (i32.const 16) (i32.const 4096)) (i32.store (i32.const 20) (i32.const 4))")
    return program.say("stderr", program.call("fd_write", 2, 16, 1, 24))


def files() -> Program:
    """Everything that can be done to files and folders."""
    program = Program().cat("etc/group")
    program.say("open", program.open(0, "tmp/file", CREATE, READ | WRITE)).say("write", program.write(0, "x" * 30))
    for name, more in DESCRIPTOR_CALLS.items():
        program.say(name, program.call(name, program.slot(0), *more))
    appending = program.open(2, "tmp/file", rights=READ | WRITE, mode=APPEND)
    program.say("append", appending).say("appended", program.write(2, "more"))
    program.say("mkdir", program.path("path_create_directory", "tmp/folder"))
    program.say("opendir", program.open(1, "tmp/folder", DIRECTORY))
    program.say("symlink", program.symlink("file", "tmp/link")).say("link", program.link("tmp/file", "tmp/second"))
    program.say("rename", program.rename("tmp/second", "tmp/folder/third")).say("utimes", program.times("tmp/link"))
    program.say("readlink", program.path("path_readlink", "tmp/link", 65536, 100, 64))
    program.say("stat", program.call("path_filestat_get", ROOT, 1, *program.string("tmp/link"), 65536))
    program.say("readdir", program.call("fd_readdir", program.slot(1), 65536, 4096, 0, 64))
    program.say("unlink", program.path("path_unlink_file", "tmp/folder/third"))
    program.say("rmdir", program.path("path_remove_directory", "tmp/folder"))
    program.say("renumber", program.call("fd_renumber", program.slot(1), program.slot(0)))
    return program.say("close", program.call("fd_close", program.slot(0)))


def clocks() -> Program:
    """Reads clocks, takes random bytes, yields and sleeps."""
    program = Program()
    for clock in (0, 1):
        program.say(f"clock {clock}", program.call("clock_time_get", clock, 1, 64))
        program.say(f"resolution {clock}", program.call("clock_res_get", clock, 64))
    program.say("random", program.call("random_get", 65536, 4096)).say("yield", program.call("sched_yield"))
    return program.say("sleep", program.call("poll_oneoff", subscribe(program, ""), _EVENTS, 1, 64))


def subscribe(program: Program, descriptors: str) -> int:
    """Subscriptions to a clock in 20 ms, and to reading (r) or writing (w) of descriptors 0, 1, ...; their address."""
    at = _SUBSCRIPTIONS
    program.do(f"(i64.store (i32.const {at}) (i64.const 7)) (i32.store (i32.const {at + 16}) (i32.const 1))")
    program.do(f"(i64.store (i32.const {at + 24}) (i64.const 20000000))")
    for number, kind in enumerate(descriptors):
        at += 48
        program.do(
            f"(i64.store (i32.const {at}) (i64.const {number})) (i32.store (i32.const {at + 16}) (i32.const {number}))"
        )
        program.do(f"(i32.store8 (i32.const {at + 8}) (i32.const {1 if kind == 'r' else 2}))")
    return _SUBSCRIPTIONS


def waiting() -> Program:
    """Waits for descriptors and a clock at once."""
    program = Program()
    return program.say("poll", program.call("poll_oneoff", subscribe(program, "rw"), _EVENTS, 3, 64))


def memory() -> Program:
    """Grows its memory, and fills it."""
    program = Program().do("(local.set $i (memory.grow (i32.const 512)))").say("grown from", "(local.get $i)")
    return program.do("(memory.fill (i32.const 131072) (i32.const 1) (i32.const 33554432))")


def sockets() -> Program:
    """What preview 1 has of sockets."""
    program = Program()
    program.say("accept", program.call("sock_accept", 3, 0, 64))
    return program.say("shutdown", program.call("sock_shutdown", 3, 1))


def trap() -> Program:
    """A fault that the engine learns of by a signal."""
    return Program().print("before\n").drop("(i32.load (i32.const -4))")


def division() -> Program:
    return Program().drop("(i32.div_s (i32.const 1) (i32.const 0))")


def recursion() -> Program:
    return Program(more="(func $deeper (call $deeper))").do("(call $deeper)")


def endless() -> Program:
    """For the time limit."""
    return Program().loop()


def status() -> Program:
    return Program().exit(7)


PROBES: "dict[str, Callable[[], Program]]" = {
    probe.__name__: probe
    for probe in (streams, files, clocks, waiting, memory, sockets, trap, division, recursion, endless, status)
}
