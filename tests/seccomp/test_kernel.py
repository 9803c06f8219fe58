"""Filters in the real kernel: a child loads one, tries calls, and tells what came of them."""

import ctypes
import faulthandler
import mmap
import os
import signal
import struct
from collections.abc import Callable
from typing import Any

import pytest

from pyruntime.config.seccomp import Seccomp
from pyruntime.seccomp.compile import compile_profile
from tests.seccomp.proof import table

MACHINE = os.uname().machine
pytestmark = pytest.mark.skipif(MACHINE not in ("x86_64", "aarch64"), reason=f"no probe is written for {MACHINE}")
OWN = {"x86_64": "X86_64", "aarch64": "AARCH64"}.get(MACHINE, "")
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
NEEDED = ("write", "exit_group", "brk", "mmap", "munmap", "madvise", "futex", "rt_sigreturn")
X32 = 0x40000000
ENTER_32 = bytes.fromhex("53 89 f8 89 f3 cd 80 5b c3")  # push rbx; mov eax, edi; mov ebx, esi; int 0x80; pop rbx; ret
LIBC = ctypes.CDLL(None, use_errno=True)
KEPT: "list[mmap.mmap]" = []  # code that is called must stay mapped
Probe = Callable[[], int]


def native(name: str, *args: int) -> Probe:
    """A call by its number, with whole registers: its result, or the negative errno."""
    number = table(OWN)[name]
    return raw(number, *args)


def raw(number: int, *args: int) -> Probe:
    """As `native`, by number."""

    def probe() -> int:
        result = LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_ulonglong, args))
        return -ctypes.get_errno() if result == -1 else result

    return probe


def entry32() -> "Callable[[int, int], int]":
    """A function that calls the kernel through int 0x80: number and first argument; the result as the kernel gives it.

    To be made before the filter is loaded.
    """
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(ENTER_32)
    KEPT.append(memory)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_uint)(address)


