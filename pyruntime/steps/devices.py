"""Steps about /dev: nodes and links."""

import posix as os

from pyruntime.errors import Error
from pyruntime.kernel import mounts, paths
from pyruntime.steps.base import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.walk.walker import Walker

_S_IFMT = 0o170000
_KINDS = {"c": 0o020000, "u": 0o020000, "b": 0o060000, "p": 0o010000}


class Node:
    """One device node, in kernel's terms."""

    __slots__ = ("gid", "kind", "major", "minor", "mode", "path", "uid")

    def __init__(
        self, path: str, kind: str, major: int, minor: int, mode: int = 0o666, uid: int = 0, gid: int = 0
    ) -> None:
        self.path = path
        self.kind = kind
        self.major = major
        self.minor = minor
        self.mode = mode
        self.uid = uid
        self.gid = gid


class MakeDevices(Step):
    """mknod each node, or bind the host's where a user namespace forbids mknod."""

    def __init__(self, because: str, nodes: "list[Node]", bind: bool) -> None:
        super().__init__(because)
        self.nodes = nodes
        self.bind = bind

    def describe(self) -> str:
        return f"{'bind' if self.bind else 'mknod (bind, if refused)'} {' '.join(node.path for node in self.nodes)}"

    def run(self, walker: "Walker") -> None:
        for node in self.nodes:
            if self.bind and node.kind != "p":  # a FIFO is nothing of the host's, and anybody may make one
                self._bind(walker.fds["root"], node)
            else:
                self._make(walker.fds["root"], node)

    def _bind(self, root: int, node: Node) -> None:
        tree = mounts.open_tree(node.path, recursive=False)
        if not _is(os.fstat(tree), node):  # what has that name on the host may be another disk, or a file
            raise Error(
                f"{self.because}: {node.path} of the host is not the device {node.kind} {node.major}:{node.minor}, and "
                "where mknod is refused (in a user namespace) it is bound by its name; use the name it has on the host"
            )
        if not self.bind:  # without a user namespace the container's root could chmod the host's node
            mounts.set_attributes(tree, mounts.RDONLY, propagation=mounts.PROPAGATION["private"])
        target = paths.make_file(root, node.path)
        mounts.attach(tree, target)
        os.close(tree)
        os.close(target)

    def _make(self, root: int, node: Node) -> None:
        parent, name = paths.make_parent(root, node.path)
        try:
            os.mknod(name, _KINDS[node.kind] | node.mode, os.makedev(node.major, node.minor), dir_fd=parent)
        except FileExistsError:
            pass
        except PermissionError:
            os.close(parent)
            self._bind(root, node)  # an outer user namespace, or a device program of an outer container
            return
        except OSError as error:
            raise OSError(error.errno, error.strerror, node.path) from None
        fd = os.open(name, paths.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        self._settle(fd, node)
        os.close(fd)
        os.close(parent)

    def _settle(self, fd: int, node: Node) -> None:
        """Owner and mode, by the descriptor: a name could be swapped for a link by whoever shares the rootfs."""
        found = os.fstat(fd)
        self._check(found, node)
        if (found.st_uid, found.st_gid) != (node.uid, node.gid):
            os.chown(f"/proc/self/fd/{fd}", node.uid, node.gid)
        if found.st_mode & 0o7777 != node.mode:
            os.chmod(f"/proc/self/fd/{fd}", node.mode)

    def _check(self, found: os.stat_result, node: Node) -> None:
        if not _is(found, node):
            raise Error(
                f"{self.because}: {node.path} exists in the rootfs and is not the device {node.kind} "
                f"{node.major}:{node.minor}; remove it from the rootfs"
            )


def _is(found: os.stat_result, node: Node) -> bool:
    wanted = 0 if node.kind == "p" else os.makedev(node.major, node.minor)
    return found.st_mode & _S_IFMT == _KINDS[node.kind] and found.st_rdev == wanted


class LinkDevices(Step):
    """The usual links in /dev; one that is there already stays."""

    def __init__(self, because: str, links: "list[tuple[str, str]]") -> None:
        super().__init__(because)
        self.links = links

    def describe(self) -> str:
        return "link " + ", ".join(f"{name} → {target}" for name, target in self.links)

    def run(self, walker: "Walker") -> None:
        for path, target in self.links:
            parent, name = paths.make_parent(walker.fds["root"], path)
            try:
                if path == "/dev/ptmx":
                    _remove(parent, name)
                os.symlink(target, name, dir_fd=parent)
            except FileExistsError:
                pass
            finally:
                os.close(parent)


def _remove(parent: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
