"""Where the cgroup v2 tree is, and where in it a container belongs.

Pure functions on the texts of proc(5), and two that read them.
"""

import posix as os

from pyruntime.cgroup import files
from pyruntime.errors import ConfigError, Unsupported

_STANDARD = "/sys/fs/cgroup"
_ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\"))


class Tree:
    """A cgroup2 mount. `mode` is one of

    unified  it is what one sees at /sys/fs/cgroup
    hybrid   it is elsewhere, beside the v1 hierarchies, and has the controllers those left over
    v1       there are v1 hierarchies only; `mount` is ""
    none     there are no cgroups at all; `mount` is ""

    `root` is the cgroup that the mount shows as its top (proc_pid_mountinfo(5), field 4), mostly "/".
    """

    __slots__ = ("mode", "mount", "root")

    def __init__(self, mode: str, mount: str = "", root: str = "/") -> None:
        self.mode = mode
        self.mount = mount
        self.root = root

    def __repr__(self) -> str:
        return f"Tree({self.mode!r}, {self.mount!r}, {self.root!r})"

    def directory(self, path: str) -> str:
        """The directory of the cgroup at `path` (which starts with a slash)."""
        return self.mount + path.rstrip("/")


def find(mountinfo: str) -> Tree:
    """The tree that the text of /proc/self/mountinfo shows."""
    mounts = _visible(mountinfo)
    v2 = [(point, root) for point, root, kind in mounts if kind == "cgroup2"]
    if not v2:
        return Tree("v1" if any(kind == "cgroup" for _, _, kind in mounts) else "none")
    for point, root in v2:
        if point == _STANDARD:
            return Tree("unified", point, root)
    beside = [found for found in v2 if found[0].startswith(_STANDARD + "/")]
    return Tree("hybrid", *(beside or v2)[0])


def _visible(mountinfo: str) -> "list[tuple[str, str, str]]":
    """(mount point, root, type) of the cgroup mounts that no later mount covers, in order."""
    mounts = {line.split(" ", 1)[0]: line.split(" ") for line in mountinfo.splitlines() if "cgroup" in line}
    covered = {fields[1] for fields in mounts.values() if _on_top(fields, mounts)}
    shown = []
    for fields in mounts.values():
        kind = fields[fields.index("-") + 1]
        if kind in ("cgroup", "cgroup2") and not _hidden(fields, mounts, covered):
            shown.append((plain(fields[4]), plain(fields[3]), kind))
    return shown


def _on_top(fields: "list[str]", mounts: "dict[str, list[str]]") -> bool:
    """Whether this mount covers the one it hangs on, by having the same mount point."""
    below = mounts.get(fields[1])
    return below is not None and below[4] == fields[4]


def _hidden(fields: "list[str]", mounts: "dict[str, list[str]]", covered: "set[str]") -> bool:
    """Whether the mount is covered, or hangs in one that is."""
    if fields[0] in covered:
        return True
    while _on_top(fields, mounts):
        fields = mounts[fields[1]]
    return fields[1] in mounts and _hidden(mounts[fields[1]], mounts, covered)


def plain(field: str) -> str:
    """A field of mountinfo without its octal escapes."""
    if "\\" in field:
        for escape, character in _ESCAPES:
            field = field.replace(escape, character)
    return field


def own_path(proc_cgroup: str, root: str = "/") -> str:
    """The v2 cgroup of a process from the text of /proc/PID/cgroup, as seen below a mount whose top is `root`.

    A cgroup that the mount does not show (outside of the cgroup namespace, or beside `root`) counts as its top.
    """
    for line in proc_cgroup.splitlines():
        if line.startswith("0::/"):
            path = line[3:]
            break
    else:
        return "/"
    if root != "/":
        path = path[len(root) :] or "/" if f"{path}/".startswith(f"{root}/") else "/"
    return "/" if path == "/.." or path.startswith("/../") else path


def container_path(cgroups_path: "str | None", container_id: str, own: str) -> str:
    """The container's cgroup below the mount, from `linux.cgroupsPath` and our own cgroup.

    An absolute path starts at the mount; a relative one beside our own cgroup; without one the id is the name.
    Raises ConfigError for a path that climbs, is the top itself or has characters no cgroup can have.
    """
    wanted = cgroups_path or container_id
    names = _names(wanted, "linux.cgroupsPath")
    if not names:
        raise ConfigError("linux.cgroupsPath", f'"{wanted}" is the top of the cgroup tree; name a cgroup below it')
    if wanted.startswith("/"):
        return "/" + "/".join(names)
    return own.rpartition("/")[0].rstrip("/") + "/" + "/".join(names)


def sub_path(path: str, below: str) -> str:
    """The cgroup `below` the container's own at `path`, for `exec --cgroup`.

    Raises ConfigError (`bad sub cgroup path: …`) if it would climb out.
    """
    try:
        names = _names(below, "")
    except ConfigError as error:
        raise ConfigError("", f"bad sub cgroup path: {below}: {error.text}") from None
    return "/".join([path.rstrip("/"), *names]) or "/"


def _names(path: str, because: str) -> "list[str]":
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        raise ConfigError(because, f'"{path}" climbs with ".."; write the path out')
    if "\n" in path or "\0" in path:
        raise ConfigError(because, f"{path!r} holds a line feed or a NUL, which no cgroup name can")
    return names


def read_tree() -> Tree:
    """The tree of this process's mount namespace. Raises OSError if proc(5) is not mounted."""
    return find(files.read("/proc/self", "mountinfo"))


def read_own(tree: Tree, pid: "int | str" = "self") -> str:
    """The v2 cgroup of a process, our own by default, below the tree's mount. Raises OSError."""
    return own_path(files.read(f"/proc/{pid}", "cgroup"), tree.root)


def demand(tree: Tree) -> None:
    """Raise Unsupported if there is no cgroup v2 tree to work in."""
    if not tree.mount:
        found = "only the cgroup v1 hierarchies" if tree.mode == "v1" else "no cgroup file system"
        raise Unsupported(
            "linux.cgroupsPath",
            f"this host has {found} mounted, expected cgroup2; boot with systemd.unified_cgroup_hierarchy=1, "
            "mount cgroup2, or go without cgroups by --cgroup-manager disabled",
        )


def available(tree: Tree, path: str) -> "tuple[str, ...]":
    """The controllers that a cgroup at `path` can have: those of the top, less what an ancestor not ours withholds.

    Looks at existing ancestors only. Raises OSError if the mount cannot be read.
    """
    directory = tree.mount
    found = files.read(directory, "cgroup.controllers").split()
    for name in path.strip("/").split("/"):
        writable = os.access(f"{directory}/cgroup.subtree_control", os.W_OK)
        directory = f"{directory}/{name}"
        if not writable:
            found = _controllers(directory, found)
    return tuple(found)


def _controllers(directory: str, otherwise: "list[str]") -> "list[str]":
    try:
        return files.read(directory, "cgroup.controllers").split()
    except OSError:
        return otherwise
