"""The security modules: which is on, and the attributes of a process that they keep in procfs.

proc_pid_attr(5); the kernel's Documentation/admin-guide/LSM. AppArmor has a folder of its own below attr/ since Linux
5.1, where it may stand beside another module; older kernels have one set of files for whichever module is first.
"""

import posix as os

from pyruntime.kernel import paths, procmount
from pyruntime.kernel.paths import O_PATH
from pyruntime.kernel.procfs import read

SELINUX_MAGIC = 0xF97CFF8C
_SELINUXFS = "/sys/fs/selinux"
_ENABLED = "/sys/module/apparmor/parameters/enabled"
_ENOENT = 2


def apparmor_on() -> bool:
    """Whether AppArmor is in force: by the kernel's parameter, since callers may have unmounted securityfs."""
    try:
        return read(_ENABLED).startswith("Y")
    except OSError:
        return False


def selinux_on() -> bool:
    """Whether SELinux has a policy: selinuxfs is there, not read-only (so containers see it), and we have a label."""
    try:
        fd = os.open(_SELINUXFS, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = paths.filesystem_type(fd) == SELINUX_MAGIC and not os.fstatvfs(fd).f_flag & os.ST_RDONLY
        finally:
            os.close(fd)
        return found and plain(read("/proc/self/attr/current")) != "kernel"
    except OSError:
        return False


def attribute(proc_fd: int, candidates: "tuple[str, ...]") -> str:
    """The first of these files below thread-self/attr that is there; the last one if none is.

    `proc_fd` is a procfs known to be one. Raises OSError for anything but a missing file.
    """
    for name in candidates[:-1]:
        path = f"thread-self/attr/{name}"
        try:
            os.close(procmount.open_in(proc_fd, path, os.O_RDONLY))
            return path
        except OSError as error:
            if error.errno != _ENOENT:
                raise
    return f"thread-self/attr/{candidates[-1]}"


def plain(text: str) -> str:
    """An attribute's value as text: the kernel ends some with a newline, others with a NUL."""
    return text.rstrip("\0\n")
