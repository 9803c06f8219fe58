"""Root file systems for `spec`: around a static busybox, or out of a folder with an OCI image."""

import os
import subprocess

from pyruntime.cli.made import Made
from pyruntime.errors import Error
from pyruntime.kernel.formats import is_static

_BUSYBOXES = ("/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static")
_FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr/bin", "var")
_ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
}


def existing(folder: str) -> str:
    """The real path of a root file system that is there, since `create` takes no symlink. Raises Error."""
    if not os.path.isdir(folder):
        raise Error(f"--rootfs {folder}: no such directory")
    return os.path.realpath(folder)


def busybox(made: Made, rootfs: str) -> None:
    """A root file system of the host's static busybox and its names. Raises Error."""
    program = static_busybox()
    if not program:
        raise Error("--busybox: no static busybox on this host; install one: apt install busybox-static")
    _folders(made, rootfs)
    with open(program, "rb") as file:
        made.file(f"{rootfs}/bin/busybox", iter(lambda: file.read(1 << 20), b""), 0o755)
    for name in _applets(program):
        made.link("busybox", f"{rootfs}/bin/{name}")
    for name, content in _ETC.items():
        made.file(f"{rootfs}/etc/{name}", (content.encode(),), 0o644)


def _folders(made: Made, rootfs: str) -> None:
    made.folder(rootfs)
    for folder in _FOLDERS:
        parts = folder.split("/")
        for end in range(1, len(parts) + 1):
            made.folder(f"{rootfs}/{'/'.join(parts[:end])}")
    os.chmod(f"{rootfs}/tmp", 0o1777)


def _applets(program: str) -> "list[str]":
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=False).stdout.split()
    return [name for name in listed if name != "busybox" and "/" not in name]


def static_busybox() -> str:
    """Where the host has a busybox that needs no library, "" for nowhere."""
    for path in _BUSYBOXES:
        if is_static(path):
            return path
    return ""
