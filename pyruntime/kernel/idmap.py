"""User namespaces that exist only to hold id maps, for id-mapped mounts: user_namespaces(7), mount_setattr(2)."""

import posix as os

from pyruntime.kernel.ns import FLAGS
from pyruntime.kernel.process import clone3, close_above
from pyruntime.kernel.procfs import write


def user_namespace(uid_map: str, gid_map: str) -> int:
    """A descriptor of a new user namespace with these maps; no process is in it when this returns.

    The maps are texts as /proc/PID/uid_map takes them. Raises OSError. The process that the namespace needs until it
    is opened waits for the end of a pipe, so it ends with us whatever ends us.
    """
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        pid = clone3(FLAGS["user"])
        if pid == 0:
            _wait(read_end)
        try:
            write(f"/proc/{pid}/gid_map", gid_map)
            write(f"/proc/{pid}/uid_map", uid_map)
            return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(write_end)
            write_end = -1
            os.waitpid(pid, 0)
    finally:
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)


def _wait(fd: int) -> None:
    """Hold nothing but the pipe: a lock or a descriptor of the caller would outlive it here."""
    try:
        os.dup2(fd, 0)
        close_above(0)
        os.read(0, 1)
    finally:
        os._exit(0)
