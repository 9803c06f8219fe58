"""An image of one layer as every engine loads it: an OCI image layout with Docker's manifest.json, in one tar."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

_TYPE = "application/vnd.oci.image."


class Layout:
    """The files of an image layout; blobs are named by what they hold."""

    def __init__(self) -> None:
        self.files: "dict[str, bytes]" = {"oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode()}

    def add(self, content: bytes, kind: str) -> "dict[str, object]":
        """Keep a blob; its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        self.files[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"{_TYPE}{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    def write(self, path: Path) -> None:
        """All of it as a tar."""
        with tarfile.open(path, "w") as archive:
            for name, content in self.files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))


def layer(rootfs: Path) -> bytes:
    """A folder as a tar whose files are root's."""

    def owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(rootfs, ".", filter=owned_by_root)
    return buffer.getvalue()


def pack(rootfs: Path, name: str, path: Path, *command: str) -> None:
    """Write the image `name` ("docker.io/library/NAME:TAG") of `rootfs` to `path`; it runs `command`, or a shell."""
    layout = Layout()
    content = layout.add(layer(rootfs), "layer.v1.tar")
    configuration = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": list(command) or ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [content["digest"]]},
    }
    config = layout.add(json.dumps(configuration).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": f"{_TYPE}manifest.v1+json", "config": config, "layers": [content]}
    described = layout.add(json.dumps(manifest).encode(), "manifest.v1+json")
    described["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    layout.files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [described]}).encode()
    blobs = [str(each["digest"]).replace("sha256:", "blobs/sha256/") for each in (config, content)]
    short = name.removeprefix("docker.io/library/")
    docker = [{"Config": blobs[0], "RepoTags": [short], "Layers": blobs[1:]}]
    layout.files["manifest.json"] = json.dumps(docker).encode()
    layout.write(path)
