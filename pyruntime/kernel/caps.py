"""Capabilities: capabilities(7), capset(2), prctl(2)."""

import _struct

from pyruntime.kernel.syscall import buffer, syscall

NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(NAMES)}

_VERSION_3 = 0x20080522
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT = 23, 24, 47
_AMBIENT_IS_SET, _AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 1, 2, 4
_EINVAL = 22


def mask(names: "list[str]") -> int:
    """Capability names as a bit mask."""
    bits = 0
    for name in names:
        bits |= 1 << NUMBERS[name]
    return bits


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set our three classic sets from bit masks. Raises OSError (EPERM: asked for more than permitted)."""
    header = _struct.pack("Ii", _VERSION_3, 0)
    low, high = 0xFFFFFFFF, 32
    words = (
        effective & low,
        permitted & low,
        inheritable & low,
        effective >> high,
        permitted >> high,
        inheritable >> high,
    )
    syscall("capset", header, _struct.pack("6I", *words))


def drop_bounding(keep: int) -> None:
    """Drop every capability outside the mask from the bounding set, as many as the kernel knows. Raises OSError."""
    for number in range(64):
        if keep >> number & 1:
            continue
        try:
            syscall("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0)
        except OSError as error:
            if error.errno != _EINVAL:
                raise
            return


def capget() -> "tuple[int, int, int]":
    """Our effective, permitted and inheritable sets as bit masks; all bits where the kernel has written nothing.

    That is so under a filter that answers for it (SECCOMP_RET_ERRNO with 0). Raises OSError.
    """
    data = buffer(b"\xff" * 24)
    syscall("capget", _struct.pack("Ii", _VERSION_3, 0), data)
    low, high = _struct.unpack("3I3I", bytes(data))[:3], _struct.unpack("3I3I", bytes(data))[3:]
    effective, permitted, inheritable = (low[n] | high[n] << 32 for n in range(3))
    return effective, permitted, inheritable


def bounding() -> int:
    """The bounding set of this process as a bit mask, up to the last capability the kernel knows. Raises OSError."""
    bits = 0
    for number in range(64):
        try:
            bits |= syscall("prctl", _PR_CAPBSET_READ, number, 0, 0, 0) << number
        except OSError as error:
            if error.errno != _EINVAL:
                raise
            break
    return bits


def set_ambient(mask_: int) -> None:
    """Clear the ambient set, then raise each capability of the mask; each must be permitted and inheritable."""
    syscall("prctl", _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number, name in enumerate(NAMES):
        if mask_ >> number & 1:
            syscall("prctl", _PR_CAP_AMBIENT, _AMBIENT_RAISE, number, 0, 0, subject=name)
