"""Steps about stdin, stdout and stderr of a process without a terminal of its own."""

import posix as os

from pyruntime.errors import Error
from pyruntime.kernel import mounts, paths
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_EINVAL, _EROFS, _EPERM = 22, 30, 1
_NULL = os.makedev(1, 3)


class OwnStdio(Step):
    """Give stdin, stdout and stderr to the process's user, so that it may reopen them; the group stays."""

    def __init__(self, because: str, uid: int) -> None:
        super().__init__(because)
        self.uid = uid

    def describe(self) -> str:
        return f"give stdin, stdout and stderr to uid {self.uid}"

    def run(self, walker: "Walker") -> None:
        for fd in (0, 1, 2):
            if os.fstat(fd).st_uid == self.uid or _is_null(fd):
                continue
            try:
                os.fchown(fd, self.uid, -1)
            except OSError as error:
                if error.errno not in (_EPERM, _EROFS, _EINVAL):  # not ours to give: the process keeps what it has
                    raise


class GuardNull(Step):
    """Put a read-only mount of /dev/null on stdio in place of /dev/null itself, whose mode root could change."""

    lane = HOST

    def describe(self) -> str:
        return "reopen /dev/null through a read-only mount where stdio is the host's"

    def run(self, walker: "Walker") -> None:
        streams = [fd for fd in (0, 1, 2) if _is_null(fd)]
        if not streams:
            return
        mount = mounts.open_tree("/dev/null", recursive=False)
        mounts.set_attributes(mount, mounts.RDONLY, propagation=mounts.PROPAGATION["private"])
        null = os.open(f"/proc/self/fd/{mount}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        if not _is_null(null):
            raise Error(f"{self.because}: /dev/null of the host is not the character device 1:3; repair it")
        for fd in streams:
            os.dup2(null, fd, True)
        os.close(null)
        os.close(mount)


class ReopenNull(Step):
    """Replace the host's /dev/null on stdio by the container's, whose mount the container may see and no more."""

    def describe(self) -> str:
        return "reopen /dev/null of the container where stdio is the host's"

    def run(self, walker: "Walker") -> None:
        for fd in (0, 1, 2):
            if not _is_null(fd):
                continue
            try:
                null = paths.open_in_root(walker.fds["root"], "/dev/null", os.O_RDWR | os.O_NOCTTY)
            except OSError:  # a container without /dev/null keeps the host's: it leads nowhere else
                return
            if _is_null(null):
                os.dup2(null, fd, True)
            os.close(null)


def _is_null(fd: int) -> bool:
    found = os.fstat(fd)
    return found.st_rdev == _NULL and found.st_mode & 0o170000 == 0o020000
