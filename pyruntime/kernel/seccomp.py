"""Filters of system calls: seccomp(2), seccomp_unotify(2)."""

import _struct

from pyruntime.kernel.syscall import address, buffer, syscall

FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,  # Linux 4.14
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,  # Linux 4.17
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,  # Linux 5.19
}
NEW_LISTENER = 8  # Linux 5.0
WAIT_KILLABLE_RECV = FLAGS["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
_SET_MODE_FILTER = 1
_EFAULT = 14


def supported_flags() -> "tuple[str, ...]":
    """The filter flags this kernel has: with a null program a known flag gives EFAULT, an unknown one EINVAL."""
    return tuple(name for name, flag in FLAGS.items() if _known(flag))


def _known(flag: int) -> bool:
    try:
        syscall("seccomp", _SET_MODE_FILTER, flag | (NEW_LISTENER if flag == WAIT_KILLABLE_RECV else 0), 0)
    except OSError as error:
        return error.errno == _EFAULT
    return True


def load(program: bytes, flags: int) -> int:
    """Put a filter on this thread, for good; returns the listener's descriptor with NEW_LISTENER, else 0.

    `program` is an array of struct sock_filter. Raises OSError: EACCES without no_new_privs and CAP_SYS_ADMIN, EINVAL
    for a flag or a program that the kernel does not take, EBUSY where another listener is.
    """
    content = buffer(program)
    return syscall("seccomp", _SET_MODE_FILTER, flags, _struct.pack("HxxxxxxQ", len(program) // 8, address(content)))
