"""`spec` with the flags that make a bundle to run: busybox, a folder, an image; limits; any value by its path."""

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pyruntime.cli import defaultspec, ocilayout, specparts
from pyruntime.cli.rootfiles import static_busybox
from pyruntime.errors import Error, UsageError
from pyruntime.kernel.formats import is_static
from tests.cli.verbs.box import Box

needs_busybox = pytest.mark.skipif(not static_busybox(), reason="needs a static busybox")


def written(box: Box) -> "Any":
    return json.loads((box.bundle / "config.json").read_text())


@needs_busybox
def test_busybox(box: Box) -> None:
    box.ok("spec", "--busybox", "-b", str(box.bundle), "--", "echo", "-n", "hello")
    assert written(box)["process"]["args"] == ["echo", "-n", "hello"]
    assert written(box)["process"]["terminal"] is False
    assert (box.bundle / "rootfs/bin/sh").readlink() == Path("busybox")
    assert os.access(box.bundle / "rootfs/bin/busybox", os.X_OK)


@needs_busybox
@pytest.mark.parametrize("words", [(), ("sh",), ("/bin/bash",)])
def test_a_shell_gets_a_terminal(box: Box, words: "tuple[str, ...]") -> None:
    box.ok("spec", "--busybox", "-b", str(box.bundle), *words)
    assert written(box)["process"]["terminal"] is True


def test_limits_and_settings(box: Box, tmp_path: Path) -> None:
    box.bundle.mkdir(exist_ok=True)
    flags = ["--rootfs", str(tmp_path), "--memory", "64m", "--cpus", "0.5", "--pids", "20"]
    box.ok("spec", *flags, "--set", "hostname=other", "--set", "process.env[0]=A=b", "-b", str(box.bundle), "true")
    found = written(box)
    assert found["root"]["path"] == str(tmp_path)
    assert found["linux"]["resources"]["memory"] == {"limit": 64 << 20}
    assert found["linux"]["resources"]["cpu"] == {"quota": 50000, "period": 100000}
    assert found["linux"]["resources"]["pids"] == {"limit": 20}
    assert (found["hostname"], found["process"]["env"][0]) == ("other", "A=b")


@pytest.mark.parametrize(
    ("pair", "path", "value"),
    [
        ("process.cwd=/tmp", ("process", "cwd"), "/tmp"),
        ("process.capabilities.bounding=[]", ("process", "capabilities", "bounding"), []),
        ('annotations["a.b"]=c', ("annotations", "a.b"), "c"),
        ("mounts[0].options[0]=ro", ("mounts", 0, "options", 0), "ro"),
        ("linux.resources.pids.limit=5", ("linux", "resources", "pids", "limit"), 5),
        ('linux.sysctl["net.ipv4.ip_forward"]="1"', ("linux", "sysctl", "net.ipv4.ip_forward"), "1"),
        ('mounts[7]={"destination":"/x"}', ("mounts", 7, "destination"), "/x"),
        ("hooks.poststart[0].path=/bin/true", ("hooks", "poststart", 0, "path"), "/bin/true"),
    ],
)
def test_a_setting_goes_where_its_path_says(pair: str, path: "tuple[str | int, ...]", value: object) -> None:
    document: Any = defaultspec.document()
    specparts.settings(document, [pair])
    for key in path:
        document = document[key]
    assert document == value


@pytest.mark.parametrize(
    "pair", ["", "=x", "a", "a..b=1", "mounts[99]=1", "mounts.x=1", "mounts[x]=1", "mounts[0=1", "hostname.x=1", ".a=1"]
)
def test_a_setting_without_sense_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match=r"^spec --set "):
        specparts.settings(defaultspec.document(), [pair])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cpus", "half"], "expected a number such as 0.5"),
        (["--cpus", "0"], "expected more than 0"),
        (["--pids", "0"], "expected more than 0"),
        (["--busybox", "--rootfs", "/x"], "--busybox and --rootfs each make"),
        (["--set", "process.cwd=here"], "refused by create: process.cwd"),
        (["--oci-layout", "/nonexistent"], "no such file or directory"),
        (["--rootfs", "/nonexistent"], "--rootfs /nonexistent: no such directory"),
        (["--rootfs", "/etc/passwd"], "--rootfs /etc/passwd: no such directory"),
    ],
)
def test_what_cannot_be_leaves_nothing(box: Box, words: "list[str]", told: str) -> None:
    shutil.rmtree(box.bundle, ignore_errors=True)
    result = box("spec", *words, "-b", str(box.bundle), "true")
    assert (result.returncode, told in result.stderr) == (1, True), result.stderr
    assert not box.bundle.exists()


@pytest.mark.parametrize(
    ("pair", "told"),
    [("process.argz=x", "process.argz: unknown key, it has no effect; did you mean process.args?"), ("hostname=x", "")],
)
def test_a_misspelt_setting_is_warned_of(box: Box, pair: str, told: str) -> None:
    shutil.rmtree(box.bundle, ignore_errors=True)
    result = box("spec", "--set", pair, "-b", str(box.bundle))
    assert (result.returncode, told in result.stderr, bool(result.stderr)) == (0, True, bool(told))


def test_a_rootfs_behind_a_link_is_named_as_it_is(box: Box, tmp_path: Path) -> None:
    """`create` takes no symlink for a root."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    box.ok("spec", "--rootfs", str(tmp_path / "link"), "-b", str(box.bundle), "true")
    assert written(box)["root"]["path"] == str(tmp_path / "real")


# Images


def layer(*members: "tuple[str, bytes | None, dict[str, Any]]") -> bytes:
    """A layer: name, content (None for none) and further values of the header."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content, values in members:
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            info.uid, info.gid = os.geteuid(), os.getegid()
            for key, value in values.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content) if content is not None else None)
    return data.getvalue()


