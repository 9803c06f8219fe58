"""An image in a folder (image-spec, "OCI Image Layout") as a root file system and the configuration it asks for.

Its documents are somebody else's: whatever they hold that the image-spec does not allow becomes one line.
"""

import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from pyruntime.cli import ocilayer
from pyruntime.errors import Error, UsageError, explain_oserror, one_line
from pyruntime.kernel import paths

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_REF = "org.opencontainers.image.ref.name"
_USERS = 1 << 20  # bytes of /etc/passwd or /etc/group that are read
_LARGEST_JSON = 4 << 20
Json = dict[str, Any]


def unpack(place: str, rootfs: str) -> Json:
    """Unpack the image at `DIR[:TAG]` into the empty folder `rootfs`; returns its configuration. Raises Error."""
    folder, tag = _place(place)
    with _as_specified("the manifest"):
        manifest = _manifest(folder, tag)
        config: Json = _json(_blob(folder, manifest["config"]))
        layers = [(layer, str(layer.get("mediaType", ""))) for layer in manifest["layers"]]
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for layer, kind in layers:
            with _blob(folder, layer) as file, ocilayer.archive_of(file, kind) as archive:
                for member in archive:
                    ocilayer.extract(archive, member, root)
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
        told = explain_oserror(error) if isinstance(error, OSError) and error.errno else str(error)
        raise Error(f"--oci-layout {folder}: a layer can't be unpacked: {one_line(told)}") from None
    finally:
        os.close(root)
    return config


@contextmanager
def _as_specified(what: str) -> "Iterator[None]":
    """Values of another kind than the image-spec says, or none, become an Error."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise Error(f"--oci-layout: {what} is not as the image-spec says: {one_line(str(error))}") from None


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


def settle(document: Json, image: Json, rootfs: str) -> None:
    """Take over what the image says of its program: words, environment, user, working directory. Raises Error."""
    with _as_specified("the image's configuration"):
        asked: Json = image.get("config") or {}
        process = document["process"]
        words = [*_texts(asked, "Entrypoint"), *_texts(asked, "Cmd")]
        if words:
            process["args"], process["terminal"] = words, False
        process["env"] = _texts(asked, "Env") or process["env"]
        process["cwd"] = asked.get("WorkingDir") or "/"
        process["user"] = _user(asked.get("User") or "", rootfs)


def _texts(asked: Json, key: str) -> "list[str]":
    found = asked.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise TypeError(f"{key} is no list of texts")
    return found


def _user(asked: str, rootfs: str) -> "dict[str, int]":
    """`user`, `uid`, `user:group`, `uid:gid` and the mixtures (image-spec, config.md), by the image's own files."""
    user, _, group = asked.partition(":")
    row = _row(rootfs, "passwd", user, 7) if user else ["", "", "0", "0"]
    if row is None and not user.isdecimal():
        raise Error(f"--oci-layout: the image's /etc/passwd has no user {one_line(user)}, as whom it wants to run")
    uid, gid = (row[2], row[3]) if row else (user, "0")
    if group:
        entry = _row(rootfs, "group", group, 4)
        if entry is None and not group.isdecimal():
            raise Error(
                f"--oci-layout: the image's /etc/group has no group {one_line(group)}, as which it wants to run"
            )
        gid = entry[2] if entry else group
    return {"uid": int(uid), "gid": int(gid)}


def _row(rootfs: str, name: str, wanted: str, fields: int) -> "list[str] | None":
    """The first line of passwd(5) or group(5) in the image with this name or number."""
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        text = (paths.read_file(root, f"etc/{name}", _USERS) or b"").decode("utf-8", "surrogateescape")
    finally:
        os.close(root)
    rows = [row for row in (line.split(":") for line in text.split("\n")) if len(row) == fields]
    return next((row for at in (0, 2) for row in rows if row[at] == wanted), None)
