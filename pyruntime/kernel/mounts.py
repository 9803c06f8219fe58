"""Mounts: each is made apart, given its final attributes, and only then attached, so nothing sees it in between.

Two ways lead there. The first is the new mount API (kernel/mountapi.py). Where the kernel or an outer seccomp filter
refuses that, `use_mount_call` changes over to mount(2) (kernel/mountcall.py), for this process and its children.
"""

import posix as os

from pyruntime.kernel.mountapi import MountApi, encode
from pyruntime.kernel.syscall import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.kernel.mountcall import MountCall

AT_FDCWD = -100
_MNT_DETACH = 2
_MS_MOVE = 0x2000

# MOUNT_ATTR_* of <linux/mount.h>
RDONLY, NOSUID, NODEV, NOEXEC = 0x1, 0x2, 0x4, 0x8
RELATIME, NOATIME, STRICTATIME, ATIME_FIELD = 0x0, 0x10, 0x20, 0x70
NODIRATIME, NOSYMFOLLOW = 0x80, 0x200000

# MS_* propagation types, as mount_setattr takes them.
PROPAGATION = {"shared": 1 << 20, "slave": 1 << 19, "private": 1 << 18, "unbindable": 1 << 17}

_way: "MountApi | MountCall" = MountApi()


def use_mount_call() -> None:
    """Mount by mount(2) from here on. Raises OSError when /proc is no procfs, through which it names descriptors."""
    global _way
    from pyruntime.kernel.mountcall import MountCall  # few hosts need it

    _way = MountCall()


def open_tree(path: str, recursive: bool, dir_fd: int = AT_FDCWD, follow: bool = True) -> int:
    """A copy, not attached, of the mount at `path` ("": of `dir_fd` itself), with those below it if `recursive`.

    Raises OSError whose filename is the path.
    """
    return _way.open_tree(path, recursive, dir_fd, follow)


def new_filesystem(fstype: str, source: str, options: "list[tuple[str, str | None]]", attributes: int) -> int:
    """A mount, not attached, of a new filesystem instance.

    `options` are (name, value) or (name, None) for a flag; `attributes` are MOUNT_ATTR_*. Raises OSError
    (ENODEV: the kernel has no such filesystem) or FilesystemError with the filesystem's own message.
    """
    return _way.new_filesystem(fstype, source, options, attributes)


def attach(mount_fd: int, target_fd: int) -> None:
    """Attach a mount on top of the directory or file behind `target_fd`. Raises OSError."""
    _way.attach(mount_fd, target_fd)


def set_attributes(
    mount_fd: int, set_flags: int, clear_flags: int = 0, propagation: int = 0, recursive: bool = False, path: str = ""
) -> None:
    """Change attributes or the propagation of a mount, with everything below it if `recursive`. Raises OSError.

    mount(2) can't change attributes recursively: ENOSYS, unless nothing is mounted below.
    """
    _way.set_attributes(mount_fd, set_flags, clear_flags, propagation, recursive, path)


def prepare(target_fd: int) -> None:
    """Called once with the directory that the container's root is going to cover, before the first mount."""
    _way.prepare(target_fd)


def bind_file(source_fd: int, target_fd: int) -> None:
    """Bind the file behind one descriptor on the file behind another, also after the root has changed."""
    _way.bind_file(source_fd, target_fd)


def map_ids(mount_fd: int, user_namespace: int, recursive: bool) -> None:
    """Show the owners of a mount that is not attached yet as a user namespace maps them (mount_setattr(2), Linux 5.12).

    Raises OSError (EINVAL: the filesystem can't; EPERM: mapped already, or another user namespace's filesystem).
    """
    _way.map_ids(mount_fd, user_namespace, recursive)


def unmount(path: str) -> None:
    """Detach the mount at `path` and everything below it (umount2(2), MNT_DETACH). Raises OSError."""
    syscall("umount2", encode(path), _MNT_DETACH, subject=path)


def pivot_root(root_fd: int) -> None:
    """Make the mount behind `root_fd` the root of this mount namespace and drop the old one (pivot_root(2)).

    Both names are ".", so no directory for the old root is needed; it is made a slave first, so that detaching it
    does not travel to the host. It is reached by a descriptor: "." is the new root still, with the old one above it.
    Raises OSError (EINVAL: the current root is the initramfs, or the new one is shared).
    """
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(root_fd)
    syscall("pivot_root", b".", b".")
    set_attributes(old, 0, propagation=PROPAGATION["slave"], recursive=True)
    os.fchdir(old)
    os.close(old)
    unmount(".")
    os.chdir("/")


def move_root(root_fd: int, rootfs: str, mountinfo: str) -> None:
    """The root change without pivot_root, for a root on an initramfs: MS_MOVE over "/", then chroot(2).

    The old tree stays below, out of reach by name only, so the host's procfs and sysfs are taken off it first: whoever
    climbs out, or mounts anew in a user namespace, would find them without the container's masks. Raises OSError.
    """
    for point in _host_views(mountinfo, rootfs):
        _take_off(point)
    os.fchdir(root_fd)
    syscall("mount", b".", b"/", 0, _MS_MOVE, 0)
    os.chroot(".")
    os.chdir("/")


def _host_views(mountinfo: str, rootfs: str) -> "list[str]":
    """The mount points of procfs and sysfs outside the rootfs (proc_pid_mountinfo(5)), the innermost first."""
    found = []
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        point = fields[4].replace("\\040", " ")
        if fields[fields.index("-") + 1] in ("proc", "sysfs") and not f"{point}/".startswith(f"{rootfs}/"):
            found.append(point)
    return found[::-1]


def _take_off(point: str) -> None:
    """Detach a mount of the old root, or cover it where that is refused (a locked mount of another user namespace)."""
    try:
        set_attributes(AT_FDCWD, 0, propagation=PROPAGATION["slave"], recursive=True, path=point)
        unmount(point)
    except OSError as error:
        if error.errno not in (1, 22):
            raise
        cover = new_filesystem("tmpfs", "tmpfs", [("ro", None)], RDONLY)
        target = os.open(point, 0o10000000 | os.O_DIRECTORY)
        attach(cover, target)
        os.close(cover)
        os.close(target)