def load(program: bytes) -> None:
    """prctl(2): PR_SET_NO_NEW_PRIVS, and the filter."""
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    assert LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if LIBC.prctl(PR_SET_SECCOMP, MODE_FILTER, filter_, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_SECCOMP")


def under(profile: "dict[str, Any]", *probes: Probe) -> "list[int] | int":
    """What the probes give under a filter; the number of the signal that ended the child, if one did."""
    program = compile_profile(Seccomp.read(profile, "linux.seccomp"), MACHINE).program
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            load(program)
            os.write(writing, " ".join(str(probe()) for probe in probes).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    return [int(word) for word in text.split()]


def rule(action: str, *names: str, **more: Any) -> "dict[str, Any]":
    return {"names": list(names), "action": f"SCMP_ACT_{action}"} | more


def permissive(*rules: "dict[str, Any]", archs: "tuple[str, ...]" = ()) -> "dict[str, Any]":
    return {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [f"SCMP_ARCH_{a}" for a in archs], "syscalls": [*rules]}


def test_errno_is_what_the_profile_says_and_other_calls_go_through() -> None:
    profile = permissive(rule("ERRNO", "getppid", errnoRet=42), rule("ERRNO", "getsid"))
    parent = os.getpid()
    assert under(profile, native("getppid"), native("getsid", 0), native("getuid")) == [-42, -1, os.getuid()]
    assert under(permissive(), native("getppid")) == [parent]


def test_all_64_bits_of_an_argument_count() -> None:
    wanted = 5 << 32 | 7
    args = [{"index": 1, "op": "SCMP_CMP_EQ", "value": wanted}]
    profile = permissive(rule("ERRNO", "getppid", errnoRet=42, args=args))
    parent = os.getpid()
    tried = [wanted, wanted + 1, wanted - 1, 7, 5 << 32, wanted + (1 << 32)]
    assert under(profile, *(native("getppid", 0, value) for value in tried)) == [-42, *[parent] * 5]


def test_a_mask_and_an_order_in_the_kernel() -> None:
    rules = [
        rule(
            "ERRNO", "getppid", errnoRet=11, args=[{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 6, "valueTwo": 2}]
        ),
        rule("ERRNO", "getsid", errnoRet=12, args=[{"index": 2, "op": "SCMP_CMP_GT", "value": 1 << 40}]),
    ]
    got = under(
        permissive(*rules),
        *(native("getppid", value) for value in (2, 3, 0xA, 6, 4)),
        *(native("getsid", 0, 0, value) for value in (1 << 40, (1 << 40) + 1, 1 << 63, 5)),
    )
    parent, session = os.getpid(), os.getsid(0)
    assert got == [-11, -11, -11, parent, parent, session, -12, -12, session]


@pytest.mark.parametrize("action", ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP"])
def test_actions_that_end_the_process(action: str) -> None:
    assert under(permissive(rule(action, "getppid")), native("getuid"), native("getppid")) == signal.SIGSYS
    assert under(permissive(rule(action, "getppid")), native("getuid")) == [os.getuid()]


def test_log_and_trace() -> None:
    """LOG lets the call happen; TRACE without a tracer is ENOSYS (seccomp(2))."""
    profile = permissive(rule("LOG", "getppid"), rule("TRACE", "getsid"))
    assert under(profile, native("getppid"), native("getsid", 0)) == [os.getpid(), -38]


def test_what_is_not_listed_is_denied_and_what_is_newer_is_not_there() -> None:
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("ALLOW", *NEEDED, "openat2", "getuid")]}
    got = under(
        profile, native("getppid"), native("getuid"), native("openat2", 0, 0, 0, 24), native("faccessat2"), raw(4000)
    )
    assert got == [-1, os.getuid(), -14, -38, -38]


def test_a_program_of_full_length_is_taken() -> None:
    """Conditions up to the limit of 4096 instructions."""
    args = [{"index": 0, "op": "SCMP_CMP_EQ", "value": number} for number in range(800)]
    profile = permissive(rule("ERRNO", "getppid", errnoRet=42, args=args))
    assert under(profile, native("getppid", 799), native("getppid", 800)) == [-42, os.getpid()]


def test_a_large_search_tree_finds_every_call() -> None:
    """Every second number has a decision of its own, so that jumps grow over 255 instructions."""
    names = [name for name, number in table(OWN).items() if number % 2 and name not in (*NEEDED, "getppid", "getsid")]
    rules = [rule("ERRNO", name, errnoRet=100 + place) for place, name in enumerate(names)]
    harmless = [name for name in ("getpgid", "sched_yield", "getpriority", "fchdir", "munlock") if name in names]
    assert harmless
    got = under(permissive(*rules), *(native(name) for name in harmless), native("getppid"))
    assert got == [*(-100 - names.index(name) for name in harmless), os.getpid()]


x86 = pytest.mark.skipif(MACHINE != "x86_64", reason="int 0x80 and x32 are of x86_64")


@x86
def test_another_architecture_is_death_unless_listed() -> None:
    """Hardening: a foreign call never goes through by default. getppid is 64 there."""
    _needs_entry32()
    enter = entry32()
    assert under(permissive(), lambda: enter(64, 0)) == signal.SIGSYS
    assert under(permissive(archs=("X86",)), lambda: enter(64, 0)) == [os.getpid()]
    denied = permissive(rule("ERRNO", "getppid", errnoRet=42), archs=("X86",))
    assert under(denied, lambda: enter(64, 0), native("getppid")) == [-42, -42]


@x86
def test_socketcall_is_denied_with_the_call_it_carries() -> None:
    """socketcall(SYS_SOCKET) with a bad pointer is EFAULT where it goes through."""
    _needs_entry32()
    enter = entry32()
    profile = permissive(rule("ERRNO", "socket", errnoRet=42), archs=("X86",))
    assert under(profile, lambda: enter(102, 1), lambda: enter(102, 3), lambda: enter(359, 1)) == [-42, -14, -42]


@x86
def test_x32_is_death_unless_listed() -> None:
    """The filter is asked first, whether or not the kernel has x32: where it has not, ENOSYS comes after."""
    assert under(permissive(), raw(X32 + 110)) == signal.SIGSYS
    denied = permissive(rule("ERRNO", "getppid", errnoRet=42), archs=("X32",))
    assert under(denied, raw(X32 + 110), native("getppid")) == [-42, -42]


def _needs_entry32() -> None:
    enter = entry32()
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        os._exit(0 if enter(20, 0) == os.getpid() else 1)
    if os.waitpid(child, 0)[1]:
        pytest.skip("this kernel has no 32-bit entry (CONFIG_IA32_EMULATION)")
