"""Steps of `exec`: finding the container's init and its cgroup, to be joined."""

import posix as os

from pyruntime.errors import Error, StateError, explain_oserror
from pyruntime.kernel import caps, ns
from pyruntime.kernel.paths import O_PATH
from pyruntime.kernel.procfs import read
from pyruntime.state import life
from pyruntime.state.store import Container
from pyruntime.steps.base import HOST, Step
from pyruntime.steps.identity import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker


class OpenTarget(Step):
    """Open the namespaces of the container's init, of the very process the state tells of."""

    lane = HOST

    def __init__(self, because: str, container: Container, kinds: "list[str]") -> None:
        super().__init__(because)
        self.container = container
        self.kinds = kinds

    def describe(self) -> str:
        return f"open the namespaces {' '.join(self.kinds)} of init, pid {self.container.pid}"

    def run(self, walker: "Walker") -> None:
        pid = self.container.pid
        try:
            for kind in self.kinds:
                path = f"/proc/{pid}/ns/{ns.FILES[kind]}"
                if os.stat(path).st_ino != os.stat(f"/proc/self/ns/{ns.FILES[kind]}").st_ino:
                    walker.fds[f"ns:{kind}"] = ns.open_namespace(path, kind)
            if "mount" not in self.kinds:  # then no namespace holds the container's root, its init alone does
                walker.fds["root"] = os.open(f"/proc/{pid}/root", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise StateError(f"cannot exec in a stopped container: {self.container.id}") from None
        except ValueError as error:
            raise Error(f"namespaces of pid {pid}: {path} {error}") from None
        except PermissionError as error:
            raise StateError(self._denied(explain_oserror(error))) from None
        # Only now is it known that these were init's: a reused pid would have another start time.
        if not life.init_pid(self.container):
            raise StateError(f"cannot exec in a stopped container: {self.container.id}")

    def _denied(self, text: str) -> str:
        """Init is not dumpable until it is the program: an ordinary user has no right to its files in /proc so far."""
        if life.status(self.container) == "created":
            return f"cannot exec in a created container without root: {text}; start {self.container.id} first"
        if self.container.own.get("wasm"):
            closed = "a module's process is never open to others, as its engine's memory would be the guest's too"
            return f"cannot exec in the Wasm container {self.container.id} without root: {text}; {closed}"
        return f"cannot enter the namespaces of container {self.container.id}: {text}; exec as the user who made it"


class OpenCgroup(Step):
    """Open the cgroup the new process is born in."""

    lane = HOST

    def __init__(self, because: str, container: Container, directory: str, fixed: bool) -> None:
        super().__init__(because)
        self.container = container
        self.directory = directory
        self.fixed = fixed

    def describe(self) -> str:
        return f"open cgroup {self.directory}" + (
            "" if self.fixed else " (init's own, where that one is gone or only holds others)"
        )

    def run(self, walker: "Walker") -> None:
        directory = self.directory if self.fixed or self._takes_processes() else self._of_init()
        walker.fds["cgroup"] = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _takes_processes(self) -> bool:
        """Not with controllers for its children (cgroup-v2.rst, "No Internal Process"), nor once init has left it and
        somebody removed it.
        """
        try:
            return not read(f"{self.directory}/cgroup.subtree_control").strip()
        except FileNotFoundError:
            return False

    def _of_init(self) -> str:
        for line in read(f"/proc/{self.container.pid}/cgroup").splitlines():
            if line.startswith("0::/") and not line.startswith("0::/.."):  # outside of what our cgroup namespace shows
                return str(self.container.own.get("cgroupMount", "")) + line[3:]
        return self.directory


class LeaveHost(Step):
    """Hold nothing of the host's any more that who may trace us, once we are seen in the pid namespace, could take."""

    def __init__(self, because: str, container: Container, kept: "list[str] | None") -> None:
        """`kept`: the capabilities that later steps need; None for all, which are those of a user namespace then."""
        super().__init__(because)
        self.container = container
        self.kept = kept

    def describe(self) -> str:
        rights = f"; keep only the capabilities {shown(self.kept)}" if self.kept is not None else ""
        return f"close the state directory and the cgroup{rights}"

    def run(self, walker: "Walker") -> None:
        walker.close_fd("cgroup")
        os.close(self.container.dir_fd)
        if self.kept is None:
            return
        wanted = caps.mask(self.kept)
        caps.drop_bounding(wanted)
        _, permitted, _ = caps.capget()
        caps.capset(wanted & permitted, wanted & permitted, 0)
