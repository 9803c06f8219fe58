"""The new mount API: open_tree(2), move_mount(2), fsopen(2), mount_setattr(2); Linux 5.12.

A mount is a descriptor that belongs to no mount namespace until it is attached.
"""

import _struct
import posix as os

from pyruntime.errors import Error
from pyruntime.kernel.syscall import syscall

_AT_EMPTY_PATH, _AT_RECURSIVE, _AT_SYMLINK_NOFOLLOW = 0x1000, 0x8000, 0x100
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40
_FSOPEN_CLOEXEC, _FSMOUNT_CLOEXEC = 1, 1
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_MOUNT_ATTR_IDMAP = 0x100000
_EPERM, _ENOSYS = 1, 38
_VALUE_MAX = 255  # bytes of an option's value, fsconfig(2)
_NO_FLAGS = 0xFFFFFFFF


def encode(path: str) -> bytes:
    """A path as the kernel's bytes."""
    return path.encode("utf-8", "surrogateescape")


def refused() -> str:
    """The first of the new calls that this kernel, or a seccomp filter around us, does not let us make; "" for none.

    Asked with flags that no kernel knows: those are looked at before the caller's rights are.
    """
    probes = (
        ("open_tree", (-1, b"", _NO_FLAGS)),
        ("mount_setattr", (-1, b"", _NO_FLAGS, 0, 0)),
        ("fsconfig", (-1, _NO_FLAGS, 0, 0, 0)),
    )
    for name, arguments in probes:
        try:
            syscall(name, *arguments)
        except OSError as error:
            if error.errno in (_EPERM, _ENOSYS):
                return name
    return ""


class FilesystemError(OSError):
    """What a filesystem said while it was configured: its own message beside the errno."""


class MountApi:
    """The functions of kernel/mounts.py, which describes them, by the new calls."""

    def open_tree(self, path: str, recursive: bool, dir_fd: int, follow: bool) -> int:
        """open_tree(2) with OPEN_TREE_CLONE."""
        flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
        flags |= 0 if path else _AT_EMPTY_PATH
        flags |= 0 if follow else _AT_SYMLINK_NOFOLLOW
        return syscall("open_tree", dir_fd, encode(path), flags, subject=path)

    def attach(self, mount_fd: int, target_fd: int) -> None:
        """move_mount(2)."""
        flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
        syscall("move_mount", mount_fd, b"", target_fd, b"", flags)

    def set_attributes(
        self, mount_fd: int, set_flags: int, clear_flags: int, propagation: int, recursive: bool, path: str
    ) -> None:
        """mount_setattr(2)."""
        _setattr(mount_fd, path, recursive, set_flags, clear_flags, propagation, 0)

    def map_ids(self, mount_fd: int, user_namespace: int, recursive: bool) -> None:
        """mount_setattr(2) with MOUNT_ATTR_IDMAP."""
        _setattr(mount_fd, "", recursive, _MOUNT_ATTR_IDMAP, 0, 0, user_namespace)

    def prepare(self, target_fd: int) -> None:
        """Nothing: a mount needs no place until it is attached."""

    def bind_file(self, source_fd: int, target_fd: int) -> None:
        """A copy of the source's mount, attached."""
        tree = self.open_tree("", False, source_fd, True)
        try:
            self.attach(tree, target_fd)
        finally:
            os.close(tree)

    def new_filesystem(self, fstype: str, source: str, options: "list[tuple[str, str | None]]", attributes: int) -> int:
        """fsopen(2), fsconfig(2) of every option, fsmount(2)."""
        fs_fd = syscall("fsopen", encode(fstype), _FSOPEN_CLOEXEC, subject=fstype)
        try:
            _configure(fs_fd, "source", source)
            for name, value in options:
                _configure(fs_fd, name, value)
            _checked(fs_fd, "", "fsconfig", fs_fd, _FSCONFIG_CMD_CREATE, 0, 0, 0)
            return _checked(fs_fd, "", "fsmount", fs_fd, _FSMOUNT_CLOEXEC, attributes)
        finally:
            os.close(fs_fd)


def _setattr(fd: int, path: str, recursive: bool, on: int, off: int, propagation: int, user_namespace: int) -> None:
    flags = (_AT_RECURSIVE if recursive else 0) | (0 if path else _AT_EMPTY_PATH)
    attr = _struct.pack("4Q", on, off, propagation, user_namespace)
    syscall("mount_setattr", fd, encode(path), flags, attr, len(attr))


def _configure(fs_fd: int, name: str, value: "str | None") -> None:
    if value is None:
        _checked(fs_fd, name, "fsconfig", fs_fd, _FSCONFIG_SET_FLAG, encode(name), 0, 0)
    elif len(encode(value)) > _VALUE_MAX:
        raise Error(f"{name}: more than {_VALUE_MAX} bytes, the longest value that fsconfig(2) takes; shorten paths")
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
