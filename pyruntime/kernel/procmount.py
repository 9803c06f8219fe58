"""procfs, reached through a handle that is known to be procfs.

Labels, sysctls and process files are written through one descriptor of a procfs of our own (fsopen "proc", never
attached anywhere), so a container that mounts something over /proc/self/attr or /proc/sys can't redirect a write.
"""

import _struct
import posix as os

from pyruntime.kernel.mountapi import encode
from pyruntime.kernel.mounts import new_filesystem
from pyruntime.kernel.paths import O_PATH, PROC_SUPER_MAGIC, filesystem_type
from pyruntime.kernel.syscall import syscall

CGROUP2_SUPER_MAGIC = 0x63677270
_PROC_ROOT_INO = 1
_RESOLVE_NO_XDEV, _RESOLVE_NO_MAGICLINKS, _RESOLVE_BENEATH = 0x01, 0x02, 0x08
_ENOENT, _ENOSYS, _EPERM, _EIO = 2, 38, 1, 5


def open_private(processes_only: bool = False) -> int:
    """A procfs of our own as a directory descriptor; else the one at /proc, after checking that it is a whole one.

    `processes_only`: without /proc/sys and the like (`subset=pid`, Linux 5.8). The second is for user namespaces that
    may not mount procfs. Raises OSError when there is neither.
    """
    options: "list[tuple[str, str | None]]" = [("subset", "pid")] if processes_only else []
    try:
        return new_filesystem("proc", "proc", options, 0)
    except OSError:
        fd = os.open("/proc", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if filesystem_type(fd) != PROC_SUPER_MAGIC or os.fstat(fd).st_ino != _PROC_ROOT_INO:
            os.close(fd)
            raise OSError(_ENOENT, "is not procfs", "/proc") from None
        return fd


def open_in(proc_fd: int, path: str, flags: int) -> int:
    """Open a file of this procfs and of no mount on top of it, without any magic link on the way; close-on-exec.

    openat2(2), Linux 5.6; where a filter hides that call, the file found must be procfs's. Raises OSError whose
    filename is the path below /proc.
    """
    flags |= os.O_CLOEXEC
    how = _struct.pack("3Q", flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_XDEV | _RESOLVE_NO_MAGICLINKS)
    try:
        return syscall("openat2", proc_fd, encode(path), how, len(how), subject=f"/proc/{path}")
    except OSError as error:
        if error.errno not in (_ENOSYS, _EPERM):
            raise
    return _open_checked(proc_fd, path, flags)


def _open_checked(proc_fd: int, path: str, flags: int) -> int:
    try:
        fd = os.open(path, flags | os.O_NOFOLLOW, dir_fd=proc_fd)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"/proc/{path}") from None
    if filesystem_type(fd) != PROC_SUPER_MAGIC:
        os.close(fd)
        raise OSError(_ENOENT, "is not procfs", f"/proc/{path}")
    return fd


def write_in(proc_fd: int, path: str, text: str) -> None:
    """Write one value to a file of this procfs in one write(2). Raises OSError with the path below /proc."""
    fd = open_in(proc_fd, path, os.O_WRONLY)
    try:
        data = encode(text)
        if os.write(fd, data) != len(data):
            raise OSError(_EIO, "short write")
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"/proc/{path}") from None
    finally:
        os.close(fd)


def read_in(proc_fd: int, path: str) -> str:
    """The text of a file of this procfs, up to a page. Raises OSError with the path below /proc."""
    fd = open_in(proc_fd, path, os.O_RDONLY)
    try:
        return os.read(fd, 4096).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"/proc/{path}") from None
    finally:
        os.close(fd)
