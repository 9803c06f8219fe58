"""cgroupsPath as systemd's engines write it."""

import pytest

from pyruntime.cgroup.systemd import names
from pyruntime.errors import ConfigError


@pytest.mark.parametrize(
    ("path", "user", "unit", "slice_"),
    [
        ("system.slice:docker:abc", False, "docker-abc.scope", "system.slice"),
        ("user.slice:libpod:abc", True, "libpod-abc.scope", "user.slice"),
        (":docker:abc", False, "docker-abc.scope", "system.slice"),
        (":docker:abc", True, "docker-abc.scope", "user.slice"),
        ("", False, "pyruntime-box.scope", "system.slice"),
        ("", True, "pyruntime-box.scope", "user.slice"),
        ("-.slice::abc", False, "-abc.scope", "-.slice"),
        ("kubepods-besteffort-pod1_2.slice:cri-containerd:abc", False, "cri-containerd-abc.scope",
         "kubepods-besteffort-pod1_2.slice"),
    ],
)  # fmt: skip
def test_unit_and_slice(path: str, user: bool, unit: str, slice_: str) -> None:
    assert names.unit_and_slice(path, "box", user) == (unit, slice_)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/absolute", 'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "/absolute"'),
        ("a:b", 'got "a:b" instead'),
        ("a:b:c:d", "instead"),
        ("a.slice:b:c.slice", "would be a slice"),
        ("a.slice:b:", "no name"),
        ("a.slice:b:c/d", "the characters '/'"),
        ("a.slice:b:c d+", "the characters ' ' '+'"),
        ("a.slice:b:" + "x" * 250, "258 characters"),
    ],
)
def test_refused(path: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"^linux\.cgroupsPath: ") as caught:
        names.unit_and_slice(path, "box", False)
    assert words in caught.value.text


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("system.slice", "/system.slice"),
        ("-.slice", ""),
        ("a-b.slice", "/a.slice/a-b.slice"),
        ("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice"),
        ("a_b.c.slice", "/a_b.c.slice"),
    ],
)
def test_slice_path(name: str, path: str) -> None:
    assert names.slice_path(name) == path


@pytest.mark.parametrize(
    "name", ["", ".slice", "a", "a--b.slice", "-a.slice", "a-.slice", "a/b.slice", "-", "a b.slice"]
)
def test_no_slice(name: str) -> None:
    with pytest.raises(ConfigError, match="is no slice"):
        names.slice_path(name)


def test_scope_path() -> None:
    assert names.scope_path("/", "a-b.slice", "x.scope") == "/a.slice/a-b.slice/x.scope"
    assert names.scope_path("", "-.slice", "x.scope") == "/x.scope"
    user = "/user.slice/user-1000.slice/user@1000.service"
    assert names.scope_path(user, "user.slice", "x.scope") == f"{user}/user.slice/x.scope"


def test_object_path() -> None:
    assert names.object_path("a-b.scope") == "/org/freedesktop/systemd1/unit/a_2db_2escope"
    assert names.object_path("1a_b.scope") == "/org/freedesktop/systemd1/unit/_31a_5fb_2escope"
