"""A directory for a compiler that writes its result into a file and nowhere else."""

import posix as os

from pyruntime.errors import Error, explain_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_PLACES = ("/dev/shm", "/tmp", "/var/tmp")


class Scratch:
    """`with Scratch() as scratch`: `scratch.path` is a new directory, ours alone, removed at the end."""

    def __init__(self) -> None:
        """Make it. Raises Error when nothing can be made in any of the usual places."""
        self.path = ""
        why = ""
        for place in _PLACES:
            path = f"{place}/pyruntime-{os.urandom(8).hex()}"
            try:
                os.mkdir(path, 0o700)
            except OSError as error:
                why = explain_oserror(error)
            else:
                self.path = path
                return
        raise Error(f"the compiler has no room for its result: {why}")

    def __enter__(self) -> "Scratch":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", error: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        for name in os.listdir(self.path):
            os.unlink(f"{self.path}/{name}")
        os.rmdir(self.path)

    def read(self, name: str) -> bytes:
        """The content of a file in it. Raises OSError."""
        fd = os.open(f"{self.path}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            return b"".join(iter(lambda: os.read(fd, 1 << 20), b""))
        finally:
            os.close(fd)
