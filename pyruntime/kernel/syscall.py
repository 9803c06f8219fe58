"""One door to the system calls that `os` does not have.

`_ctypes` is used bare: the `ctypes` package around it costs 2 ms of CPU to import, a third of a whole `state`
call, for conveniences that a dozen calls do not need. Tested on CPython 3.10 to 3.14.

Arguments are integers (file descriptors, flags, addresses), `bytes` (passed as a pointer to their first byte, NUL
after the last) or buffers made by `buffer()`. Numbers are those of <asm/unistd.h> of the machine; calls added since
Linux 5.1 have one number everywhere.
"""

import _ctypes
import posix as os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CDECL, _PYTHONAPI, _USE_ERRNO = 1, 4, 8  # <FUNCFLAG_*> of CPython's ctypes.h
_EINTR = 4
_PAGE = 4096
_READ_WRITE, _SHARED_ANONYMOUS = 3, 0x21  # PROT_* and MAP_*


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class _Pointer(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "P"


class _Char(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Function(_ctypes.CFuncPtr):
    """A C function called with the interpreter lock held, so that a forking call never meets it in another state."""

    _flags_ = _CDECL | _PYTHONAPI | _USE_ERRNO
    _restype_ = _Long


_libc = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
_syscall: "Any" = _Function(_ctypes.dlsym(_libc, "syscall"))
_syscall.argtypes = (_Long, _Pointer, _Pointer, _Pointer, _Pointer, _Pointer, _Pointer)

before_fork = _Function(_ctypes.dlsym(_libc, "PyOS_BeforeFork"))
after_fork_parent = _Function(_ctypes.dlsym(_libc, "PyOS_AfterFork_Parent"))
after_fork_child = _Function(_ctypes.dlsym(_libc, "PyOS_AfterFork_Child"))

_MACHINES = {
    "x86_64": {
        "prctl": 157, "pivot_root": 155, "umount2": 166, "sethostname": 170, "setdomainname": 171, "setns": 308,
        "unshare": 272, "capget": 125, "capset": 126, "keyctl": 250, "personality": 135, "ioprio_set": 251,
        "bpf": 321, "prlimit64": 302, "sched_setattr": 314, "fstatfs": 138, "mount": 165, "chroot": 161,
        "sched_setaffinity": 203, "setxattr": 188, "memfd_create": 319, "execveat": 322, "seccomp": 317,
        "mmap": 9, "mprotect": 10, "brk": 12, "mremap": 25, "execve": 59, "set_mempolicy": 238,
        "clone": 56,
    },
    "aarch64": {
        "prctl": 167, "pivot_root": 41, "umount2": 39, "sethostname": 161, "setdomainname": 162, "setns": 268,
        "unshare": 97, "capget": 90, "capset": 91, "keyctl": 219, "personality": 92, "ioprio_set": 30,
        "bpf": 280, "prlimit64": 261, "sched_setattr": 274, "fstatfs": 44, "mount": 40, "chroot": 51,
        "sched_setaffinity": 122, "setxattr": 5, "memfd_create": 279, "execveat": 281, "seccomp": 277,
        "mmap": 222, "mprotect": 226, "brk": 214, "mremap": 216, "execve": 221, "set_mempolicy": 237,
        "clone": 220,
    },
}  # fmt: skip
_EVERYWHERE = {
    "pidfd_send_signal": 424, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "pidfd_open": 434, "clone3": 435, "close_range": 436, "openat2": 437, "pidfd_getfd": 438,
    "mount_setattr": 442,
}  # fmt: skip


def _numbers() -> "dict[str, int]":
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise SystemError(f"pyruntime knows the system calls of {' and '.join(_MACHINES)}, not of {machine}")
    return {**_MACHINES[machine], **_EVERYWHERE}


NR = _numbers()


def syscall(name: str, *arguments: "Any", subject: "str | bytes | None" = None) -> int:
    """Make one system call and return its result.

    Raises OSError with the kernel's errno; `subject` becomes its `filename`, the thing the error is about.
    EINTR is retried: no handler of ours wants a call broken off (PEP 475 does the same for `os`).
    """
    number = NR[name]
    padding = (0,) * (6 - len(arguments))
    while True:
        result: int = _syscall(number, *arguments, *padding)
        if result != -1:
            return result
        errno = _ctypes.get_errno()
        if errno != _EINTR:
            raise OSError(errno, os.strerror(errno), subject)


def symbol(name: str) -> int:
    """The address of a function of the C library. Raises OSError (ENOENT) where it has none of that name."""
    try:
        return int(_ctypes.dlsym(_libc, name))
    except OSError:
        raise OSError(2, "not in this C library", name) from None


def function(name: str) -> "Any":
    """A function of the C library, to be called with `pointer` arguments. Raises OSError (ENOENT)."""
    return _Function(symbol(name))


def pointer(value: int) -> "Any":
    """An address, or any number of a register's size, as an argument for `function`."""
    return _Pointer(value)


def buffer(content: "bytes | int") -> "Any":
    """A writable C buffer with this content, or of that many zero bytes; `bytes(b)` reads it."""
    if isinstance(content, int):
        return (_Char * content)()
    return (_Char * len(content)).from_buffer_copy(content)


def shared_page(count: int = 1) -> "Any":
    """Pages of zero bytes that our forks share with us: what one writes, without any call, the other reads."""
    size = _PAGE * count
    return (_Char * size).from_address(syscall("mmap", 0, size, _READ_WRITE, _SHARED_ANONYMOUS, -1 & 2**64 - 1, 0))


def watched(told: "Callable[[str, int, int], None]") -> None:
    """From now on tell of every call made here: its name, and when it began and ended (CLOCK_MONOTONIC, ns)."""
    from time import monotonic_ns

    names = {number: name for name, number in NR.items()}

    def timed(number: int, *arguments: "Any") -> int:
        begin = monotonic_ns()
        result: int = direct(number, *arguments)
        told(names[number], begin, monotonic_ns())
        return result

    global _syscall
    direct, _syscall = _syscall, timed


def memory(start: int, size: int) -> "Any":
    """Memory of ours that somebody else laid out, as a buffer."""
    return (_Char * size).from_address(start)


def address(of: "Any") -> int:
    """The address of a buffer, for a pointer inside a structure; the buffer must outlive the call."""
    return int(_ctypes.addressof(of))
