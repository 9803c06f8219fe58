"""Which file a path of a container means, told from outside before its mounts are made."""

import os
from pathlib import Path

import pytest

from pyruntime.host.view import View


class Tree:
    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "root").mkdir()

    def put(self, name: str, text: str) -> str:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return str(file)

    def link(self, name: str, target: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)

    def read(self, path: str, *mounts: "tuple[str, str]") -> "str | None":
        root = os.open(self.path / "root", os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.fdopen(View(root, list(mounts)).open(path)) as file:
                return file.read()
        except OSError:
            return None
        finally:
            os.close(root)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_the_rootfs(tree: Tree) -> None:
    tree.put("root/app/a", "root")
    assert tree.read("/app/a") == "root"
    assert tree.read("/app/b") is None


def test_a_bind_mount_covers_it(tree: Tree) -> None:
    tree.put("root/app/a", "root")
    tree.put("source/b", "source")
    bind = ("/app", f"{tree.path}/source")
    assert tree.read("/app/b", bind) == "source"
    assert tree.read("/app/a", bind) is None
    assert tree.read("/application", bind) is None


def test_a_bind_mount_of_a_file(tree: Tree) -> None:
    file = tree.put("source/b", "source")
    assert tree.read("/app/a", ("/app/a", file)) == "source"


def test_what_is_mounted_last_counts(tree: Tree) -> None:
    one, two = (f"{tree.path}/{name}" for name in ("one", "two"))
    tree.put("one/below/a", "one")
    tree.put("two/a", "two")
    assert tree.read("/x/below/a", ("/x", one), ("/x/below", two)) == "two"
    assert tree.read("/x/below/a", ("/x/below", two), ("/x", one)) == "one"


def test_another_kind_of_mount_hides_what_is_there(tree: Tree) -> None:
    tree.put("root/tmp/a", "root")
    assert tree.read("/tmp/a", ("/tmp", "")) is None
    assert tree.read("/tmp/a", ("/tmp/", "")) is None


@pytest.mark.parametrize("target", ["/data", "data", "../data", "../../../data"])
def test_a_symlink_from_the_rootfs_to_a_mount(tree: Tree, target: str) -> None:
    tree.link("root/app", target)
    tree.put("source/a", "source")
    assert tree.read("/app/a", ("/data", f"{tree.path}/source")) == "source"


def test_a_symlink_in_a_mount_leads_into_the_container(tree: Tree) -> None:
    tree.link("source/a", "/etc/target")
    tree.put("root/etc/target", "root")
    assert tree.read("/app/a", ("/app", f"{tree.path}/source")) == "root"


def test_nothing_of_the_host_is_seen(tree: Tree) -> None:
    secret = tree.put("secret", "host")
    tree.link("root/a", secret)
    tree.link("source/a", secret)
    tree.link("source/b", "../secret")
    bind = ("/app", f"{tree.path}/source")
    for path in ("/a", "/app/a", "/app/b", "/app/../../secret", f"/..{secret}"):
        assert tree.read(path, bind) is None, path


def test_links_that_go_round_end(tree: Tree) -> None:
    tree.link("root/a", "b")
    tree.link("root/b", "/a")
    assert tree.read("/a/x", ("/app", "/nowhere")) is None
    tree.link("source/a", "/app/a")
    assert tree.read("/app/a", ("/app", f"{tree.path}/source")) is None


def test_a_source_that_is_not_there(tree: Tree) -> None:
    assert tree.read("/app/a", ("/app", f"{tree.path}/nowhere")) is None


def test_nothing_but_a_regular_file_is_opened(tree: Tree) -> None:
    """Each would give a descriptor if it were opened; a device's driver would take notice, too."""
    os.mkfifo(tree.path / "root/fifo")
    (tree.path / "root/folder").mkdir()
    tree.link("root/link", "fifo")
    root = os.open(tree.path / "root", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for view in (View(root, []), View(root, [("/fifo", "/dev/null")])):
            for path in ("/fifo", "/folder", "/link", "/"):
                with pytest.raises(PermissionError) as refused:
                    view.open(path)
                assert refused.value.filename == path
    finally:
        os.close(root)


@pytest.mark.root
def test_no_device_driver_is_asked(tree: Tree) -> None:
    """A number without a driver: opened, it is ENXIO; not opened, it is no regular file."""
    os.mknod(tree.path / "root/device", 0o20600, os.makedev(240, 77))
    root = os.open(tree.path / "root", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(PermissionError):
            View(root, []).open("/device")
    finally:
        os.close(root)
