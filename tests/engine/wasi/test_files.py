"""wasi:filesystem by its functions: what is done, what is refused, and that nothing leads out."""

import gc
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyruntime.engine.base import Guest
from pyruntime.engine.wasi import files
from pyruntime.engine.wasi.host import Call
from pyruntime.engine.wasi.values import Err, Ok
from pyruntime.errors import Error

FOLLOW: "set[str]" = {"symlink-follow"}
NOTHING: "set[str]" = set()


class Folder:
    """A directory that was opened for a guest."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.call = Call(Guest([], [], preopens=[(str(path), "/", read_only)]))
        ((self.base, name),) = files.FUNCTIONS["wasi:filesystem/preopens"]["get-directories"](self.call)
        assert name == "/"

    def __call__(self, name: str, *arguments: Any, on: Any = None) -> Any:
        function = files.FUNCTIONS["wasi:filesystem/types"][f"[method]descriptor.{name}"]
        found = function(self.call, on or self.base, *arguments)
        return found.value if isinstance(found, Ok) else found

    def open(self, path: str, how: "set[str]" = NOTHING, flags: "set[str]" = NOTHING) -> Any:
        return self("open-at", FOLLOW, path, how, flags or {"read"})

    def refused(self, name: str, *arguments: Any, on: Any = None) -> str:
        found = self(name, *arguments, on=on)
        assert isinstance(found, Err), found
        return str(found.value)


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("of the host")
    path = tmp_path / "inside"
    path.mkdir()
    (path / "file").write_text("content")
    (path / "folder").mkdir()
    (path / "folder/deep").write_text("deep")
    return path


@pytest.fixture
def folder(inside: Path) -> "Iterator[Folder]":
    found = Folder(inside)
    yield found
    found.base.dropped()


def test_reading_and_writing(folder: Folder, inside: Path) -> None:
    file = folder.open("file")
    assert folder("read", 4, 2, on=file) == (b"nten", False)
    assert folder("read", 10, 7, on=file) == (b"", True)
    stream = folder("read-via-stream", 3, on=file)
    assert (stream.read(2, True).value, stream.read(9, True).value) == (b"te", b"nt")
    assert isinstance(stream.read(9, True), Err)
    assert folder.refused("write", b"x", 0, on=file) == "bad-descriptor"
    file.dropped()
    new = folder.open("new", {"create", "exclusive"}, {"read", "write"})
    assert folder("write", b"abc", 1, on=new) == 3
    folder("append-via-stream", on=new).write(b"def")
    folder("write-via-stream", 0, on=new).write(b"-")
    assert (inside / "new").read_bytes() == b"-abcdef"
    folder("set-size", 2, on=new)
    assert folder("stat", on=new)["size"] == 2
    assert folder("get-flags", on=new) == {"read", "write"}
    new.dropped()
    assert folder.refused("open-at", FOLLOW, "new", {"create", "exclusive"}, {"write"}) == "exist"


def test_directories(folder: Folder, inside: Path) -> None:
    folder("create-directory-at", "folder/sub")
    folder("rename-at", "file", folder.base, "folder/moved")
    folder("link-at", NOTHING, "folder/moved", folder.base, "again")
    folder("symlink-at", "folder/deep", "link")
    assert folder("readlink-at", "link") == "folder/deep"
    assert folder("stat-at", NOTHING, "link")["type"] == "symbolic-link"
    assert folder("stat-at", FOLLOW, "link")["size"] == 4
    entries = folder("read-directory")
    found = {}
    while (entry := entries.next().value) is not None:
        found[entry["name"]] = entry["type"]
    assert found == {"again": "regular-file", "folder": "directory", "link": "symbolic-link"}
    assert folder.refused("remove-directory-at", "folder") == "not-empty"
    folder("remove-directory-at", "folder/sub")
    folder("unlink-file-at", "again")
    assert not (inside / "again").exists()
    below = folder.open("folder", {"directory"})
    assert folder("stat-at", NOTHING, "deep", on=below)["type"] == "regular-file"
    below.dropped()
    assert folder.refused("open-at", FOLLOW, "folder/deep", {"directory"}, {"read"}) == "not-directory"


def test_times_and_identity(folder: Folder, inside: Path) -> None:
    wanted = ("timestamp", {"seconds": 1000, "nanoseconds": 5})
    folder("set-times-at", FOLLOW, "file", ("no-change", None), wanted)
    assert folder("stat-at", FOLLOW, "file")["data-modification-timestamp"] == {"seconds": 1000, "nanoseconds": 5}
    one, two = folder.open("file"), folder.open("folder/deep")
    assert folder("is-same-object", one, on=one) is True
    assert folder("is-same-object", two, on=one) is False
    assert folder("metadata-hash", on=one) == folder("metadata-hash-at", FOLLOW, "file")
    assert folder("metadata-hash", on=one) != folder("metadata-hash", on=two)
    one.dropped()
    two.dropped()


@pytest.mark.parametrize("path", ["../secret", "folder/../../secret", "out", "up/secret", "absolute", "/etc/passwd"])
def test_nothing_leads_out(folder: Folder, inside: Path, path: str) -> None:
    (inside / "out").symlink_to("../secret")
    (inside / "up").symlink_to("..")
    (inside / "absolute").symlink_to(inside.parent / "secret")
    assert folder.refused("open-at", FOLLOW, path, NOTHING, {"read"}) in ("no-entry", "not-permitted", "not-directory")
    assert folder.refused("stat-at", FOLLOW, path) in ("no-entry", "not-permitted", "not-directory")
    folder("open-at", FOLLOW, path, {"create"}, {"write"})
    assert (inside.parent / "secret").read_text() == "of the host"


def test_a_link_is_not_followed_unasked(folder: Folder, inside: Path) -> None:
    (inside / "link").symlink_to("file")
    assert folder.refused("open-at", NOTHING, "link", NOTHING, {"read"}) == "loop"


def test_through_what_is_only_to_be_read_nothing_changes(inside: Path) -> None:
    folder = Folder(inside, read_only=True)
    file = folder.open("file")
    assert folder("read", 7, 0, on=file) == (b"content", False)
    for name, arguments in (
        ("create-directory-at", ("x",)),
        ("unlink-file-at", ("file",)),
        ("rename-at", ("file", folder.base, "x")),
        ("symlink-at", ("file", "x")),
        ("link-at", (NOTHING, "file", folder.base, "x")),
        ("remove-directory-at", ("folder",)),
        ("set-times-at", (FOLLOW, "file", ("now", None), ("now", None))),
        ("open-at", (FOLLOW, "file", NOTHING, {"write"})),
        ("open-at", (FOLLOW, "x", {"create"}, {"read"})),
        ("open-at", (FOLLOW, "file", {"truncate"}, {"read"})),
    ):
        assert folder.refused(name, *arguments) == "read-only", name
    assert folder.refused("set-size", 0, on=file) == "read-only"
    writable = Folder(inside)
    assert writable.refused("rename-at", "file", folder.base, "x") == "read-only"
    assert sorted(os.listdir(inside)) == ["file", "folder"]
    for each in (file, folder.base, writable.base):
        each.dropped()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Error, match="cannot be opened for the guest as /: no such file or directory"):
        Folder(tmp_path / "none")


def test_a_stream_from_beyond_all_files_fails_and_is_no_end_of_the_guest(folder: Folder) -> None:
    file = folder.open("file", {"create"}, {"read", "write"})
    assert isinstance(folder("read-via-stream", 1 << 63, on=file).read(1, True), Err)
    assert isinstance(folder("write-via-stream", (1 << 64) - 1, on=file).write(b"x"), Err)
    file.dropped()


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_streams_beyond_the_limit_of_descriptors_are_refused_and_nothing_more(folder: Folder) -> None:
    """What Python has to say of a half-made object would be on the guest's stderr."""
    file, held = folder.open("file"), []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        while not isinstance(stream := folder("read-via-stream", 0, on=file), Err):
            held.append(stream)
        wrong = folder("append-via-stream", on=file)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    gc.collect()
    assert (stream.value, wrong.value) == ("io", "io")
    file.dropped()
