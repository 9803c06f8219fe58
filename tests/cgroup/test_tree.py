"""Where the tree is and where a container goes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.cgroup import tree
from pyruntime.errors import ConfigError, Unsupported

UNIFIED = """\
22 28 0:20 / /sys rw,nosuid - sysfs sysfs rw
30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
"""
HYBRID = """\
22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
31 22 0:28 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /sys/fs/cgroup/unified rw shared:11 - cgroup2 cgroup2 rw
"""
COVER = "50 31 0:40 / /sys/fs/cgroup rw - tmpfs none rw\n"
V1 = "31 22 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"


@pytest.mark.parametrize(
    ("text", "mode", "mount"),
    [
        (UNIFIED, "unified", "/sys/fs/cgroup"),
        (HYBRID, "hybrid", "/sys/fs/cgroup/unified"),
        (V1, "v1", ""),
        ("22 28 0:20 / /proc rw - proc proc rw\n", "none", ""),
        ("", "none", ""),
        (UNIFIED + "50 30 0:40 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", "none", ""),
        (HYBRID + "50 31 0:40 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "unified", "/sys/fs/cgroup"),
        (HYBRID + COVER + "51 50 0:9 / /sys/fs/cgroup/x rw - cgroup c rw\n", "v1", ""),
        (HYBRID + COVER + "51 50 0:9 / /sys/fs/cgroup rw - cgroup2 c rw\n", "unified", "/sys/fs/cgroup"),
        ("30 22 0:26 / /mnt/c\\040g rw - cgroup2 cgroup2 rw\n", "hybrid", "/mnt/c g"),
        ("9 1 0:2 / /mnt/other rw - cgroup2 c rw\n" + HYBRID, "hybrid", "/sys/fs/cgroup/unified"),
    ],
)  # fmt: skip
def test_find(text: str, mode: str, mount: str) -> None:
    found = tree.find(text)
    assert (found.mode, found.mount) == (mode, mount)


def test_a_mount_of_a_part_of_the_tree_shifts_our_own_path() -> None:
    found = tree.find("30 22 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    assert found.root == "/docker/abc"
    assert tree.own_path("0::/docker/abc\n", found.root) == "/"
    assert tree.own_path("0::/docker/abc/x\n", found.root) == "/x"
    assert tree.own_path("0::/docker/abcd\n", found.root) == "/"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/user.slice/a\n", "/user.slice/a"),
        ("12:cpu:/v1\n1:name=systemd:/v1\n0::/two\n", "/two"),
        ("0::/a:b\n", "/a:b"),
        ("12:cpu:/v1\n", "/"),
        ("0::/../outside\n", "/"),
        ("0::/..\n", "/"),
        ("0::/..x\n", "/..x"),
        ("", "/"),
    ],
)
def test_own_path(text: str, path: str) -> None:
    assert tree.own_path(text) == path


@pytest.mark.parametrize(
    ("wanted", "own", "path"),
    [
        ("/a/b", "/user.slice/x", "/a/b"),
        ("//a/./b/", "/user.slice/x", "/a/b"),
        ("a/b", "/user.slice/x", "/user.slice/a/b"),
        ("a", "/x", "/a"),
        ("a", "/", "/a"),
        ("", "/user.slice/x", "/user.slice/box"),
        (None, "/", "/box"),
        ("/...", "/", "/..."),
    ],
)
def test_container_path(wanted: "str | None", own: str, path: str) -> None:
    assert tree.container_path(wanted, "box", own) == path


@pytest.mark.parametrize("wanted", ["/", "//", ".", "/./", "..", "/..", "a/../b", "/a/../../x", "a\nb", "/a\0"])
def test_container_path_refused(wanted: str) -> None:
    with pytest.raises(ConfigError, match=r"^linux\.cgroupsPath: "):
        tree.container_path(wanted, "box", "/own")


@given(st.text(alphabet="./ab\n", max_size=12), st.sampled_from(["/", "/own", "/own/deep"]))
def test_container_path_never_climbs(wanted: str, own: str) -> None:
    try:
        path = tree.container_path(wanted, "box", own)
    except ConfigError:
        return
    above = "" if wanted.startswith("/") else own.rpartition("/")[0]
    names = path[len(above) :].split("/")
    assert path.startswith(above + "/")
    assert names[0] == ""
    assert len(names) > 1
    assert not {"", ".", ".."} & set(names[1:])


def test_sub_path() -> None:
    assert tree.sub_path("/box", "a//b/") == "/box/a/b"
    assert tree.sub_path("/box", "/") == "/box"
    with pytest.raises(ConfigError, match=r"^bad sub cgroup path: a/\.\./\.\./b"):
        tree.sub_path("/box", "a/../../b")


@pytest.mark.parametrize("mode", ["v1", "none"])
def test_a_host_without_v2_is_refused(mode: str) -> None:
    with pytest.raises(Unsupported, match=r"expected cgroup2.*--cgroup-manager disabled"):
        tree.demand(tree.Tree(mode))


def test_a_host_with_v2_is_fine() -> None:
    tree.demand(tree.Tree("hybrid", "/m"))
    assert tree.Tree("hybrid", "/m").directory("/a/b") == "/m/a/b"


def test_available_is_less_below_an_ancestor_that_is_not_ours(tmp_path: Path) -> None:
    top = tmp_path
    (top / "slice").mkdir()
    (top / "cgroup.controllers").write_text("cpu io memory pids\n")
    (top / "slice/cgroup.controllers").write_text("memory pids\n")
    found = tree.Tree("unified", str(top))
    assert tree.available(found, "/slice/box") == ("memory", "pids")  # no subtree_control: nothing we could write
    (top / "cgroup.subtree_control").write_text("")
    (top / "slice/cgroup.subtree_control").write_text("")
    assert tree.available(found, "/slice/box") == ("cpu", "io", "memory", "pids")


def test_this_host() -> None:
    found = tree.read_tree()
    assert found.mode in ("unified", "hybrid", "v1", "none")
    assert tree.read_own(found).startswith("/")
