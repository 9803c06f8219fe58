"""Root file systems for `spec`: around a static busybox, or out of a folder with an OCI image."""

import os
import shutil
import struct
import subprocess
from collections.abc import Callable

from pyruntime.errors import Error, explain_oserror

_BUSYBOXES = ("/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static")
_FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr/bin", "var")
_PT_INTERP = 3
_ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
}


class Made:
    """What was made on the way, to be taken back in reverse."""

    def __init__(self) -> None:
        self._back: "list[Callable[[], None]]" = []

    def folder(self, path: str) -> None:
        """Make a folder unless it is there. Raises Error."""
        try:
            os.mkdir(path)
        except FileExistsError:
            return
        except OSError as error:
            raise Error(f"cannot make {explain_oserror(error)}") from None
        self._back.append(lambda: os.rmdir(path))

    def tree(self, path: str) -> None:
        """Make an empty folder that goes with all that will be in it. Raises Error when it is there."""
        try:
            os.mkdir(path)
        except OSError as error:
            raise Error(f"cannot make {explain_oserror(error)}; remove it first") from None
        self._back.append(lambda: shutil.rmtree(path))

    def file(self, path: str, content: bytes, mode: int) -> None:
        """Make a file that must not be there. Raises Error."""
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(fd, "wb") as file:
                self._back.append(lambda: os.unlink(path))
                file.write(content)
        except OSError as error:
            raise Error(f"cannot make {explain_oserror(error)}") from None

    def link(self, target: str, path: str) -> None:
        """Make a symbolic link, unless something is there. Raises Error."""
        try:
            os.symlink(target, path)
        except FileExistsError:
            return
        except OSError as error:
            raise Error(f"cannot make {explain_oserror(error)}") from None
        self._back.append(lambda: os.unlink(path))

    def undo(self) -> None:
        """Take all of it back; what others have put into a folder stays, with the folder."""
        while self._back:
            try:
                self._back.pop()()
            except OSError:
                continue


def busybox(made: Made, rootfs: str) -> None:
    """A root file system of the host's static busybox and its names. Raises Error."""
    program = static_busybox()
    if not program:
        raise Error("--busybox: no static busybox on this host; install one: apt install busybox-static")
    _folders(made, rootfs)
    with open(program, "rb") as file:
        made.file(f"{rootfs}/bin/busybox", file.read(), 0o755)
    for name in _applets(program):
        made.link("busybox", f"{rootfs}/bin/{name}")
    for name, content in _ETC.items():
        made.file(f"{rootfs}/etc/{name}", content.encode(), 0o644)


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
        try:
            with open(path, "rb") as file:
                head = file.read(4096)
        except OSError:
            continue
        if is_static(head):
            return path
    return ""


def is_static(head: bytes) -> bool:
    """Whether an ELF64 program names no loader: it has no PT_INTERP header (elf(5)). `head` has all its headers."""
    if head[:5] != b"\x7fELF\x02" or len(head) < 64:
        return False
    (offset,) = struct.unpack_from("=Q", head, 32)
    size, count = struct.unpack_from("=2H", head, 54)
    places = [offset + number * size for number in range(count)]
    return all(struct.unpack_from("=I", head, at)[0] != _PT_INTERP for at in places if at + size <= len(head))
