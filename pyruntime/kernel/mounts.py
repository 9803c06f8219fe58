"""Mounts by descriptor, as the new mount API has them: open_tree(2), move_mount(2), fsopen(2), mount_setattr(2).

A mount is built detached, given its final attributes, and only then attached: nothing ever sees it in between.
Linux 5.2, mount_setattr 5.12.
"""

import _struct
import posix as os

from pyruntime.kernel.syscall import syscall

AT_FDCWD = -100
_AT_EMPTY_PATH, _AT_RECURSIVE, _AT_NO_AUTOMOUNT, _AT_SYMLINK_NOFOLLOW = 0x1000, 0x8000, 0x800, 0x100
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40
_FSOPEN_CLOEXEC, _FSMOUNT_CLOEXEC = 1, 1
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_MNT_DETACH = 2

# MOUNT_ATTR_* of <linux/mount.h>
RDONLY, NOSUID, NODEV, NOEXEC = 0x1, 0x2, 0x4, 0x8
RELATIME, NOATIME, STRICTATIME, ATIME_FIELD = 0x0, 0x10, 0x20, 0x70
NODIRATIME, NOSYMFOLLOW = 0x80, 0x200000

# MS_* propagation types, as mount_setattr takes them.
PROPAGATION = {"shared": 1 << 20, "slave": 1 << 19, "private": 1 << 18, "unbindable": 1 << 17}


def open_tree(path: str, recursive: bool, dir_fd: int = AT_FDCWD, follow: bool = True) -> int:
    """A detached copy of the mount at `path` ("": of `dir_fd` itself), with what is mounted below it if `recursive`.

    Raises OSError whose filename is the path.
    """
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    flags |= 0 if path else _AT_EMPTY_PATH
    flags |= 0 if follow else _AT_SYMLINK_NOFOLLOW
    return syscall("open_tree", dir_fd, encode(path), flags, subject=path)


def encode(path: str) -> bytes:
    """A path as the kernel's bytes."""
    return path.encode("utf-8", "surrogateescape")


def attach(mount_fd: int, target_fd: int) -> None:
    """Attach a detached mount on top of the directory or file behind `target_fd` (move_mount(2)). Raises OSError."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    syscall("move_mount", mount_fd, b"", target_fd, b"", flags)


def set_attributes(
    mount_fd: int, set_flags: int, clear_flags: int = 0, propagation: int = 0, recursive: bool = False, path: str = ""
) -> None:
    """Change attributes or the propagation of a mount, with everything below it if `recursive` (mount_setattr(2))."""
    flags = (_AT_RECURSIVE if recursive else 0) | (0 if path else _AT_EMPTY_PATH)
    attr = _struct.pack("4Q", set_flags, clear_flags, propagation, 0)
    syscall("mount_setattr", mount_fd, encode(path), flags, attr, len(attr))


class FilesystemError(OSError):
    """What a filesystem said while it was configured: its own message beside the errno."""


def new_filesystem(fstype: str, source: str, options: "list[tuple[str, str | None]]", attributes: int) -> int:
    """A detached mount of a new filesystem instance: fsopen, fsconfig of every option, fsmount.

    `options` are (name, value) or (name, None) for a flag; `attributes` are MOUNT_ATTR_*. Raises OSError
    (ENODEV: the kernel has no such filesystem) or FilesystemError with the filesystem's own message.
    """
    fs_fd = syscall("fsopen", encode(fstype), _FSOPEN_CLOEXEC, subject=fstype)
    try:
        _configure(fs_fd, "source", source)
        for name, value in options:
            _configure(fs_fd, name, value)
        _checked(fs_fd, "", "fsconfig", fs_fd, _FSCONFIG_CMD_CREATE, 0, 0, 0)
        return _checked(fs_fd, "", "fsmount", fs_fd, _FSMOUNT_CLOEXEC, attributes)
    finally:
        os.close(fs_fd)


def _configure(fs_fd: int, name: str, value: "str | None") -> None:
    if value is None:
        _checked(fs_fd, name, "fsconfig", fs_fd, _FSCONFIG_SET_FLAG, encode(name), 0, 0)
    else:
        subject = f"{name}={value}"
        _checked(fs_fd, subject, "fsconfig", fs_fd, _FSCONFIG_SET_STRING, encode(name), encode(value), 0)


def _checked(fs_fd: int, subject: str, name: str, *arguments: "int | bytes") -> int:
    try:
        return syscall(name, *arguments)
    except OSError as error:
        said = _messages(fs_fd)
        if not said and not subject:
            raise
        raise FilesystemError(error.errno, error.strerror, f"{subject} ({said})" if said else subject) from None


def _messages(fs_fd: int) -> str:
    """What the filesystem logged to its context: lines `e message`, read(2) until ENODATA (fsopen(2))."""
    lines: "list[str]" = []
    try:
        while len(lines) < 4:
            lines.append(os.read(fs_fd, 512).decode("utf-8", "replace").strip()[2:])
    except OSError:
        pass
    return "; ".join(lines)


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
    syscall("mount", b".", b"/", 0, 0x2000, 0)
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