class Layout:
    """An image layout in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "index.json").write_text('{"manifests": []}')

    def blob(self, content: bytes, kind: str = "") -> "dict[str, Any]":
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    def image(self, tag: str, config: "dict[str, Any]", *layers: bytes) -> None:
        kinds = [self.blob(gzip.compress(each), "application/vnd.oci.image.layer.v1.tar+gzip") for each in layers]
        manifest = {"config": self.blob(json.dumps({"config": config}).encode()), "layers": kinds}
        entry = {**self.blob(json.dumps(manifest).encode()), "annotations": {ocilayout._REF: tag}}
        index = json.loads((self.folder / "index.json").read_text())
        (self.folder / "index.json").write_text(json.dumps({"manifests": [*index["manifests"], entry]}))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


FOLDER = {"type": tarfile.DIRTYPE, "mode": 0o755}


def test_an_image_becomes_a_bundle(box: Box, layout: Layout) -> None:
    config = {"Entrypoint": ["/bin/app"], "Cmd": ["x"], "Env": ["A=b"], "User": "5:6", "WorkingDir": "/w"}
    layout.image(
        "v1",
        config,
        layer(("bin", None, FOLDER), ("bin/app", b"one", {"mode": 0o755}), ("old", b"x", {}), ("d", None, FOLDER)),
        layer(
            ("bin/app", b"two", {"mode": 0o4755}),
            (".wh.old", b"", {}),
            ("d/l", None, {"type": tarfile.SYMTYPE, "linkname": "/bin"}),
        ),
        layer(("d/l/new", b"through a link", {}), ("hard", None, {"type": tarfile.LNKTYPE, "linkname": "bin/app"})),
    )
    shutil.rmtree(box.bundle, ignore_errors=True)
    box.ok("spec", "--oci-layout", f"{layout.folder}:v1", "-b", str(box.bundle))
    process, rootfs = written(box)["process"], box.bundle / "rootfs"
    assert (process["args"], process["env"], process["cwd"]) == (["/bin/app", "x"], ["A=b"], "/w")
    assert process["user"] == {"uid": 5, "gid": 6}
    assert (rootfs / "bin/app").read_text() == (rootfs / "hard").read_text() == "two"
    assert (rootfs / "bin/app").stat().st_mode & 0o7777 == 0o4755
    assert (rootfs / "bin/new").read_text() == "through a link"
    assert not (rootfs / "old").exists()


def test_an_opaque_folder_hides_what_was_below(tmp_path: Path, layout: Layout) -> None:
    below = layer(("d", None, FOLDER), ("d/a", b"", {}), ("d/e", None, FOLDER), ("d/e/f", b"", {}))
    layout.image("v", {}, below, layer(("d/.wh..wh..opq", b"", {}), ("d/b", b"", {})))
    (tmp_path / "root").mkdir()
    ocilayout.unpack(str(layout.folder), str(tmp_path / "root"))
    assert os.listdir(tmp_path / "root/d") == ["b"]


@pytest.mark.parametrize(
    "members",
    [
        [("../out", b"x", {})],
        [("l", None, {"type": tarfile.SYMTYPE, "linkname": "../../.."}), ("l/out", b"x", {})],
        [("l", None, {"type": tarfile.SYMTYPE, "linkname": "OUTSIDE"}), ("l/out", b"x", {})],
        [("l", None, {"type": tarfile.SYMTYPE, "linkname": "OUTSIDE/victim"}), ("l", b"x", {})],
        [("h", None, {"type": tarfile.LNKTYPE, "linkname": "../victim"}), ("h", b"x", {})],
        [
            ("l", None, {"type": tarfile.SYMTYPE, "linkname": "OUTSIDE"}),
            (".wh.l", b"", {}),
            ("l/.wh..wh..opq", b"", {}),
        ],
    ],
)
def test_no_layer_reaches_outside(tmp_path: Path, layout: Layout, members: "list[Any]") -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("precious")
    for _, _, values in members:
        values.update({k: v.replace("OUTSIDE", str(outside)) for k, v in values.items() if isinstance(v, str)})
    layout.image("v", {}, layer(*members))
    (tmp_path / "root").mkdir()
    try:
        ocilayout.unpack(str(layout.folder), str(tmp_path / "root"))
    except Error:
        pass  # refused is as good as kept inside
    assert os.listdir(outside) == ["victim"]
    assert (outside / "victim").read_text() == "precious"
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_with_an_image_is_told(tmp_path: Path, layout: Layout) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(UsageError, match="it has none"):
        ocilayout.unpack(str(layout.folder), str(root))
    layout.image("a", {}, layer())
    layout.image("b", {}, layer())
    with pytest.raises(UsageError, match="a, b"):
        ocilayout.unpack(str(layout.folder), str(root))
    for blob in (layout.folder / "blobs/sha256").iterdir():
        blob.write_bytes(b"{}")
    with pytest.raises(Error, match="does not have its digest"):
        ocilayout.unpack(f"{layout.folder}:a", str(root))
    with pytest.raises(Error, match="has no user www"):
        ocilayout.settle(defaultspec.document(), {"config": {"User": "www"}}, str(root))


def test_static_programs_are_told_by_their_headers(tmp_path: Path) -> None:
    assert not is_static("/bin/ls")
    assert not is_static(str(tmp_path / "absent"))
    for content in (b"#!/bin/sh\n", b"\x7fELF", b""):
        (tmp_path / "x").write_bytes(content)
        assert not is_static(str(tmp_path / "x"))
