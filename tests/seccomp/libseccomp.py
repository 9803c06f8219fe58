"""libseccomp, through ctypes, driven as runc drives it: the program that runc loads, but for its ENOSYS stub.

Nothing here knows our compiler. The profile is what config.json has, as plain JSON.
"""

import ctypes
import ctypes.util
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

PATIENCE = 20.0  # seconds that libseccomp is given for one profile; it takes milliseconds
_DONE, _REFUSED = b"+", b"-"
NAME = ctypes.util.find_library("seccomp")
UNKNOWN = -1  # __NR_SCMP_ERROR
OPTIMIZE = 8  # SCMP_FLTATR_CTL_OPTIMIZE
TOKENS = {  # <seccomp.h>
    "X86": 0x40000003,
    "X86_64": 0xC000003E,
    "X32": 0x4000003E,
    "ARM": 0x40000028,
    "AARCH64": 0xC00000B7,
    "RISCV64": 0xC00000F3,
    "PPC64LE": 0xC0000015,
    "S390": 0x00000016,
    "S390X": 0x80000016,
}
NATIVE = {"x86_64": "X86_64", "aarch64": "AARCH64", "armv7l": "ARM", "riscv64": "RISCV64", "i686": "X86"} | {
    "ppc64le": "PPC64LE",
    "s390x": "S390X",
}
ACTIONS = {
    "KILL": 0,
    "KILL_THREAD": 0,
    "KILL_PROCESS": 0x80000000,
    "TRAP": 0x00030000,
    "ERRNO": 0x00050000,
    "NOTIFY": 0x7FC00000,
    "TRACE": 0x7FF00000,
    "LOG": 0x7FFC0000,
    "ALLOW": 0x7FFF0000,
}
OPERATORS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class Refused(Exception):
    """libseccomp does not take the profile; the text says what and why."""


def value(action: str, data: "int | None") -> int:
    """A return value, as libseccomp-golang makes it: 16 bits of data, EPERM if there are none."""
    word = action.removeprefix("SCMP_ACT_")
    return ACTIONS[word] | ((1 if data is None else data & 0xFFFF) if word in ("ERRNO", "TRACE") else 0)


def load() -> Any:
    """The library, with the types of what is called."""
    if NAME is None:
        raise FileNotFoundError("libseccomp.so.2 is not installed (Debian: libseccomp2)")
    library = ctypes.CDLL(NAME)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_arch_add.argtypes = library.seccomp_arch_remove.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    library.seccomp_rule_add_array.argtypes += [ctypes.POINTER(Comparison)]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return library


def version(library: Any) -> str:
    """Such as 2.5.4."""
    library.seccomp_version.restype = ctypes.POINTER(ctypes.c_uint * 3)
    return ".".join(map(str, library.seccomp_version().contents))


def checked(code: int, what: str) -> None:
    if code < 0:
        raise Refused(f"{what}: {os.strerror(-code)}")


class Reference:
    """Filters of one machine."""

    def __init__(self, machine: str) -> None:
        self.library = load()
        self.native = NATIVE[machine]

    def knows(self, name: str) -> bool:
        """Whether any of libseccomp's tables has the name."""
        return bool(self.library.seccomp_syscall_resolve_name(name.encode()) != UNKNOWN)

    def number(self, name: str, short: str) -> "int | None":
        """A call's number on an architecture, negative where it has none; None for an unknown name."""
        found = self.library.seccomp_syscall_resolve_name_arch(TOKENS[short], name.encode())
        return None if found == UNKNOWN else int(found)

    @contextmanager
    def filter(self, profile: "dict[str, Any]") -> "Iterator[int]":
        default = value(profile["defaultAction"], profile.get("defaultErrnoRet"))
        context = self.library.seccomp_init(default)
        if not context:
            raise Refused(f"seccomp_init {default:#x}")
        try:
            self.architectures(context, profile.get("architectures") or [])
            if sum(len(call["names"]) for call in profile.get("syscalls") or []) > 32:
                checked(self.library.seccomp_attr_set(context, OPTIMIZE, 2), "optimize")
            for call in profile.get("syscalls") or []:
                self.add(context, call, default)
            yield context
        finally:
            self.library.seccomp_release(context)

    def architectures(self, context: int, listed: "list[str]") -> None:
        """The machine's own, which is there already on the host's, and those listed."""
        host = self.library.seccomp_arch_native() & LOW
        wanted = dict.fromkeys([self.native, *(name.removeprefix("SCMP_ARCH_") for name in listed)])
        if host != TOKENS[self.native]:
            checked(self.library.seccomp_arch_remove(context, host), "arch_remove")
        for short in wanted:
            if TOKENS[short] != host or host != TOKENS[self.native]:
                checked(self.library.seccomp_arch_add(context, TOKENS[short]), f"arch_add {short}")

    def add(self, context: int, call: "dict[str, Any]", default: int) -> None:
        """One entry of `syscalls`."""
        action = value(call["action"], call.get("errnoRet"))
        if action == default:
            return
        comparisons = [
            Comparison(a["index"], OPERATORS[a["op"].removeprefix("SCMP_CMP_")], a["value"], a.get("valueTwo", 0))
            for a in call.get("args") or []
        ]
        repeated = len({comparison.arg for comparison in comparisons}) < len(comparisons)
        groups = [[each] for each in comparisons] if repeated else [comparisons]
        for name in call["names"]:
            number = self.library.seccomp_syscall_resolve_name(name.encode())
            for group in groups if number != UNKNOWN else []:
                array = (Comparison * len(group))(*group)
                code = self.library.seccomp_rule_add_array(context, action, number, len(group), array)
                checked(code, f"rule_add {name}")

    def program(self, profile: "dict[str, Any]") -> bytes:
        """The program. Raises Refused, also where libseccomp comes to no end, as 2.5.4 does for some on s390x."""
        ours, child = socket.socketpair()
        with ours, child:
            pid = os.fork()  # a loop in a C function can only be ended with its process
            if pid == 0:
                _answer(child, lambda: self._program(profile))
            child.close()
            ours.settimeout(PATIENCE)
            try:
                text = b"".join(iter(lambda: ours.recv(1 << 16), b""))
            except TimeoutError:
                raise Refused(f"no end within {PATIENCE:g} s") from None
            finally:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        if text[:1] == _REFUSED:
            raise Refused(text[1:].decode())
        if text[:1] != _DONE:
            raise RuntimeError(text.decode() or "libseccomp ended its process")
        return text[1:]

    def _program(self, profile: "dict[str, Any]") -> bytes:
        with self.filter(profile) as context, tempfile.TemporaryFile() as file:
            checked(self.library.seccomp_export_bpf(context, file.fileno()), "export_bpf")
            file.seek(0)
            return file.read()


def _answer(to: socket.socket, make: "Callable[[], bytes]") -> "NoReturn":
    """What a forked process says, and its end."""
    try:
        text = _DONE + make()
    except Refused as error:
        text = _REFUSED + str(error).encode()
    except Exception as error:
        text = repr(error).encode()
    try:
        to.sendall(text)
    finally:
        os._exit(0)


LOW = 0xFFFFFFFF
