"""`spec` on images made to harm, and on flags nobody meant: refused or kept inside, and nothing stays behind."""

import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyruntime.cli import defaultspec, ocilayout, specparts
from pyruntime.errors import Error, UsageError
from tests.cli.verbs.box import Box
from tests.cli.verbs.test_spec_bundle import Layout, layer


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


def refused(box: Box, layout: Layout, *words: str) -> str:
    """What `spec` says to the image; the bundle's folder must be gone."""
    shutil.rmtree(box.bundle, ignore_errors=True)
    result = box("spec", "--oci-layout", str(layout.folder), *words, "-b", str(box.bundle))
    assert result.returncode == 1, result.stdout
    assert len(result.stderr.splitlines()) == 1
    assert "internal error" not in result.stderr
    assert not box.bundle.exists()
    return result.stderr


@pytest.mark.parametrize("name", [".wh...", "d/.wh...", ".wh..", "d/.wh.."])
def test_a_whiteout_of_the_folder_above_is_refused(tmp_path: Path, layout: Layout, name: str) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "root").mkdir()
    layout.image("v", {}, layer(("a", b"", {}), (name, b"", {})))
    with pytest.raises(Error, match="whiteout"):
        ocilayout.unpack(str(layout.folder), str(tmp_path / "root"))
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "root/a").exists()


def test_a_name_with_a_nul_is_refused(box: Box, layout: Layout) -> None:
    layout.image("v", {}, layer(("a", b"x", {"pax_headers": {"path": "a\0b"}})))
    assert "--oci-layout" in refused(box, layout)


def test_a_broken_stream_leaves_nothing(box: Box, layout: Layout) -> None:
    whole = layer(("a", os.urandom(5000), {}))
    layout.image("v", {}, whole)
    manifest = json.loads((layout.folder / "index.json").read_text())["manifests"][0]
    document = json.loads((layout.folder / "blobs/sha256" / manifest["digest"][7:]).read_text())
    old = (layout.folder / "blobs/sha256" / document["layers"][0]["digest"][7:]).read_bytes()
    for content in (old[:1000], b"no gzip at all", old[:10] + b"\xff" * 50):
        document["layers"] = [layout.blob(content, "application/vnd.oci.image.layer.v1.tar+gzip")]
        entry = layout.blob(json.dumps(document).encode())
        (layout.folder / "index.json").write_text(json.dumps({"manifests": [entry]}))
        assert "a layer can't be unpacked" in refused(box, layout)


