"""Steps of the command itself: the container's record, its cgroup, its barrier."""

import posix as os

from pyruntime.cgroup import fs, kill, members
from pyruntime.cgroup.files import CgroupError
from pyruntime.cgroup.freezer import oom_kills
from pyruntime.cgroup.guard import guard
from pyruntime.errors import Error
from pyruntime.kernel import ns
from pyruntime.kernel.procfs import boot_id, start_time
from pyruntime.report.times import now
from pyruntime.state import claim
from pyruntime.state.store import FIFO, Container, reserve
from pyruntime.steps.base import HOST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.cgroup.values import Write
    from pyruntime.walk.walker import Walker


def container_of(walker: "Walker") -> Container:
    """The container whose record an earlier step opened."""
    container = walker.objects["container"]
    if not isinstance(container, Container):
        raise SystemError("no container in the walker")
    return container


class Reserve(Step):
    """Take the id by making the state directory, and write down what is about to be made."""

    lane = HOST

    def __init__(self, because: str, root: str, container_id: str, intent: "dict[str, Any]") -> None:
        super().__init__(because)
        self.root = root
        self.container_id = container_id
        self.intent = intent

    def describe(self) -> str:
        return f"make the state directory {self.root}/{self.container_id}, write the intent"

    def run(self, walker: "Walker") -> None:
        container = reserve(self.root, self.container_id)
        walker.objects["container"] = container
        own = {**container.own, **self.intent["pyruntime"], "stage": "creating", "bootId": boot_id()}
        container.data.update({**self.intent, "pyruntime": own})
        container.save()

    def undo(self, walker: "Walker") -> None:
        container = walker.objects.pop("container", None)
        if isinstance(container, Container) and not walker.unfinished:  # else `delete --force` needs what is noted
            container.remove()


class MakeCgroup(Step):
    """Make the container's cgroup, with the controllers enabled from the top down."""

    lane = HOST

    def __init__(
        self,
        because: str,
        mount: str,
        path: str,
        controllers: "list[str]",
        needed: "list[str]",
        lenient: bool,
        rootless: bool = False,
    ) -> None:
        """`rootless`: the caller may lack rights over cgroups, and is told what to do then; `lenient`: goes without."""
        super().__init__(because)
        self.mount = mount
        self.path = path
        self.controllers = controllers
        self.needed = needed
        self.lenient = lenient
        self.rootless = rootless

    def describe(self) -> str:
        return f"make cgroup {self.path}" + (
            " (go without, if refused: rootless and no limits)" if self.lenient else ""
        )

    def run(self, walker: "Walker") -> None:
        try:
            walker.objects["made_cgroups"] = fs.create(self.mount, self.path, self.controllers, self.needed)
        except CgroupError as error:
            if error.errno not in (1, 13, 30) or not (self.lenient or self.rootless):
                raise
            if not self.lenient:
                from pyruntime.cgroup.hints import refused

                raise refused(error, bool(self.needed)) from None
            container_of(walker).data["cgroup_paths"] = {}
            return
        directory = self.mount + self.path
        walker.texts["cgroup"] = directory
        walker.fds["cgroup"] = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        claim.write(container_of(walker))
        walker.objects["oom_check"] = lambda: _out_of_memory(directory)

    def undo(self, walker: "Walker") -> None:
        directory = walker.texts.get("cgroup")
        if directory:
            walker.close_fd("cgroup")
            try:
                kill.kill(directory)
            except CgroupError:  # init is dead all the same; anybody else is told by what follows
                pass
            members.remove(directory)
            made = walker.objects.get("made_cgroups")
            fs.uncreate([path for path in made if path != directory] if isinstance(made, list) else [])


def _out_of_memory(directory: str) -> str:
    """`: why`, if the kernel has killed for want of memory in this cgroup."""
    if not oom_kills(directory):
        return ""
    from pyruntime.cgroup.hints import out_of_memory  # loaded on failure only

    return f": {out_of_memory(directory)}"


class ApplyLimits(Step):
    """Write the limits into the cgroup's files."""

    lane = HOST

    def __init__(self, because: str, writes: "list[Write]") -> None:
        super().__init__(because)
        self.writes = writes

    def describe(self) -> str:
        return ", ".join(f"{w.file} = {w.value}" for w in self.writes)

    def run(self, walker: "Walker") -> None:
        if "cgroup" not in walker.texts:
            raise Error(
                f"{self.because}: rootless needs no limits + no cgrouppath when no permission is granted for cgroups"
            )
        fs.apply(walker.texts["cgroup"], self.writes)


class DelegateCgroup(Step):
    """Give the cgroup to the container's user, who may then divide it (systemd inside a container does)."""

    lane = HOST

    def __init__(self, because: str, uid: int) -> None:
        super().__init__(because)
        self.uid = uid

    def describe(self) -> str:
        return f"give the cgroup to uid {self.uid}, without its limits"

    def run(self, walker: "Walker") -> None:
        if "cgroup" in walker.texts:
            fs.chown_delegate(walker.texts["cgroup"], self.uid)


class FilterDevices(Step):
    """Attach the program that decides every open and mknod of a device in this cgroup."""

    lane = HOST

    def __init__(self, because: str, rules: int, instructions: bytes, lenient: bool) -> None:
        super().__init__(because)
        self.rules = rules
        self.instructions = instructions
        self.lenient = lenient

    def describe(self) -> str:
        size = len(self.instructions) // 8
        leave = " (go without, if refused)" if self.lenient else ""
        return f"attach a device program of {size} instructions for {self.rules} rules{leave}"

    def run(self, walker: "Walker") -> None:
        if "cgroup" not in walker.fds:
            return
        try:
            guard(walker.fds["cgroup"], self.instructions)
        except CgroupError:
            if not self.lenient:
                raise


class MakeBarrier(Step):
    """The fifo that `start` writes to; init holds it open for reading and writing, so a writer finds a reader."""

    lane = HOST

    def describe(self) -> str:
        return "make the start barrier exec.fifo"

    def run(self, walker: "Walker") -> None:
        dir_fd = container_of(walker).dir_fd
        os.mkfifo(FIFO, 0o600, dir_fd=dir_fd)
        walker.fds["barrier"] = os.open(FIFO, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=dir_fd)


class Save(Step):
    """Record init's pid, start time and namespaces: from here on the container exists for every other command."""

    lane = HOST

    def __init__(self, because: str, stage: str, namespaces: "list[str]") -> None:
        super().__init__(because)
        self.stage = stage
        self.namespaces = namespaces

    def describe(self) -> str:
        return f"save the state: {self.stage}"

    def run(self, walker: "Walker") -> None:
        container = container_of(walker)
        pid = walker.values["init_pid"]
        container.data["init_process_pid"] = pid
        container.data["init_process_start"] = start_time(pid)
        container.data["created"] = now()
        container.data["namespace_paths"] = {
            f"NEW{ns.SHORT[kind]}": f"/proc/{pid}/ns/{ns.FILES[kind]}" for kind in self.namespaces
        }
        container.own["stage"] = self.stage
        container.save()
