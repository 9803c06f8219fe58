"""What the machine offers, read once before planning. Facts may be stale when a step acts; the step checks again."""

import posix as os

from pyruntime.cgroup import tree
from pyruntime.errors import Unsupported
from pyruntime.host.userns import EVERY, in_user_namespace, mapped
from pyruntime.kernel import mountapi
from pyruntime.kernel.seccomp import supported_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.cgroup.systemd.manager import About
    from pyruntime.engine.select import Selection


class Facts:
    """Ids of the command, whether a user namespace surrounds it, its cgroup tree, what the program turned out to be.

    `uids` and `gids` are those that exist in the user namespace around us, as (first, size); `refused_mount_call` is
    the call of the new mount API that is refused here, "" for none.
    """

    def __init__(self) -> None:
        self.euid = os.geteuid()
        self.egid = os.getegid()
        self.in_user_namespace = in_user_namespace()
        self.uids = mapped("uid") if self.in_user_namespace else EVERY
        self.gids = mapped("gid") if self.in_user_namespace else EVERY
        self.cgroup_tree = tree.Tree("none")
        self.own_cgroup = "/"
        self.controllers: "tuple[str, ...]" = ()
        self.rootless = self.euid != 0 or self.in_user_namespace
        self.has_kcore = os.access("/proc/kcore", os.F_OK)
        self.machine = os.uname().machine
        self.seccomp_flags: "tuple[str, ...]" = ()
        self.module: "Selection | None" = None
        self.refused_mount_call = mountapi.refused()
        self.apparmor = False  # this and the next are looked at only for who asks
        self.resctrl = ""
        self.systemd: "About | None" = None  # who makes the cgroup, where that is not ourselves


def gather(cgroups: bool = True, rootless: "bool | None" = None) -> Facts:
    """Read the facts. Raises Unsupported where there is no cgroup v2 tree, unless no cgroup is wanted.

    The tree is looked for in any case: a container without a cgroup of its own may still want to see it.
    """
    facts = Facts()
    facts.seccomp_flags = supported_flags()
    if rootless is not None:
        facts.rootless = rootless
    facts.cgroup_tree = tree.read_tree()
    if cgroups:
        if not facts.cgroup_tree.mount and facts.rootless:
            return facts
        tree.demand(facts.cgroup_tree)
        facts.own_cgroup = tree.read_own(facts.cgroup_tree)
    return facts


def ask_systemd(facts: Facts) -> None:
    """Learn which systemd is to make the cgroup. Raises Error where none answers."""
    from pyruntime.cgroup.systemd.manager import find  # for --systemd-cgroup alone

    facts.systemd = find(facts.rootless)


def add_controllers(facts: Facts, path: str) -> None:
    """Learn which controllers a cgroup at `path` can have. Raises Unsupported when the tree can't be read."""
    try:
        facts.controllers = tree.available(facts.cgroup_tree, path)
    except OSError as error:
        raise Unsupported(
            "linux.cgroupsPath", f"cannot read the cgroup tree at {facts.cgroup_tree.mount}: {error.strerror}"
        ) from None