def sparse(size: int) -> bytes:
    """A layer with one GNU sparse file (pax format 1.0) that claims `size` bytes and has none."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("huge")
        content = b"0\n".ljust(512, b"\0")
        info.size = len(content)
        values = {"major": 1, "minor": 0, "name": "huge", "realsize": size}
        info.pax_headers = {f"GNU.sparse.{name}": str(value) for name, value in values.items()}
        archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def test_a_file_larger_than_the_disk_is_refused_before_it_is_written(box: Box, layout: Layout) -> None:
    layout.image("v", {}, sparse(1 << 60))
    assert "larger than what is free" in refused(box, layout)


@pytest.mark.parametrize(
    "index",
    [
        {"manifests": ["x"]},
        {"manifests": [None]},
        {"manifests": {"a": 1}},
        {"manifests": [{"digest": 1}]},
        {"manifests": [{"annotations": []}]},
        [],
    ],
)
def test_an_index_that_is_none(box: Box, layout: Layout, index: object) -> None:
    (layout.folder / "index.json").write_text(json.dumps(index))
    refused(box, layout)


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"layers": []},
        {"config": {}, "layers": []},
        {"config": "x", "layers": []},
        {"layers": "abc", "config": None},
        {"manifests": None},
        {"manifests": ["x"]},
        {"manifests": [{"platform": None}]},
    ],
)
def test_a_manifest_that_is_none(box: Box, layout: Layout, manifest: object) -> None:
    entry = layout.blob(json.dumps(manifest).encode())
    (layout.folder / "index.json").write_text(json.dumps({"manifests": [entry]}))
    refused(box, layout)


@pytest.mark.parametrize(
    "config",
    [
        {"Entrypoint": "sh -c x"},
        {"Env": "A=b"},
        {"Env": {"A": "b"}},
        {"Cmd": [1]},
        {"User": {"uid": 0}},
        {"WorkingDir": 7},
        {"User": "99999999999999999999"},
        {"User": "1:x"},
        {"User": "nobody-knows"},
        ["x"],
    ],
)
def test_an_image_configuration_that_is_none(box: Box, layout: Layout, config: Any) -> None:
    layout.image("v", config, layer())
    refused(box, layout)


@pytest.mark.parametrize(
    ("user", "uid", "gid"),
    [
        ("", 0, 0),
        ("web", 33, 44),
        ("web:staff", 33, 50),
        ("web:7", 33, 7),
        ("7:staff", 7, 50),
        ("33", 33, 44),
        ("9", 9, 0),
    ],
)
def test_a_user_is_looked_up_in_the_image(tmp_path: Path, layout: Layout, user: str, uid: int, gid: int) -> None:
    passwd = b"root:x:0:0::/:/bin/sh\nbroken\nweb:x:33:44::/:/bin/sh\nweb:x:1:1::/:/bin/sh\n"
    layout.image("v", {"User": user}, layer(("etc/passwd", passwd, {}), ("etc/group", b"staff:x:50:\n", {})))
    (tmp_path / "root").mkdir()
    document = defaultspec.document()
    ocilayout.settle(document, ocilayout.unpack(str(layout.folder), str(tmp_path / "root")), str(tmp_path / "root"))
    assert document["process"]["user"] == {"uid": uid, "gid": gid}


def test_the_users_of_the_host_are_none_of_the_image(tmp_path: Path, layout: Layout) -> None:
    link = {"type": tarfile.SYMTYPE, "linkname": str(tmp_path / "passwd")}
    (tmp_path / "passwd").write_text("web:x:33:44::/:/bin/sh\n")
    layout.image("v", {"User": "web"}, layer(("etc/passwd", None, link)))
    (tmp_path / "root").mkdir()
    image = ocilayout.unpack(str(layout.folder), str(tmp_path / "root"))
    with pytest.raises(Error, match="web"):
        ocilayout.settle(defaultspec.document(), image, str(tmp_path / "root"))


def test_what_is_no_file_is_left_out(tmp_path: Path, layout: Layout) -> None:
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    layout.image("v", {}, layer(*((f"n{index}", None, {"type": kind}) for index, kind in enumerate(kinds))))
    (tmp_path / "root").mkdir()
    ocilayout.unpack(str(layout.folder), str(tmp_path / "root"))
    assert os.listdir(tmp_path / "root") == []


def test_names_may_hold_anything_but_a_slash(tmp_path: Path, layout: Layout) -> None:
    names = ["line\nbreak", "\x1b[31m", "ü", "x" * 200]
    layout.image("v", {}, layer(*((name, b"", {}) for name in names)))
    (tmp_path / "root").mkdir()
    ocilayout.unpack(str(layout.folder), str(tmp_path / "root"))
    assert sorted(os.listdir(tmp_path / "root")) == sorted(names)


def test_a_hard_link_to_a_link_is_a_link(tmp_path: Path, layout: Layout) -> None:
    (tmp_path / "victim").write_text("precious")
    layout.image(
        "v",
        {},
        layer(
            ("l", None, {"type": tarfile.SYMTYPE, "linkname": str(tmp_path / "victim")}),
            ("h", None, {"type": tarfile.LNKTYPE, "linkname": "l"}),
            ("h", b"x", {}),
        ),
    )
    (tmp_path / "root").mkdir()
    ocilayout.unpack(str(layout.folder), str(tmp_path / "root"))
    assert (tmp_path / "victim").read_text() == "precious"


def test_the_digest_is_of_the_whole_blob(layout: Layout, tmp_path: Path) -> None:
    layout.image("v", {}, layer(("a", b"", {})))
    for blob in (layout.folder / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
        with blob.open("ab") as file:
            file.write(b" ")
    (tmp_path / "root").mkdir()
    with pytest.raises(Error, match="does not have its digest"):
        ocilayout.unpack(str(layout.folder), str(tmp_path / "root"))


# Flags


def settled(pair: str) -> "dict[str, Any]":
    document = defaultspec.document()
    specparts.settings(document, [pair])
    specparts.demand_sound(document)
    return document


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='ab.[]"0123456789=\\{}:,-eN \u0663\udc80', max_size=24))
def test_any_setting_is_taken_or_refused(pair: str) -> None:
    try:
        settled(pair)
    except Error as error:
        told = error.text
    else:
        told = ""
    assert told == "" or told.isprintable()


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100000, "NaN", "1e999", "-Infinity", '"\\ud800"'])
def test_json_that_no_document_may_hold(value: str) -> None:
    with pytest.raises(Error):
        settled(f"linux.resources.pids.limit={value}")


@pytest.mark.parametrize("pair", [f"mounts[{'9' * 5000}]=1", "a[0]b=1", "hostname.=x", "mounts[0]]=1"])
def test_a_path_must_be_whole(pair: str) -> None:
    with pytest.raises(UsageError, match=r"^spec --set "):
        specparts.settings(defaultspec.document(), [pair])
