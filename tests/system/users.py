"""Ordinary users made for the tests, and pyruntime run by them: no account of the host is touched.

/etc is a private copy in the tests' own mount namespace. A user's cgroup, where they have one, is a directory that
root made and gave away, as systemd does it for a session.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.system import leaks
from tests.system.harness import PREFIX, ROOT, Bundle, Runtime

UID, STRANGER = 20771, 20772  # the second has no range in /etc/subuid
FIRST, COUNT = 700000, 65536
DELEGATED = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")
GIVEN = ("pids", "memory", "cpu", "hugetlb")  # of these the first two that the host's tree has are delegated


def private_etc(folder: Path) -> "Iterator[None]":
    """Cover /etc with a copy that knows our users, until the generator goes on."""
    copy = folder / "etc"
    shutil.copytree("/etc", copy, symlinks=True, ignore=lambda _, names: [name for name in names if name == "shadow"])
    with (copy / "passwd").open("a") as file:
        file.write(
            f"ranger:x:{UID}:{UID}::/nonexistent:/bin/sh\nstranger:x:{STRANGER}:{STRANGER}::/nonexistent:/bin/sh\n"
        )
    for name in ("subuid", "subgid"):
        (copy / name).write_text(f"ranger:{FIRST}:{COUNT}\n")
    subprocess.run(["mount", "--bind", copy, "/etc"], check=True)
    yield
    subprocess.run(["umount", "/etc"], check=True)


def readable_tree(folder: Path) -> Path:
    """The launcher of a copy of this tree that everybody may read."""
    for name in ("bin", "pyruntime"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc", "*.pack"))
    for engine in ROOT.glob(".venv/lib/python3*/site-packages/wasmtime"):
        shutil.copytree(engine, folder / engine.relative_to(ROOT))
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", folder / "pyruntime"], check=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.is_dir() else 0))
    return folder / "bin" / "pyruntime"


class Delegated:
    """A cgroup that belongs to a user, with a leaf for their own processes and some controllers."""

    def __init__(self, uid: int) -> None:
        mount = Path(leaks.cgroup2_mount())
        self.mount = mount
        self.top = mount / f"{PREFIX}-users"
        self.directory = self.top / "user"
        self.leaf = self.directory / "shell"
        has = (mount / "cgroup.controllers").read_text().split()
        given = [name for name in GIVEN if name in has][:2]
        self.leaf.mkdir(parents=True)
        for directory in (mount, self.top):
            for name in given:
                with contextlib.suppress(OSError):  # processes in the top itself: then it goes without
                    (directory / "cgroup.subtree_control").write_text(f"+{name}")
        self.controllers = (self.directory / "cgroup.controllers").read_text().split()
        for directory in (self.directory, self.leaf):
            for path in (directory, *(directory / name for name in DELEGATED)):
                os.chown(path, uid, uid)

    def remove(self) -> None:
        for directory in (self.leaf, self.directory, self.top):
            directory.rmdir()


class User(Runtime):
    """pyruntime as an ordinary user: `cgroup` to be started in, extra `groups`, a command to go in `between`."""

    def __init__(
        self,
        binary: Path,
        folder: Path,
        *flags: str,
        uid: int = UID,
        cgroup: "Path | None" = None,
        groups: "tuple[int, ...]" = (),
        between: "tuple[str, ...]" = (),
        before: str = "",
    ) -> None:
        super().__init__(binary, folder, *flags)
        self.uid = uid
        self.cgroup = cgroup
        self.groups = groups
        self.between = between
        self.before = before
        self.root.mkdir(exist_ok=True)
        for path in (folder, self.root):
            os.chown(path, uid, uid)

    def variant(self, *flags: str, **changes: object) -> "User":
        """The same user and state root, with something else around."""
        found = User.__new__(User)
        found.__dict__.update(self.__dict__, flags=(*self.flags, *flags), **changes)
        return found

    def command(self, verb: str, *arguments: object) -> "list[str]":
        groups = ["--groups", ",".join(map(str, self.groups))] if self.groups else ["--clear-groups"]
        script = f'{self.before}\n{f"echo $$ > {self.cgroup}/cgroup.procs" if self.cgroup else ""}\nexec "$@"'
        become = ["setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), *groups]
        return ["sh", "-c", script, "sh", *become, *self.between, *super().command(verb, *arguments)]


def own(bundle: Bundle, uid: int = UID) -> Bundle:
    """Root inside is the user outside, and nobody else is there."""
    return without_tty_group(bundle.user_namespace(uid, 1))


def ranged(bundle: Bundle, uid: int = UID) -> Bundle:
    """Root inside is the user, the others are the range of /etc/subuid; the group of ttys is there too."""
    bundle.user_namespace(uid, 1)
    for name in ("uidMappings", "gidMappings"):
        bundle.linux[name].append({"containerID": 1, "hostID": FIRST, "size": COUNT})
    return bundle


def without_tty_group(bundle: Bundle) -> Bundle:
    for mount in bundle.config["mounts"]:
        if "options" in mount:
            mount["options"] = [word for word in mount["options"] if word != "gid=5"]
    return bundle
