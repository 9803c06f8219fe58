"""Reading and writing the kernel's files: one write(2) a value, and what proc(5) tells of a process."""

import posix as os


def write(path: "str | bytes", text: str, dir_fd: "int | None" = None) -> None:
    """Write one value to a kernel file in one write(2). Raises OSError with the path as filename."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=dir_fd)
    try:
        data = text.encode("utf-8", "surrogateescape")
        if os.write(fd, data) != len(data):
            raise OSError(5, "short write", path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(fd)


def read(path: str, dir_fd: "int | None" = None) -> str:
    """The whole text of a kernel file. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
        return b"".join(parts).decode("utf-8", "surrogateescape")
    finally:
        os.close(fd)


def start_time(pid: int) -> "int | None":
    """When a process started, in clock ticks since boot (field 22 of /proc/PID/stat); None if gone or a zombie."""
    try:
        text = read(f"/proc/{pid}/stat")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id() -> str:
    """The random id of this boot of the kernel."""
    return read("/proc/sys/kernel/random/boot_id").strip()
