"""procfs, reached through a handle that is known to be procfs.

Labels, sysctls and process files are written through one descriptor of a procfs of our own (fsopen "proc", never
attached anywhere), so a container that mounts something over /proc/self/attr or /proc/sys can't redirect a write.
"""

import posix as os

from pyruntime.kernel.mounts import new_filesystem
from pyruntime.kernel.paths import O_PATH, PROC_SUPER_MAGIC, filesystem_type

CGROUP2_SUPER_MAGIC = 0x63677270


def open_private() -> int:
    """A procfs of our own as a directory descriptor; else the one at /proc, after checking that it is one.

    The second is for user namespaces that may not mount procfs. Raises OSError when there is neither.
    """
    try:
        return new_filesystem("proc", "proc", [], 0)
    except OSError:
        fd = os.open("/proc", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if filesystem_type(fd) != PROC_SUPER_MAGIC:
            os.close(fd)
            raise OSError(2, "is not procfs", "/proc") from None
        return fd
