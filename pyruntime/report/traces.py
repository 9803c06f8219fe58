"""Files of Chrome's trace event format: a JSON list of events, or the same inside a page.

The list holds one event a line, so that a file of either kind is added to without being understood.
"""

import fcntl
import posix as os
from time import monotonic, sleep

from pyruntime.report.jsonout import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LANES = {1: "runtime (the command)", 2: "init (becomes the container)", 3: "kernel (system calls)", 4: "Wasm"}
_BEGIN, _END = "[\n", "\n]"
_PATIENCE, _PAUSE = 2.0, 0.01  # seconds: writing takes milliseconds
_S_IFMT, _S_IFREG = 0o170000, 0o100000
_MOST = 32 << 20  # bytes: a file that has grown so far begins anew


def append(file: str, title: str, events: "list[dict[str, object]]", page: "Callable[[str, str], str] | None") -> None:
    """Add events to a file, under its lock. `page` makes a page of a title and the list's text. Raises OSError."""
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    try:
        _demand_own(fd, file)
        _lock(fd)
        rows = [*_rows(_content(fd)), *(_row(event) for event in events)]
        text = _BEGIN + ",\n".join(rows) + _END
        data = (page(title, text) if page else text + "\n").encode("utf-8", "surrogateescape")
        os.lseek(fd, 0, 0)
        os.ftruncate(fd, 0)
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def _demand_own(fd: int, file: str) -> None:
    """In a folder that others write to, a hard link would let them have any file overwritten."""
    info = os.fstat(fd)
    if info.st_mode & _S_IFMT != _S_IFREG:
        raise OSError(f"{file} is no regular file")
    if info.st_nlink > 1:
        raise OSError(f"{file} is a second name of another file")


def _lock(fd: int) -> None:
    """Whoever may read the file may lock it as well, so the wait has an end. Raises BlockingIOError."""
    end = monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if monotonic() > end:
                raise
        sleep(_PAUSE)


def _row(event: "dict[str, object]") -> str:
    """One line; in a page `</script>` must not end the script."""
    return dumps(event).replace("</", "<\\/")


def _content(fd: int) -> str:
    size = os.fstat(fd).st_size
    data = os.read(fd, size) if size <= _MOST else b""
    return data.decode("utf-8", "replace")


def _rows(text: str) -> "list[str]":
    """The events of a file that we wrote; the names of the lanes, for one that is new or not ours."""
    begin, end = text.find(_BEGIN + '{"name":"thread_name"'), text.rfind(_END)
    if begin >= 0 and end > begin:
        return text[begin + len(_BEGIN) : end].split(",\n")
    return [
        _row({"name": "thread_name", "ph": "M", "pid": 1, "tid": lane, "args": {"name": name}})
        for lane, name in _LANES.items()
    ]
