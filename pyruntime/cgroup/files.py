"""The small files of a cgroup directory: read, write, and what to say when that fails.

A directory is its path, or an open descriptor where the caller must not be led elsewhere by a rename.
"""

import posix as os

from pyruntime.errors import Error, explain_oserror

ENOENT, ENODEV, EBUSY, EINVAL, EOPNOTSUPP, ESRCH = 2, 19, 16, 22, 95, 3
GONE = (ENOENT, ENODEV)  # a removed cgroup: the path is free, or an open file of it has lost its cgroup


class CgroupError(Error):
    """The kernel refused something in the cgroup tree. `errno` is its number, 0 if there is none."""

    def __init__(self, text: str, errno: int = 0) -> None:
        super().__init__(text)
        self.errno = errno

    @classmethod
    def of(cls, what: str, error: OSError) -> "CgroupError":
        """`what` could not be done: `what: errno's text`, where `what` names the cgroup."""
        return cls(f"{what}: {explain_oserror(OSError(error.errno, error.strerror))}", error.errno or 0)


def opened(directory: "str | int", name: str, flags: int) -> int:
    """Open the file `name` of a cgroup; the descriptor is closed on exec. Raises OSError."""
    if isinstance(directory, int):
        return os.open(name, flags, dir_fd=directory)
    return os.open(f"{directory}/{name}", flags)


def read(directory: "str | int", name: str) -> str:
    """The whole text of a file of a cgroup. Raises OSError; ENODEV if the cgroup was removed meanwhile."""
    fd = opened(directory, name, os.O_RDONLY)
    try:
        return read_all(fd)
    finally:
        os.close(fd)


def read_all(fd: int) -> str:
    """The text from here to the end of file. Raises OSError."""
    text = b""
    while chunk := os.read(fd, 65536):
        text += chunk
    return text.decode("utf-8", "surrogateescape")


def write(directory: "str | int", name: str, value: str) -> None:
    """Write `value` in one write(2), as kernfs needs it; the file must exist. Raises OSError."""
    fd = opened(directory, name, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(fd, value.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)


def pairs(text: str) -> "dict[str, int]":
    """A flat keyed file (cgroup-v2.rst, "Format"): one `name number` a line; lines of another form are left out."""
    found = {}
    for line in text.splitlines():
        name, _, number = line.partition(" ")
        if number.isdigit():
            found[name] = int(number)
    return found
