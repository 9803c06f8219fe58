"""Steps into namespaces that are there already."""

import posix as os

from pyruntime.errors import Error, reason
from pyruntime.kernel import ns, process
from pyruntime.kernel.imports import lock_imports
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker


class OpenNamespace(Step):
    """Open a namespace file on the host, check its kind, keep the descriptor for a later join."""

    lane = HOST

    def __init__(self, because: str, kind: str, path: str, changed: str = "") -> None:
        """`changed`: the sysctl that is set in it, which may then not be the host's."""
        super().__init__(because)
        self.kind = kind
        self.path = path
        self.changed = changed

    def describe(self) -> str:
        return f"open the {self.kind} namespace {self.path}"

    def run(self, walker: "Walker") -> None:
        try:
            walker.fds[f"ns:{self.kind}"] = ns.open_namespace(self.path, self.kind)
        except (ValueError, OSError) as error:
            found = reason(error) if isinstance(error, OSError) else str(error)
            raise Error(
                f"{self.because}.path {self.path}: {found}; "
                f"expected a {self.kind} namespace, such as /proc/PID/ns/{ns.FILES[self.kind]}"
            ) from None
        ours = os.stat(f"/proc/self/ns/{ns.FILES[self.kind]}")
        if os.fstat(walker.fds[f"ns:{self.kind}"]).st_ino == ours.st_ino:
            self._check_ours()

    def _check_ours(self) -> None:
        """Nothing is to be changed in a namespace of the caller's, and pivot_root changes the root of all in one."""
        if self.kind == "mount":
            raise Error(
                f"{self.because}.path {self.path}: is the mount namespace of this command, which would lose its root "
                "with all that live in it; leave the path out for a new one, or the entry to share it"
            )
        if self.changed:
            raise Error(
                f'sysctl "{self.changed}" is not in a separate kernel namespace: {self.because}.path {self.path} '
                f"is the host's own {self.kind} namespace; remove it from linux.sysctl"
            )


class Join(Step):
    """setns into a namespace that was opened on the host."""

    def __init__(self, because: str, kind: str, path: str) -> None:
        super().__init__(because)
        self.kind = kind
        self.path = path

    def describe(self) -> str:
        return f"setns: join the {self.kind} namespace {self.path}"

    def run(self, walker: "Walker") -> None:
        fd = walker.fds.get(f"ns:{self.kind}")
        if fd is None:  # OpenTarget found that we are in this namespace already
            return
        if self.kind == "user":  # its root may trace who is in it, from the first moment
            process.set_dumpable(False)
        if self.kind == "mount":  # our root becomes the container's: its files must not be taken for Python's
            lock_imports()
        ns.setns(fd, self.kind)
        walker.close_fd(f"ns:{self.kind}")
