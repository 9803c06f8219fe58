"""The step that gives a container its own end of sd_notify(3)."""

import posix as os

from pyruntime.kernel import notify
from pyruntime.steps.base import HOST, Step
from pyruntime.steps.record import container_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

FOLDER, NAME = "notify", "notify.sock"


class MakeNotify(Step):
    """The folder that the container sees at /run/notify, with the socket in it where the program runs at once."""

    lane = HOST

    def __init__(self, because: str, listen: bool) -> None:
        super().__init__(because)
        self.listen = listen

    def describe(self) -> str:
        return f"make the folder {FOLDER} beside the state file" + (f", with the socket {NAME}" if self.listen else "")

    def run(self, walker: "Walker") -> None:
        dir_fd = container_of(walker).dir_fd
        os.mkdir(FOLDER, 0o700, dir_fd=dir_fd)
        folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        os.fchmod(folder, 0o755)  # the umask had a say in mkdir
        if self.listen:
            walker.fds["notify"] = notify.listen(folder, NAME)
        os.close(folder)
