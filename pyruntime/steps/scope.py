"""Steps that leave the cgroup to systemd: start a unit around init, move a process of `exec` into it."""

import posix as os

from pyruntime.cgroup import fs, kill, members, tree
from pyruntime.cgroup.files import CgroupError
from pyruntime.cgroup.freezer import oom_kills
from pyruntime.cgroup.systemd.manager import About, Manager, Taken
from pyruntime.cgroup.systemd.properties import of_unit, shown
from pyruntime.errors import Error
from pyruntime.state import claim
from pyruntime.state.store import Container
from pyruntime.steps.base import HOST, Step
from pyruntime.steps.record import container_of, told_of_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.cgroup.systemd.manager import Property
    from pyruntime.cgroup.tree import Tree
    from pyruntime.walk.walker import Walker

_OOM = "oom-kill"  # systemd.service(5), the result of a unit in which the kernel has killed


class StartScope(Step):
    """Have systemd make the cgroup, as a scope around the process that becomes the container."""

    lane = HOST

    def __init__(
        self,
        because: str,
        unit: str,
        slice_: str,
        path: str,
        properties: "list[Property]",
        about: About,
        cgroup_tree: "Tree",
        controllers: "list[str]",
    ) -> None:
        """`path`: the cgroup below the tree's mount, as the names of unit and slice say."""
        super().__init__(because)
        self.unit = unit
        self.slice = slice_
        self.path = path
        self.properties = properties
        self.about = about
        self.tree = cgroup_tree
        self.controllers = controllers

    def describe(self) -> str:
        whose = "the user's systemd" if self.about.user else "systemd"
        more = f", {shown(self.properties)}" if self.properties else ""
        return f"have {whose} start {self.unit} in {self.slice} around init{more}: cgroup {self.path}"

    def run(self, walker: "Walker") -> None:
        pid = walker.values["stage_pid" if "stage_pid" in walker.values else "init_pid"]
        manager = Manager(self.about.address, self.about.user)
        walker.texts["unit"] = self.unit
        before = oom_kills(self._above())
        try:
            manager.start(self.unit, [*of_unit(self.unit, self.slice, pid), *self.properties])
        except Taken:
            del walker.texts["unit"]
            raise
        finally:
            manager.close()
        directory = self._entered(pid)
        walker.texts["cgroup"] = directory
        fs.enable_down(self.tree.mount, self.path, self.controllers)
        walker.fds["cgroup"] = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        claim.write(container_of(walker))
        walker.objects["oom_check"] = lambda: told_of_memory(directory, self._ran_out(directory, before))

    def _above(self) -> str:
        return self.tree.directory(self.path).rpartition("/")[0]

    def _ran_out(self, directory: str, before: int) -> bool:
        """Whether the kernel has killed for want of memory in the unit.

        Of a unit that is empty systemd removes the cgroup, and may forget it before it has seen why: what is gone was
        counted by the slice too, whose count was `before`.
        """
        if oom_kills(directory) > 0:
            return True
        return not os.access(directory, os.F_OK) and (oom_kills(self._above()) > before or self._why() == _OOM)

    def _entered(self, pid: int) -> str:
        """The cgroup that the process is in by now. Raises Error if it is another one than the state tells of."""
        found = tree.read_own(self.tree, pid)
        if found != self.path:
            see = f"journalctl{' --user' if self.about.user else ''} -u {self.unit}"
            raise Error(
                f"systemd unit {self.unit}: has not taken its process, which is in the cgroup {found} and not in "
                f"{self.path}; see: {see}"
            )
        return self.tree.directory(found)

    def _why(self) -> str:
        """How the unit ended, "" if systemd can't say any more."""
        try:
            manager = Manager(self.about.address, self.about.user)
        except Error:
            return ""
        try:
            return manager.why(self.unit)
        finally:
            manager.close()

    def undo(self, walker: "Walker") -> None:
        if not walker.texts.pop("unit", ""):
            return
        directory = self.tree.directory(self.path)
        walker.close_fd("cgroup")
        try:
            kill.kill(directory)
        except CgroupError:  # init is dead all the same; systemd ends who else is there
            pass
        manager = Manager(self.about.address, self.about.user)
        try:
            manager.stop(self.unit)
        finally:
            manager.close()
        members.remove(directory)


class AttachToUnit(Step):
    """Have systemd move the new process into the container's cgroup, where the kernel did not let us put it there.

    Who comes from another part of the tree needs rights over the cgroup above both (cgroup-v2.rst, "Delegation
    Containment"), which systemd has and an ordinary user has not.
    """

    lane = HOST

    def __init__(self, because: str, container: Container, unit: str, address: str, user: bool) -> None:
        super().__init__(because)
        self.container = container
        self.unit = unit
        self.address = address
        self.user = user

    def describe(self) -> str:
        return f"have systemd move it into {self.unit}, if the kernel refused that"

    def run(self, walker: "Walker") -> None:
        if not walker.values.get("outside"):
            return
        pid = walker.values["stage_pid" if "stage_pid" in walker.values else "init_pid"]
        directory = os.readlink(f"/proc/self/fd/{walker.fds['cgroup']}")
        below = directory.removeprefix(self.container.cgroup) or "/"
        manager = Manager(self.address, self.user)
        try:
            manager.attach(self.unit, below, pid)
        finally:
            manager.close()
        if pid not in members.processes(directory, recursive=False):
            raise Error(
                f"systemd unit {self.unit}: has not taken the process of exec into {directory}, where its limits are; "
                f"see: journalctl{' --user' if self.user else ''} -u {self.unit}"
            )
