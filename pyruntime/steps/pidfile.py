"""The file that tells the caller the pid."""

import posix as os

from pyruntime.errors import Error, explain_oserror
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker


class WritePidFile(Step):
    """The pid as bare digits, renamed into place so that nobody reads half of it."""

    lane = HOST

    def __init__(self, because: str, path: str) -> None:
        super().__init__(because)
        self.path = path

    def describe(self) -> str:
        return f"write init's pid to {self.path}"

    def run(self, walker: "Walker") -> None:
        folder, _, name = self.path.rpartition("/")
        temporary = f"{folder}/.{name}"
        try:
            _unlink(temporary)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            os.write(fd, str(walker.values["init_pid"]).encode())
            os.close(fd)
            os.rename(temporary, self.path)
            walker.values["pid_file"] = 1
        except OSError as error:
            raise Error(f"cannot write the pid file {self.path}: {explain_oserror(error)}") from None

    def undo(self, walker: "Walker") -> None:
        if walker.values.pop("pid_file", 0):  # one that was there before is not ours to take
            _unlink(self.path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
