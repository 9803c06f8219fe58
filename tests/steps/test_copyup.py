"""`tmpcopyup`: what is copied keeps its looks."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pyruntime.errors import Error
from pyruntime.steps.copyup import copy_tree

Copy = Callable[[Path, Path], None]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "source"
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "file").write_bytes(b"x" * 3_000_000)
    (top / "empty").touch(mode=0o640)
    (top / "sub" / "deep" / "tool").write_text("#!/bin/sh\n")
    (top / "sub" / "deep" / "tool").chmod(0o4755)
    (top / "link").symlink_to("/nowhere")
    os.mkfifo(top / "fifo", 0o600)
    (top / "sub").chmod(0o1777)
    os.utime(top / "file", ns=(1_000_000_000, 2_000_000_007))
    return top


def copy(source: Path, target: Path) -> None:
    target.mkdir()
    one, two = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target))
    copy_tree(one, two)
    os.close(one)
    os.close(two)


def test_directories_nested_without_end(tmp_path: Path) -> None:
    """A tree made to exhaust the stack or the descriptors is refused, with words."""
    (tmp_path / "source").mkdir()
    folder = os.open(tmp_path / "source", os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    with pytest.raises(Error, match="nested deeper than 200"):
        copy(tmp_path / "source", tmp_path / "target")


def test_everything_arrives(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    copy(source, target)
    assert sorted(p.relative_to(target) for p in target.rglob("*")) == sorted(
        p.relative_to(source) for p in source.rglob("*")
    )
    for path in source.rglob("*"):
        old, new = path.lstat(), (target / path.relative_to(source)).lstat()
        assert (old.st_mode, old.st_uid, old.st_gid) == (new.st_mode, new.st_uid, new.st_gid), path
        if path.is_file() and not path.is_symlink():
            assert (target / path.relative_to(source)).read_bytes() == path.read_bytes()
    assert os.readlink(target / "link") == "/nowhere"
    assert (target / "file").stat().st_mtime_ns == 2_000_000_007
    assert target.stat().st_mode == source.stat().st_mode


def test_extended_attributes_are_kept(source: Path, tmp_path: Path) -> None:
    try:
        os.setxattr(source / "file", "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no user attributes")
    copy(source, tmp_path / "target")
    assert os.getxattr(tmp_path / "target" / "file", "user.note") == b"kept"


@pytest.mark.root
def test_owners_and_devices_are_kept(source: Path, tmp_path: Path) -> None:
    os.chown(source / "file", 7, 8)
    os.lchown(source / "link", 9, 10)
    os.mknod(source / "null", 0o020666, os.makedev(1, 3))
    copy(source, tmp_path / "target")
    found = (tmp_path / "target" / "file").stat()
    assert (found.st_uid, found.st_gid) == (7, 8)
    assert (tmp_path / "target" / "link").lstat().st_uid == 9
    assert (tmp_path / "target" / "null").stat().st_rdev == os.makedev(1, 3)


def test_no_descriptor_is_left_open(source: Path, tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    copy(source, tmp_path / "target")
    assert os.listdir("/proc/self/fd") == before
