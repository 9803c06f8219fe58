"""Look-ups below a root: what a container's tree may try, and that both ways of looking up agree."""

import errno
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyruntime.kernel import paths
from pyruntime.kernel.paths import O_PATH

NAMES = ("a", "b", "c")
FILTERED = "PYRUNTIME_TEST_WITHOUT_OPENAT2"
REFUSING = Path(__file__).parents[1] / "system" / "refusing.py"


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


@pytest.mark.parametrize(
    "target", ["/run/made", "../run/made", "../../../run/made", "/run/on", "/usr/lib/../../run/made"]
)
def test_a_file_behind_a_dangling_link(root: int, outside: Path, target: str) -> None:
    """As many images have at /etc/resolv.conf: what is missing is made inside the root."""
    top = outside.parent / "root"
    (top / "etc/new").symlink_to(target)
    if target.endswith("on"):
        (top / "run").mkdir()
        (top / "run/on").symlink_to("made")
    if "usr" in target:
        (top / "usr/lib").mkdir(parents=True)
    os.close(paths.make_file(root, "/etc/new"))
    assert content(root, "run/made") == ""
    assert os.listdir(outside) == ["secret"]


@pytest.mark.parametrize("target", ["loop", "/etc/loop", "..", "x/"])
def test_a_link_that_no_file_can_be_behind(root: int, outside: Path, target: str) -> None:
    (outside.parent / "root/etc/loop").symlink_to(target)
    if target == "..":
        os.close(paths.make_file(root, "/etc/loop"))  # a directory: the caller finds out by its kind
        return
    with pytest.raises(OSError, match=r"\[Errno (2|20|40)\]"):
        paths.make_file(root, "/etc/loop")


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


def answer(look: "Any", root: int, path: str, flags: int = O_PATH) -> "tuple[str, object]":
    try:
        fd = look(root, path, flags | os.O_CLOEXEC)
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


@pytest.mark.skipif(FILTERED in os.environ, reason="this is the run without openat2")
@pytest.mark.parametrize("error", ["ENOSYS", "EPERM"])
def test_all_of_this_once_more_without_openat2(error: str) -> None:
    """The same tests under a seccomp filter that refuses the call."""
    pytest_here = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    command = [sys.executable, REFUSING, error, "openat2", *pytest_here]
    done = subprocess.run(
        command, env={**os.environ, FILTERED: "1"}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.skipif(FILTERED not in os.environ, reason="not filtered: openat2 is there")
def test_the_filter_is_there() -> None:
    with pytest.raises(OSError, match="openat2|implemented|permitted"):
        paths.syscall("openat2", -100, b"/", b"", 0, subject="openat2")


def links_of_procfs() -> "list[str]":
    """Links of every kind that procfs has: its own, and those of a process that lead somewhere."""
    own = f"proc/{os.getpid()}"
    found = ["proc/self", "proc/thread-self", "proc/mounts", "proc/net"]
    for folder in (own, f"{own}/fd", f"{own}/ns", f"{own}/task/{os.getpid()}", f"{own}/map_files"):
        names = [f"{folder}/{name}" for name in os.listdir(f"/{folder}")]
        found += [name for name in names if os.path.islink(f"/{name}")][:20]
    return found


@pytest.mark.skipif(FILTERED in os.environ, reason="needs openat2 to compare with")
@pytest.mark.parametrize("flags", [O_PATH, O_PATH | os.O_NOFOLLOW])
def test_the_walk_knows_magic_links_as_the_kernel_does(flags: int) -> None:
    slash = os.open("/", O_PATH | os.O_DIRECTORY)
    links = links_of_procfs()
    assert {f"proc/{os.getpid()}/{name}" for name in ("cwd", "root", "exe", "ns/user")} <= set(links)
    try:
        for link in links:
            for path in (link, f"{link}/x"):
                assert answer(paths._walk, slash, path, flags) == answer(paths.open_in_root, slash, path, flags), path
    finally:
        os.close(slash)


@pytest.mark.parametrize("name", ["cwd", "root", "exe", "ns/mnt", "fd/0", "root/etc", "task/{pid}/root"])
def test_magic_links_are_loops(name: str) -> None:
    slash = os.open("/", O_PATH | os.O_DIRECTORY)
    path = f"/proc/{os.getpid()}/{name.replace('{pid}', str(os.getpid()))}"
    try:
        assert answer(paths._walk, slash, path) == ("error", errno.ELOOP)
        assert answer(paths.open_in_root, slash, path) == ("error", errno.ELOOP)
    finally:
        os.close(slash)


def test_the_walk_needs_no_procfs(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the change of root /proc is the container's: nothing is opened below it."""
    opened: "list[str]" = []
    seen = os.open

    def record(path: str, *arguments: Any, **more: Any) -> int:
        opened.append(path)
        return seen(path, *arguments, **more)

    monkeypatch.setattr(paths.os, "open", record)
    for path, flags in (("etc/passwd", os.O_RDONLY), ("abs", os.O_RDONLY), ("etc", os.O_RDONLY), ("etc", O_PATH)):
        os.close(paths._walk(root, path, flags))
    assert opened
    assert all(path in (".", "etc", "passwd", "abs") for path in opened)


def test_a_file_that_is_swapped_during_the_walk(root: int, tmp_path: Path) -> None:
    """Between the look and the open a file and a link out change places: what is opened is what was looked at."""
    top = tmp_path / "root"
    (top / "file").write_text("inside")
    (top / "link").symlink_to(tmp_path / "outside" / "secret")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            os.rename(top / "file", top / "third")
            os.rename(top / "link", top / "file")
            os.rename(top / "file", top / "link")
            os.rename(top / "third", top / "file")

    swapper = threading.Thread(target=swap)
    swapper.start()
    outcomes = set()
    end = time.monotonic() + 60
    tries = 0
    try:
        # The other thread may rest where there is no file for longer than 2000 looks take.
        while tries < 2000 or (b"inside" not in outcomes and time.monotonic() < end):
            tries += 1
            try:
                fd = paths._walk(root, "file", os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                outcomes.add(error.errno)
                continue
            outcomes.add(os.read(fd, 20))
            os.close(fd)
    finally:
        done.set()
        swapper.join()
    assert b"inside" in outcomes
    assert outcomes <= {b"inside", errno.ENOENT, errno.ELOOP, errno.EAGAIN}
