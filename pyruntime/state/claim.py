"""A second note of which process and which cgroup are a container's, kept apart from the state file.

    ROOT/ID/claim -> BOOT_ID/PID/START/INODE/CGROUP

A symbolic link, for its text is there whole or not at all; nobody follows it. It is made with the cgroup, with 0 for
the process, and again once init is in it.
So it does what the state file can't: it survives that file's loss, and it proves whose cgroup it is, for the inode
of a cgroup is not given out twice during a boot (kernfs counts in 64 bits), while its path may be.
"""

import posix as os

from pyruntime.kernel.procfs import boot_id, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.state.store import Container

NAME = "claim"
_NEW = ".claim"
NAMES = (NAME, _NEW)


def write(container: "Container") -> None:
    """Note the cgroup, and init when there is one; a note of init stays as it was first. Raises OSError."""
    if _names_init(container.dir_fd):
        return
    boot, start = container.own.get("bootId"), container.data.get("init_process_start")
    text = f"{boot}/{container.pid}/{start}/{_inode(container.cgroup)}/{container.cgroup.lstrip('/')}"
    try:
        os.unlink(_NEW, dir_fd=container.dir_fd)
    except FileNotFoundError:
        pass
    os.symlink(text, _NEW, dir_fd=container.dir_fd)
    os.rename(_NEW, NAME, src_dir_fd=container.dir_fd, dst_dir_fd=container.dir_fd)


def _names_init(dir_fd: int) -> bool:
    try:
        return os.readlink(NAME, dir_fd=dir_fd).split("/")[1] != "0"
    except (OSError, IndexError):
        return False


def read(dir_fd: int) -> "tuple[int, str]":
    """(pid of init, directory of its cgroup): each proven by the kernel now, 0 and "" what is not, or not any more."""
    try:
        boot, pid, start, inode, path = os.readlink(NAME, dir_fd=dir_fd).split("/", 4)
    except (OSError, ValueError):
        return 0, ""
    if boot != boot_id():
        return 0, ""
    cgroup = f"/{path}" if path and str(_inode(f"/{path}")) == inode else ""
    return int(pid) if pid.isdigit() and str(start_time(int(pid))) == start else 0, cgroup


def cgroup(container: "Container") -> str:
    """The container's cgroup, "" for one that is gone, or that others have made at its path since.

    Where no note is left of it the state file is taken at its word.
    """
    try:
        os.readlink(NAME, dir_fd=container.dir_fd)
    except OSError:
        return container.cgroup
    return read(container.dir_fd)[1]


def _inode(directory: str) -> int:
    """0 for a cgroup that is not there, which no inode is."""
    try:
        return os.stat(directory).st_ino if directory else 0
    except OSError:
        return 0
