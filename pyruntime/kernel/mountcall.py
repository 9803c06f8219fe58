"""Mounts by mount(2), for kernels and seccomp filters that refuse the new mount API; Linux 5.10 or older.

mount(2) changes what is attached already. So a mount is first attached at a stage: a tmpfs that only this mount
namespace has, below the directory that the container's root will cover. There it gets its attributes, each is read
back (fstatvfs(3)), and MS_MOVE takes it to its place. Descriptors become paths by /proc/self/fd of a procfs that was
opened, and found to be one, before the container had a say.
"""

import posix as os

from pyruntime.errors import Error
from pyruntime.kernel import mounts as m
from pyruntime.kernel.mountapi import encode
from pyruntime.kernel.paths import O_PATH, PROC_SUPER_MAGIC, filesystem_type
from pyruntime.kernel.procfs import read
from pyruntime.kernel.syscall import syscall

_MS_REMOUNT, _MS_BIND, _MS_MOVE, _MS_REC = 0x20, 0x1000, 0x2000, 0x4000
_MS_RELATIME, _MS_STRICTATIME = 1 << 21, 1 << 24
# MOUNT_ATTR_*, MS_* of mount(2), ST_* of statvfs(3)
_FLAGS = (
    (m.RDONLY, 0x1, 0x1), (m.NOSUID, 0x2, 0x2), (m.NODEV, 0x4, 0x4), (m.NOEXEC, 0x8, 0x8), (m.NODIRATIME, 0x800, 0x800),
    (m.NOSYMFOLLOW, 0x100, 0x2000),
)  # fmt: skip
_ST_NOATIME, _ST_RELATIME = 0x400, 0x1000
_ATIMES = {m.RELATIME: _MS_RELATIME, m.NOATIME: 0x400, m.STRICTATIME: _MS_STRICTATIME}
# What fsconfig(2) takes as an option and mount(2) as a flag.
_SUPERBLOCK = {
    "ro": 0x1, "rw": 0, "sync": 0x10, "async": 0, "dirsync": 0x80, "mand": 0x40, "nomand": 0, "lazytime": 1 << 25,
    "nolazytime": 0, "i_version": 1 << 23,
}  # fmt: skip
_S_IFMT, _S_IFDIR = 0o170000, 0o040000
_EPERM, _EINVAL, _ENOSYS = 1, 22, 38
_DATA_MAX = os.sysconf("SC_PAGESIZE") - 1  # bytes of mount(2)'s data, a page with its NUL


