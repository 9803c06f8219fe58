"""Namespaces: namespaces(7), clone(2), setns(2), unshare(2), ioctl_ns(2)."""

import fcntl
import posix as os

from pyruntime.kernel.syscall import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# The spec's name of a namespace, the kernel's flag, its file below /proc/PID/ns.
FLAGS = {
    "user": 0x10000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
    "network": 0x40000000,
    "pid": 0x20000000,
    "cgroup": 0x02000000,
    "mount": 0x00020000,
    "time": 0x00000080,
}
FILES = {
    "user": "user",
    "ipc": "ipc",
    "uts": "uts",
    "network": "net",
    "pid": "pid",
    "cgroup": "cgroup",
    "mount": "mnt",
    "time": "time",
}
SHORT = {kind: "NS" if kind == "mount" else name.upper() for kind, name in FILES.items()}  # as in CLONE_NEW…
_NS_GET_NSTYPE = 0xB703


def mask(types: "list[str]") -> int:
    """The flags of several namespace types, or-ed."""
    flags = 0
    for kind in types:
        flags |= FLAGS[kind]
    return flags


def open_namespace(path: str, kind: str) -> int:
    """Open a namespace file. Raises OSError, or ValueError when it is none of that kind (NS_GET_NSTYPE)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        found = fcntl.ioctl(fd, _NS_GET_NSTYPE)
    except OSError:
        os.close(fd)
        raise ValueError("is no namespace") from None
    if found != FLAGS[kind]:
        os.close(fd)
        names = [name for name, flag in FLAGS.items() if flag == found]
        raise ValueError(f"is a {names[0] if names else 'different'} namespace")
    return fd


def apart(pid: int, kinds: "Iterable[str]") -> "list[str]":
    """Those of these types whose namespace a process and we do not share; all, if it is gone or not ours to look at."""
    return [kind for kind in kinds if _inode(f"/proc/{pid}/ns/{FILES[kind]}") != _inode(f"/proc/self/ns/{FILES[kind]}")]


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:  # a kernel may be built without a kind, and then nobody has it
        return 0


def setns(fd: int, kind: str) -> None:
    """Move the caller into a namespace; of kinds pid and time its future children. Raises OSError."""
    syscall("setns", fd, FLAGS[kind])


def unshare(types: "list[str]") -> None:
    """Give the caller new namespaces of these types; of kinds pid and time its future children. Raises OSError."""
    syscall("unshare", mask(types))
