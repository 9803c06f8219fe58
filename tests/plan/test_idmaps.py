"""Ids that a container can have, and those that are refused before anything is made."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.errors import ConfigError
from pyruntime.plan.idmaps import covers
from pyruntime.steps.base import Step
from pyruntime.steps.identity import SetUser
from pyruntime.steps.idmaps import WriteIdMap
from pyruntime.steps.limits import SetOomScore
from pyruntime.steps.mounts import MountCgroup, MountSysfs
from tests.plan.made import document, facts, names, namespaces, plan

ROOT_ALONE = ((0, 1),)


def line(container: int, host: int, size: int) -> "dict[str, int]":
    return {"containerID": container, "hostID": host, "size": size}


def mapped(
    *lines: "dict[str, int]", gids: "list[dict[str, int]] | None" = None, found: Any = None, **more: Any
) -> "list[Step]":
    linux = {"namespaces": namespaces("user", "mount"), "uidMappings": list(lines), "gidMappings": gids or list(lines)}
    return plan(document(linux=linux, **more), found or facts())


def rootless(euid: int = 1000) -> Any:
    return facts(euid=euid, egid=euid, rootless=True)


def nested(ids: Any = ROOT_ALONE) -> Any:
    return facts(in_user_namespace=True, rootless=True, uids=ids, gids=ids)


@pytest.mark.parametrize(
    ("lines", "found", "path", "words"),
    [
        ([line(1000, 1000, 1)], None, "linux.gidMappings", "gid 0 of the container is not mapped"),
        ([line(0, 1000, 1)], nested(), "linux.gidMappings[0].hostID", "1000 does not exist in the user namespace"),
        ([line(0, 0, 2)], nested(), "linux.gidMappings[0].hostID", "0-1 does not exist"),
        ([line(0, 5, 1), line(1, 90, 20)], nested(((0, 100),)), "linux.gidMappings[1].hostID", "has the gids 0-99"),
    ],
)
def test_maps_that_cannot_be(lines: Any, found: Any, path: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        mapped(*lines, found=found)
    assert raised.value.path == path
    assert words in raised.value.text


@pytest.mark.parametrize(
    ("user", "path", "words"),
    [
        ({"uid": 7, "gid": 0}, "process.user.uid", "cannot setuid to unmapped uid 7"),
        ({"uid": 0, "gid": 7}, "process.user.gid", "cannot setgid to unmapped gid 7"),
        ({"uid": 0, "gid": 0, "additionalGids": [0, 7]}, "process.user.additionalGids[1]", "group 7 is not mapped"),
    ],
)
def test_a_user_that_is_not_mapped(user: "dict[str, Any]", path: str, words: str) -> None:
    for run in (
        lambda: mapped(line(0, 1000, 1), process={"user": user}),
        lambda: plan(document(process={"user": user}), nested()),
    ):
        with pytest.raises(ConfigError) as raised:
            run()
        assert raised.value.path == path
        assert words in raised.value.text


@pytest.mark.parametrize("option", ["uid=5", "gid=5"])
def test_a_mount_option_that_is_not_mapped(option: str) -> None:
    mounts = [{"destination": "/dev/pts", "type": "devpts", "options": ["newinstance", option]}]
    with pytest.raises(ConfigError, match="unmapped .id 5") as raised:
        mapped(line(0, 1000, 1), mounts=mounts)
    assert raised.value.path == "mounts[0].options"
    with pytest.raises(ConfigError, match="unmapped .id 5"):
        plan(document(mounts=mounts), nested())
    assert mapped(line(0, 1000, 6), mounts=mounts)
    assert plan(document(mounts=mounts))


def test_more_groups_need_a_range_of_groups() -> None:
    process = {"user": {"uid": 0, "gid": 0, "additionalGids": [0]}}
    own, ranges = [line(0, 1000, 1)], [line(0, 1000, 1), line(1, 100000, 9)]
    with pytest.raises(ConfigError, match="cannot set any additional groups"):
        mapped(*own, process=process, found=rootless())
    with pytest.raises(ConfigError, match="cannot set any additional groups"):
        mapped(*ranges, gids=own, process=process, found=rootless())
    assert mapped(*ranges, process=process, found=rootless())
    assert mapped(*own, process=process)


@pytest.mark.parametrize(
    ("gids", "found", "lenient"),
    [
        ([line(0, 1000, 1)], facts(), False),
        ([line(0, 1000, 1)], rootless(), True),
        ([line(0, 1000, 1), line(1, 100000, 9)], rootless(), False),
        ([line(0, 0, 1)], nested(), True),
    ],
)
def test_groups_are_kept_only_where_the_kernel_forbids_to_drop_them(gids: Any, found: Any, lenient: bool) -> None:
    (step,) = [step for step in mapped(*gids, found=found) if isinstance(step, SetUser)]
    assert step.lenient is lenient


def test_each_kind_has_its_helper() -> None:
    """newgidmap for a range of groups does not mean newuidmap for one's own id."""
    steps = mapped(line(0, 1000, 1), gids=[line(0, 1000, 1), line(1, 100000, 9)], found=rootless())
    found = {step.kind: (step.helper, step.deny_setgroups) for step in steps if isinstance(step, WriteIdMap)}
    assert found == {"gid": (True, False), "uid": (False, False)}


def test_the_oom_score_is_set_while_it_can_be() -> None:
    process = {"oomScoreAdj": 5}
    order = names(mapped(line(0, 1000, 1), process=process, found=rootless()))
    assert order.index("Clone") < order.index("SetOomScore") < order.index("WriteIdMap")
    assert "OpenProcfs" not in order
    for steps in (mapped(line(0, 1000, 1), process=process), plan(document(process=process))):
        (step,) = [step for step in steps if isinstance(step, SetOomScore)]
        assert not step.early


def test_mounts_of_kernel_trees_where_a_user_namespace_is() -> None:
    mounts = [{"destination": "/sys", "type": "sysfs"}, {"destination": "/sys/fs/cgroup", "type": "cgroup"}]
    for steps in (mapped(line(0, 1000, 1), mounts=mounts), plan(document(mounts=mounts), nested())):
        assert any(isinstance(step, MountSysfs) for step in steps)
    assert not any(isinstance(step, MountSysfs) for step in plan(document(mounts=mounts)))


def cgroup_mount(found: Any, *options: str, kind: str = "cgroup") -> MountCgroup:
    mounts = [{"destination": "/sys/fs/cgroup", "type": kind, "options": list(options)}]
    (step,) = [step for step in plan(document(mounts=mounts), found) if isinstance(step, MountCgroup)]
    return step


def test_the_callers_cgroup_is_never_writable() -> None:
    """Rule 29, as far as the plan goes: only who may have no cgroup of its own is watched."""
    assert cgroup_mount(rootless()).foreign
    assert not cgroup_mount(rootless(), "ro").foreign
    assert not cgroup_mount(facts()).foreign
    assert cgroup_mount(rootless(), kind="cgroup2").foreign


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)), max_size=5), st.integers(0, 30), st.integers(1, 12))
def test_covers_is_what_a_set_of_ids_says(ranges: "list[tuple[int, int]]", first: int, size: int) -> None:
    every = {number for start, length in ranges for number in range(start, start + length)}
    assert covers(tuple(ranges), first, size) == (set(range(first, first + size)) <= every)