class MountCall:
    """The functions of kernel/mounts.py, which describes them, by mount(2)."""

    def __init__(self) -> None:
        self.proc = os.open("/proc", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if filesystem_type(self.proc) != PROC_SUPER_MAGIC:
            raise OSError(_EINVAL, "is not procfs", "/proc")
        self.stage = -1
        self.places = 0

    def prepare(self, target_fd: int) -> None:
        """Mount the stage. Unbindable, so that a bind of the directory below does not take it along."""
        name = f"pyruntime-stage-{os.getpid()}"
        self._mount(name, f"self/fd/{target_fd}", "tmpfs", 0, "mode=0700,size=1m")
        # That descriptor is still of the directory below. Its path leads to the stage, unless it is renamed meanwhile.
        path = os.readlink(f"self/fd/{target_fd}", dir_fd=self.proc)
        stage = os.open(path, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        if os.fstat(stage).st_dev != self._device(name):
            raise OSError(_EINVAL, "was moved while it was mounted on", path)
        self._mount("none", f"self/fd/{stage}", "", m.PROPAGATION["unbindable"])
        self.stage = stage

    def _device(self, source: str) -> int:
        """The device number of the filesystem that was mounted last from `source` (proc_pid_mountinfo(5)), or 0."""
        found = 0
        for line in self._mountinfo():
            fields = line.split(" ")
            if fields[-2] == source:
                major, _, minor = fields[2].partition(":")
                found = os.makedev(int(major), int(minor))
        return found

    def _mountinfo(self) -> "list[str]":
        return read("self/mountinfo", dir_fd=self.proc).splitlines()

    def open_tree(self, path: str, recursive: bool, dir_fd: int, follow: bool) -> int:
        """A bind on the stage."""
        source = os.dup(dir_fd) if not path else _open(path, dir_fd, follow)
        try:
            place = self._place(os.fstat(source).st_mode & _S_IFMT == _S_IFDIR)
            self._mount(
                f"self/fd/{source}", self._staged(place), "", _MS_BIND | (_MS_REC if recursive else 0), "", path
            )
            return self._open_staged(place)
        finally:
            os.close(source)

    def new_filesystem(self, fstype: str, source: str, options: "list[tuple[str, str | None]]", attributes: int) -> int:
        """A new mount on the stage. Its attributes are given twice: some filesystems refuse to begin without them."""
        flags = 0
        data = []
        for name, value in options:
            if value is None and name in _SUPERBLOCK:
                flags |= _SUPERBLOCK[name]
            elif "," in f"{name}{value}":  # mount(2) would take what follows for the next option
                raise OSError(_EINVAL, os.strerror(_EINVAL), f"{name}={value}")
            else:
                data.append(name if value is None else f"{name}={value}")
        if len(encode(",".join(data))) > _DATA_MAX:  # the kernel would cut it there, and not tell
            raise Error(f"{fstype}: more than {_DATA_MAX} bytes of options for mount(2)")
        place = self._place(True)
        flags |= _to_ms(attributes & ~m.RDONLY)
        self._mount(source, self._staged(place), fstype, flags, ",".join(data), fstype)
        mount_fd = self._open_staged(place)
        self._remount(mount_fd, attributes)
        return mount_fd

    def attach(self, mount_fd: int, target_fd: int) -> None:
        """MS_MOVE from the stage."""
        self._mount(f"self/fd/{mount_fd}", f"self/fd/{target_fd}", "", _MS_MOVE)

    def bind_file(self, source_fd: int, target_fd: int) -> None:
        """A bind as it is: the stage goes with the old root."""
        self._mount(f"self/fd/{source_fd}", f"self/fd/{target_fd}", "", _MS_BIND)

    def map_ids(self, mount_fd: int, user_namespace: int, recursive: bool) -> None:
        """mount(2) has no such thing: ENOSYS."""
        raise OSError(_ENOSYS, os.strerror(_ENOSYS))

    def set_attributes(
        self, mount_fd: int, set_flags: int, clear_flags: int, propagation: int, recursive: bool, path: str
    ) -> None:
        """MS_REMOUNT with all that the mount has already and is to keep; a call of its own for the propagation."""
        fd = _open(path, mount_fd, True) if path else mount_fd
        try:
            if propagation:
                self._mount("none", f"self/fd/{fd}", "", propagation | (_MS_REC if recursive else 0))
            if set_flags or clear_flags:
                if recursive and self._has_mounts_below(fd):
                    raise OSError(_ENOSYS, os.strerror(_ENOSYS))
                self._remount(fd, _attributes(fd) & ~clear_flags | set_flags)
        finally:
            if path:
                os.close(fd)

    def _remount(self, fd: int, attributes: int) -> None:
        """Raises OSError with EPERM also when the kernel said yes and did not do it."""
        if _attributes(fd) == attributes:
            return
        self._mount("none", f"self/fd/{fd}", "", _MS_REMOUNT | _MS_BIND | _to_ms(attributes))
        if attributes & ~_attributes(fd) & ~m.ATIME_FIELD:
            raise OSError(_EPERM, os.strerror(_EPERM))

    def _has_mounts_below(self, fd: int) -> bool:
        """By mount points (proc_pid_mountinfo(5)), whose blanks are octal there; a name used twice counts as well."""
        path = os.readlink(f"self/fd/{fd}", dir_fd=self.proc)
        for character in "\\ \t\n":
            path = path.replace(character, f"\\{ord(character):03o}")
        return any(line.split(" ")[4].startswith(f"{path}/".replace("//", "/")) for line in self._mountinfo())

    def _mount(self, source: str, target: str, fstype: str, flags: int, data: str = "", subject: str = "") -> None:
        """mount(2) with paths below our procfs."""
        back = os.open(".", O_PATH | os.O_CLOEXEC)
        os.fchdir(self.proc)
        try:
            kind = encode(fstype) if fstype else 0
            syscall("mount", encode(source), encode(target), kind, flags, encode(data), subject=subject or None)
        finally:
            os.fchdir(back)
            os.close(back)

    def _place(self, directory: bool) -> str:
        """A directory or file on the stage to mount on; returns its name, which none of a rootfs has."""
        if self.stage < 0:
            raise OSError(_ENOSYS, os.strerror(_ENOSYS))
        self.places += 1
        name = f".pyruntime-mount-{self.places}"
        if directory:
            os.mkdir(name, 0o700, dir_fd=self.stage)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self.stage))
        return name

    def _staged(self, place: str) -> str:
        return f"self/fd/{self.stage}/{place}"

    def _open_staged(self, place: str) -> int:
        return os.open(place, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.stage)


def _open(path: str, dir_fd: int, follow: bool) -> int:
    flags = O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    return os.open(path, flags, dir_fd=dir_fd if dir_fd >= 0 else None)


def _to_ms(attributes: int) -> int:
    """MOUNT_ATTR_* as MS_*; the kind of access times is always said, as none means to keep it."""
    flags = _ATIMES[attributes & m.ATIME_FIELD]
    for attribute, flag, _ in _FLAGS:
        flags |= flag if attributes & attribute else 0
    return flags


def _attributes(fd: int) -> int:
    """The attributes that a mount has (fstatvfs(3)), as MOUNT_ATTR_*."""
    found = os.fstatvfs(fd).f_flag
    attributes = m.NOATIME if found & _ST_NOATIME else m.RELATIME if found & _ST_RELATIME else m.STRICTATIME
    for attribute, _, flag in _FLAGS:
        attributes |= attribute if found & flag else 0
    return attributes
