"""An image in a folder (image-spec, "OCI Image Layout") as a root file system and the configuration it asks for.

Layers are applied in order, each name looked up inside the root, so that no link of one layer leads another one out.
"""

import gzip
import hashlib
import json
import os
import shutil
import stat
import tarfile
from typing import IO, Any

from pyruntime.errors import Error, UsageError, explain_oserror, one_line
from pyruntime.kernel import paths

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_REF = "org.opencontainers.image.ref.name"
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_LARGEST_JSON = 4 << 20
Json = dict[str, Any]


def unpack(place: str, rootfs: str) -> Json:
    """Unpack the image at `DIR[:TAG]` into the empty folder `rootfs`; returns its configuration. Raises Error."""
    folder, tag = _place(place)
    manifest = _manifest(folder, tag)
    config: Json = _json(_blob(folder, manifest["config"]))
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for layer in manifest["layers"]:
            with _blob(folder, layer) as file, _tar(file, layer) as archive:
                for member in archive:
                    _extract(archive, member, root)
    except (tarfile.TarError, EOFError, OSError) as error:
        told = explain_oserror(error) if isinstance(error, OSError) and error.errno else one_line(str(error))
        raise Error(f"--oci-layout {folder}: a layer can't be unpacked: {told}") from None
    finally:
        os.close(root)
    return config


def _place(place: str) -> "tuple[str, str]":
    """DIR and TAG; a folder may have a colon in its name."""
    folder, colon, tag = place.rpartition(":")
    if os.path.isdir(place) or not colon:
        return place, ""
    return folder, tag


def _manifest(folder: str, tag: str) -> Json:
    try:
        with open(f"{folder}/index.json", encoding="utf-8") as file:
            entries = json.load(file)["manifests"]
    except OSError as error:
        raise Error(
            f"--oci-layout {explain_oserror(error)}: expected a folder as `skopeo copy … oci:DIR` makes"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise Error(f"--oci-layout {folder}: index.json is no index of manifests") from None
    found = [entry for entry in entries if not tag or entry.get("annotations", {}).get(_REF) == tag]
    if not found or (len(found) > 1 and not tag):
        names = ", ".join(str(entry.get("annotations", {}).get(_REF, "(no name)")) for entry in entries)
        raise UsageError(f"--oci-layout {folder}: name one of its images, DIR:TAG: {names or 'it has none'}")
    document = _json(_blob(folder, found[0]))
    return document if "layers" in document else _json(_blob(folder, _for_this_machine(document, folder)))


def _for_this_machine(index: Json, folder: str) -> Json:
    machine = _MACHINES.get(os.uname().machine, os.uname().machine)
    platforms = [entry.get("platform", {}) for entry in index.get("manifests", [])]
    for entry, platform in zip(index.get("manifests", []), platforms, strict=True):
        if (platform.get("os"), platform.get("architecture")) in (("linux", machine), ("wasi", "wasm")):
            return dict(entry)
    there = ", ".join(f"{p.get('os')}/{p.get('architecture')}" for p in platforms)
    raise Error(f"--oci-layout {folder}: no image for linux/{machine}; it has {there or 'none'}")


def _blob(folder: str, descriptor: Json) -> "IO[bytes]":
    """A blob whose digest was checked, open at its beginning. Raises Error."""
    algorithm, _, number = str(descriptor.get("digest", "")).partition(":")
    if algorithm not in ("sha256", "sha512") or not number.isalnum():
        raise Error(
            f"--oci-layout {folder}: the digest {one_line(str(descriptor.get('digest')))} is none that is known"
        )
    try:
        file = open(f"{folder}/blobs/{algorithm}/{number}", "rb")
    except OSError as error:
        raise Error(f"--oci-layout {explain_oserror(error)}") from None
    found = hashlib.new(algorithm)
    while part := file.read(1 << 20):
        found.update(part)
    if found.hexdigest() != number:
        file.close()
        raise Error(f"--oci-layout {folder}: the blob {number[:12]}… does not have its digest; copy the image again")
    file.seek(0)
    return file


def _json(file: "IO[bytes]") -> Json:
    with file:
        try:
            found = json.loads(file.read(_LARGEST_JSON))
        except ValueError as error:
            raise Error(f"--oci-layout: a document of the image is not JSON: {one_line(str(error))}") from None
    if not isinstance(found, dict):
        raise Error("--oci-layout: a document of the image is no object")
    return found


def _tar(file: "IO[bytes]", layer: Json) -> tarfile.TarFile:
    kind = str(layer.get("mediaType", ""))
    if kind.endswith("zstd"):
        raise Error(
            "--oci-layout: a layer is compressed by zstd, which this Python does not read; copy the image with "
            "skopeo copy --dest-compress-format gzip"
        )
    content = gzip.open(file) if kind.endswith(("gzip", "tar.gzip")) else file
    return tarfile.open(fileobj=content, mode="r|")


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, root: int) -> None:
    """Make one member below the root; device nodes and fifos are left out, the runtime makes those it needs."""
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
        _remove(parent, name.removeprefix(_WHITEOUT))
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
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=parent), "wb") as target:
        source = archive.extractfile(member)
        if source is not None:
            shutil.copyfileobj(source, target)
        _own(parent, name, member)
        os.fchmod(target.fileno(), member.mode & 0o7777)


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


def settle(document: Json, image: Json) -> None:
    """Take over what the image says of its program: words, environment, user by number, working directory."""
    asked: Json = image.get("config") or {}
    process = document["process"]
    words = [*(asked.get("Entrypoint") or []), *(asked.get("Cmd") or [])]
    if words:
        process["args"], process["terminal"] = words, False
    if asked.get("Env"):
        process["env"] = list(asked["Env"])
    process["cwd"] = asked.get("WorkingDir") or "/"
    uid, _, gid = str(asked.get("User") or "").partition(":")
    if uid.isdecimal():
        process["user"] = {"uid": int(uid), "gid": int(gid) if gid.isdecimal() else 0}
    elif uid:
        raise Error(
            f"--oci-layout: the image's user is {one_line(uid)}, a name; give its number: --set process.user.uid=N"
        )
