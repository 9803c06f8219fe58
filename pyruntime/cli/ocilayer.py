"""One layer of an image (image-spec, layer.md) applied to a root file system.

Each name is looked up inside the root, so that no link of one layer leads another one out.
"""

import gzip
import os
import shutil
import stat
import tarfile
from typing import IO

from pyruntime.errors import Error, one_line
from pyruntime.kernel import paths

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"


def archive_of(file: "IO[bytes]", kind: str) -> tarfile.TarFile:
    """The archive in a blob of this media type, to be read once from its beginning. Raises Error, TarError."""
    if kind.endswith("zstd"):
        raise Error(
            "--oci-layout: a layer is compressed by zstd, which this Python does not read; copy the image with "
            "skopeo copy --dest-compress-format gzip"
        )
    content = gzip.open(file) if kind.endswith(("gzip", "tar.gzip")) else file
    return tarfile.open(fileobj=content, mode="r|")


def extract(archive: tarfile.TarFile, member: tarfile.TarInfo, root: int) -> None:
    """Make one member below the root; device nodes and fifos are left out, the runtime makes those it needs.

    Raises Error, OSError, and ValueError for a name that holds a NUL.
    """
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Error(f"--oci-layout: a layer names {one_line(member.name)}, which leads out of the root")
    if not parts:
        return
    parent = paths.make_directory(root, "/".join(parts[:-1]) or "/")
    try:
        _place_member(archive, member, root, parent, parts[-1])
    finally:
        os.close(parent)


def _place_member(archive: tarfile.TarFile, member: tarfile.TarInfo, root: int, parent: int, name: str) -> None:
    if name == _OPAQUE:
        for entry in os.listdir(f"/proc/self/fd/{parent}"):
            _remove(parent, entry)
    elif name.startswith(_WHITEOUT):
        _remove(parent, _hidden(name))
    elif member.isdir():
        _directory(parent, name, member)
    elif member.issym():
        _remove(parent, name)
        os.symlink(member.linkname, name, dir_fd=parent)
        _own(parent, name, member)
    elif member.islnk():
        _remove(parent, name)
        _hard_link(root, parent, name, member.linkname)
    elif member.isreg():
        _remove(parent, name)
        _file(archive, member, parent, name)


def _hidden(name: str) -> str:
    """What a whiteout removes. `.wh...` would be the folder above, on the host for a member of the root."""
    found = name.removeprefix(_WHITEOUT)
    if found in ("", ".", ".."):
        raise Error(f"--oci-layout: a layer has the whiteout {one_line(name)}, which names no file")
    return found


def _directory(parent: int, name: str, member: tarfile.TarInfo) -> None:
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            _remove(parent, name)
            os.mkdir(name, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=parent)
    _own(parent, name, member)
    os.chmod(f"/proc/self/fd/{parent}/{name}", member.mode & 0o7777)


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> None:
    _demand_room(parent, member)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=parent), "wb") as target:
        source = archive.extractfile(member)
        if source is not None:
            shutil.copyfileobj(source, target)
        _own(parent, name, member)
        os.fchmod(target.fileno(), member.mode & 0o7777)


def _demand_room(parent: int, member: tarfile.TarInfo) -> None:
    """A sparse file of some bytes may claim any size, and would be written as zeros until the disk is full."""
    there = os.statvfs(f"/proc/self/fd/{parent}")
    free = there.f_bavail * there.f_frsize
    if member.size > free:
        raise Error(
            f"--oci-layout: {one_line(member.name)} is {member.size} bytes, larger than what is free there, {free}"
        )


def _hard_link(root: int, parent: int, name: str, target: str) -> None:
    folder, _, last = target.strip("/").rpartition("/")
    source = paths.open_in_root(root, folder or "/")
    try:
        os.link(last, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(source)


def _own(parent: int, name: str, member: tarfile.TarInfo) -> None:
    """Only root can give files away; a user's image is the user's."""
    if os.geteuid() == 0:
        os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)


def _remove(parent: int, name: str) -> None:
    try:
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(info.st_mode):
        shutil.rmtree(f"/proc/self/fd/{parent}/{name}")
    else:
        os.unlink(name, dir_fd=parent)
