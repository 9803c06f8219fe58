"""Our own executable, kept out of reach of those who see our process from inside a container.

/proc/PID/exe of the process that becomes the container leads to the host's Python, and it can be followed and kept by
whoever may look at that process, or by an entry point or `#!` line that names it. If that were the host's file, it
could be written once we are gone. So before anything is made it becomes a file that nobody can write.
"""

import fcntl
import posix as os
import sys

from pyruntime.kernel import mounts
from pyruntime.kernel.remap import replace_executable
from pyruntime.kernel.syscall import syscall

LINK = "/proc/self/exe"
_ST_RDONLY = 1
_F_ADD_SEALS, _F_GET_SEALS = 1033, 1034
_SEALS = 0x0F  # F_SEAL_SEAL, SHRINK, GROW and WRITE: memfd_create(2)
_F_SEAL_WRITE = 0x08
_MFD_CLOEXEC, _MFD_ALLOW_SEALING = 1, 2
_MFD_EXEC = 0x10  # Linux 6.3; with vm.memfd_noexec=1 a memfd can't be executed without


def protection() -> str:
    """What keeps the file behind /proc/self/exe from being written through it, "" for nothing. Raises OSError."""
    fd = os.open(LINK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _is_sealed(fd):
            return "a sealed copy in memory"
        if os.fstatvfs(fd).f_flag & _ST_RDONLY and os.readlink(LINK) == "/":  # the root of a mount that is nowhere
            return "a read-only mount that is attached nowhere"
        found = os.fstat(fd)
    finally:
        os.close(fd)
    # Ids that an unprivileged user may map never include root's, and what is not mapped is nobody's in a container.
    foreign = found.st_uid == found.st_gid == 0 and not found.st_mode & 0o022
    return "root's ownership of it" if foreign and os.geteuid() != 0 else ""


def _is_sealed(fd: int) -> bool:
    """Whether this file takes no write any more; any file of a tmpfs has seals, only not this one."""
    try:
        return bool(fcntl.fcntl(fd, _F_GET_SEALS) & _F_SEAL_WRITE)
    except OSError:  # EINVAL: of another filesystem
        return False


def protect() -> None:
    """Put a file that nobody can write behind /proc/self/exe, unless one is there.

    A read-only mount of the executable, attached nowhere, or where that can't be had a sealed copy of it in memory.
    Where the link can't be changed, this executes the copy with the same command line: for the very beginning of a
    command. Raises OSError when nothing of this can be had.
    """
    if protection():
        return
    try:
        fd = _read_only_mount()
    except OSError:
        fd = _sealed_copy()
    try:
        replace_executable(fd)
    except OSError:
        _begin_anew(fd if _is_sealed(fd) else _sealed_copy())
    os.close(fd)


def _read_only_mount() -> int:
    tree = mounts.open_tree(LINK, recursive=False)
    try:
        mounts.set_attributes(tree, mounts.RDONLY)
        return os.open(f"/proc/self/fd/{tree}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(tree)


def _sealed_copy() -> int:
    """A copy of our executable in a memfd that takes no write any more. Raises OSError."""
    flags = _MFD_CLOEXEC | _MFD_ALLOW_SEALING
    try:
        copy = syscall("memfd_create", b"pyruntime", flags | _MFD_EXEC)
    except OSError:
        copy = syscall("memfd_create", b"pyruntime", flags)
    source = os.open(LINK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while os.sendfile(copy, source, None, 1 << 30):
            pass
        fcntl.fcntl(copy, _F_ADD_SEALS, _SEALS)
        return os.open(f"/proc/self/fd/{copy}", os.O_RDONLY | os.O_CLOEXEC)  # one open for writing can't be executed
    finally:
        os.close(source)
        os.close(copy)


def _begin_anew(fd: int) -> None:
    os.execve(f"/proc/self/fd/{fd}", sys.orig_argv, os.environ)
