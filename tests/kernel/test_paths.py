"""Look-ups below a root: what a container's tree may try, and that both ways of looking up agree."""

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyruntime.kernel import paths
from pyruntime.kernel.paths import O_PATH

NAMES = ("a", "b", "c")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("the host's")
    return folder


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> "Iterator[int]":
    """A root with the usual attempts to leave it; `outside` lies beside it."""
    top = tmp_path / "root"
    (top / "etc").mkdir(parents=True)
    (top / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    links = {
        "up": "../../outside/secret", "abs": "/etc/passwd", "host": str(outside / "secret"), "loop": "loop",
        "dangling": "etc/new/deep", "absdangling": "/var/new", "dir": "etc", "magic": "/proc/self/root",
        "etc/back": "../../../../etc/passwd",
    }  # fmt: skip
    for name, target in links.items():
        (top / name).symlink_to(target)
    os.mkfifo(top / "fifo")
    fd = os.open(top, O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def content(root: int, path: str) -> str:
    fd = paths.open_in_root(root, path, os.O_RDONLY)
    with os.fdopen(fd) as file:
        return file.read()


@pytest.mark.parametrize(
    "path", ["etc/passwd", "/etc/passwd", "abs", "dir/passwd", "../../etc/passwd", "etc/back", "/dir/./passwd"]
)
def test_the_container_finds_its_own_file(root: int, path: str) -> None:
    assert content(root, path).startswith("root:")


@pytest.mark.parametrize("path", ["up", "host", "../outside/secret", "etc/../../outside/secret"])
def test_the_host_s_file_is_out_of_reach(root: int, path: str) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        paths.open_in_root(root, path)
    assert raised.value.filename == path


def test_a_circle_of_links_is_told(root: int) -> None:
    with pytest.raises(OSError, match="loop") as raised:
        paths.open_in_root(root, "loop")
    assert raised.value.errno == errno.ELOOP


def test_descriptors_do_not_survive_execve(root: int) -> None:
    fd = paths.open_in_root(root, "etc")
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_a_magic_link_is_no_door(root: int) -> None:
    """A root that holds a procfs: its links to roots and descriptors are not followed."""
    slash = os.open("/", O_PATH | os.O_DIRECTORY)
    with pytest.raises(OSError, match="symbolic links") as raised:
        paths.open_in_root(slash, f"/proc/self/fd/{root}/etc")
    os.close(slash)
    assert raised.value.errno == errno.ELOOP


def made(root: int, path: str) -> str:
    fd = paths.make_directory(root, path)
    real = os.readlink(f"/proc/self/fd/{fd}")
    os.close(fd)
    return real.partition("/root/")[2] if "/root/" in real else ""


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("x/y/z", "x/y/z"),
        ("/etc/x", "etc/x"),
        ("dir/x", "etc/x"),
        ("dangling", "etc/new/deep"),
        ("dangling/x", "etc/new/deep/x"),
        ("absdangling/x", "var/new/x"),
        ("../../x", "x"),
        ("up/x", "outside/secret/x"),
    ],
)
def test_missing_directories_are_made_inside(root: int, outside: Path, path: str, where: str) -> None:
    assert made(root, path) == where
    assert sorted(os.listdir(outside)) == ["secret"]
    assert (outside / "secret").is_file()


def test_a_directory_that_can_not_be_made(root: int) -> None:
    with pytest.raises(NotADirectoryError):
        paths.make_directory(root, "etc/passwd/x")
    with pytest.raises(OSError, match="loop"):
        paths.make_directory(root, "loop/x")


def test_files_are_made_empty_and_kept(root: int) -> None:
    os.close(paths.make_file(root, "new/deep/file"))
    assert content(root, "new/deep/file") == ""
    os.close(paths.make_file(root, "etc/passwd"))
    assert content(root, "etc/passwd").startswith("root:")


@pytest.mark.parametrize("path", ["/", ".", "a/.."])
def test_the_root_itself_has_no_parent(root: int, path: str) -> None:
    with pytest.raises(FileExistsError):
        paths.make_parent(root, path)


def test_reading_is_for_regular_files(root: int) -> None:
    assert paths.read_file(root, "etc/passwd", 4) == b"root"
    assert paths.read_file(root, "abs", 99) == b"root:x:0:0::/root:/bin/sh\n"
    for other in ("fifo", "etc", "nowhere", "up", "loop"):
        assert paths.read_file(root, other, 99) is None


Tree = list[tuple[str, str, str]]
_paths = st.lists(st.sampled_from([*NAMES, ".."]), min_size=1, max_size=4).map("/".join)
_entries = st.tuples(
    st.sampled_from(["dir", "file", "link"]),
    _paths,
    st.sampled_from(["", "/"]).flatmap(lambda s: _paths.map(lambda p: s + p)),
)


def grow(top: Path, tree: Tree) -> None:
    """Make of the entries what can be made; whatever leads out of the top is left out."""
    for kind, where, target in tree:
        place = top / os.path.normpath("/" + where).lstrip("/")
        try:
            if not place.parent.resolve().is_relative_to(top.resolve()):
                continue
            if kind == "dir":
                place.mkdir(parents=True)
            elif kind == "file":
                place.write_text(where)
            else:
                place.symlink_to(target)
        except (OSError, RuntimeError):
            continue


def answer(look: "Any", root: int, path: str) -> "tuple[str, object]":
    try:
        fd = look(root, path, O_PATH | os.O_CLOEXEC)
    except OSError as error:
        return "error", error.errno
    found = os.fstat(fd)
    os.close(fd)
    return "found", (found.st_dev, found.st_ino)


@settings(max_examples=100, deadline=None)
@given(st.lists(_entries, max_size=8), st.lists(_paths, min_size=1, max_size=6))
def test_the_walk_finds_what_the_kernel_finds(tree: Tree, wanted: "list[str]") -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder) / "top"
        top.mkdir()
        grow(top, tree)
        fd = os.open(top, O_PATH | os.O_DIRECTORY)
        try:
            for path in wanted:
                assert answer(paths._walk, fd, path) == answer(paths.open_in_root, fd, path), path
        finally:
            os.close(fd)


@pytest.mark.parametrize("flags", [O_PATH, O_PATH | os.O_DIRECTORY, os.O_RDONLY, O_PATH | os.O_NOFOLLOW])
@pytest.mark.parametrize(
    "path", ["etc/passwd", "abs", "up", "loop", "dir", "nowhere", "etc/passwd/x", ".", "/", "etc/.."]
)
def test_the_walk_agrees_for_every_kind_of_open(root: int, path: str, flags: int) -> None:
    def inode(look: "Any") -> object:
        try:
            fd = look(root, path, flags | os.O_CLOEXEC)
        except OSError as error:
            return error.errno
        found = os.fstat(fd)
        os.close(fd)
        return found.st_ino

    assert inode(paths._walk) == inode(paths.open_in_root)
