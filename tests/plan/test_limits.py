"""The cgroup, its limits, and the devices of /dev."""

from typing import Any

import pytest

from pyruntime.cgroup.tree import Tree
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError
from pyruntime.plan import limits
from pyruntime.steps import devices, record
from pyruntime.steps.base import HOST, INIT
from pyruntime.steps.limits import SetRlimits
from tests.plan.made import document, facts, names, namespaces, plan, request

MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def the(found: "list[Any]", kind: "type[Any]") -> Any:
    (step,) = [step for step in found if isinstance(step, kind)]
    return step


@pytest.mark.parametrize(
    ("wanted", "path"), [({}, "/box"), ({"cgroupsPath": "/a/b"}, "/a/b"), ({"cgroupsPath": "c"}, "/own/c")]
)
def test_where_the_cgroup_is(wanted: "dict[str, str]", path: str) -> None:
    own = "/own/me" if path.startswith("/own") else "/"
    assert the(plan(document(linux=wanted), facts(own_cgroup=own)), record.MakeCgroup).path == path


def test_limits_are_written_in_the_groups_words() -> None:
    step = the(plan(document(linux={"resources": {"pids": {"limit": 20}}})), record.ApplyLimits)
    assert [(write.file, write.value) for write in step.writes] == [("pids.max", "20")]
    assert the(plan(document(linux={"resources": {"pids": {"limit": 20}}})), record.MakeCgroup).needed == ["pids"]


def test_no_limits_no_step() -> None:
    assert "ApplyLimits" not in names(plan(document()))


def test_a_limit_whose_controller_is_missing_is_refused() -> None:
    with pytest.raises(ConfigError, match="memory"):
        plan(document(linux={"resources": {"memory": {"limit": 1 << 20}}}), facts(controllers=("pids",)))


@pytest.mark.parametrize(
    ("rootless", "linux", "lenient"),
    [
        (False, {}, False),
        (True, {}, True),
        (True, {"cgroupsPath": "/a"}, False),
        (True, {"resources": {"pids": {"limit": 1}}}, False),
    ],
)
def test_going_without_a_cgroup_is_for_the_rootless_that_asked_for_nothing(
    rootless: bool, linux: "dict[str, Any]", lenient: bool
) -> None:
    assert the(plan(document(linux=linux), facts(rootless=rootless)), record.MakeCgroup).lenient is lenient


@pytest.mark.parametrize(
    ("resources", "path"),
    [({"memory": {"limit": 1 << 20}}, "memory.limit"), ({"unified": {"cgroup.max.depth": "1"}}, "unified")],
)
def test_without_a_tree_there_are_no_limits_to_start_under(resources: "dict[str, Any]", path: str) -> None:
    bare = facts(rootless=True, cgroup_tree=Tree("none"), controllers=())
    with pytest.raises(ConfigError, match=f"linux.resources.{path}"):
        plan(document(linux={"resources": resources}), bare)
    assert "MakeCgroup" not in names(plan(document(), bare))


def test_a_writable_cgroup_mount_gives_the_cgroup_to_the_users_host_id() -> None:
    linux = {"namespaces": namespaces("user", "mount", "cgroup"), "uidMappings": MAPS, "gidMappings": MAPS}
    mount = {"destination": "/sys/fs/cgroup", "type": "cgroup"}
    found = plan(document(process={"user": {"uid": 7, "gid": 7}}, linux=linux, mounts=[mount]))
    assert the(found, record.DelegateCgroup).uid == 100007
    closed = plan(document(linux=linux, mounts=[{**mount, "options": ["ro"]}]))
    assert "DelegateCgroup" not in names(closed)


def nodes(config: "dict[str, Any]", **changes: Any) -> "tuple[list[str], bool]":
    made = [step for step in plan(config, facts(**changes)) if isinstance(step, devices.MakeDevices)]
    return [node.path for step in made for node in step.nodes], all(step.bind for step in made)


def test_default_devices_come_unless_the_config_has_its_own() -> None:
    assert nodes(document())[0] == [f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")]
    own = [{"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o100600}]
    found = plan(document(linux={"devices": own}))
    made = [step for step in found if isinstance(step, devices.MakeDevices)]
    assert [node.mode for node in made[1].nodes] == [0o600]
    assert "/dev/null" not in [node.path for node in made[0].nodes]


@pytest.mark.parametrize("place", ["/dev/", "/bundle/rootfs/dev"])
def test_a_bound_dev_is_left_alone(place: str) -> None:
    """By whatever path it is named: its nodes and links would be the host's."""
    found = names(plan(document(mounts=[{"destination": place, "source": "/dev", "options": ["rbind"]}])))
    assert set(found) & {"MakeDevices", "LinkDevices"} == set()


@pytest.mark.parametrize(("inside", "bind"), [(False, False), (True, True)])
def test_in_a_user_namespace_devices_are_bound(inside: bool, bind: bool) -> None:
    assert nodes(document(), in_user_namespace=inside)[1] is bind
    linux = {"namespaces": namespaces("user", "mount"), "uidMappings": MAPS, "gidMappings": MAPS}
    assert nodes(document(linux=linux))[1] is True


def test_kcore_is_linked_where_the_host_has_it() -> None:
    for has in (True, False):
        step = the(plan(document(), facts(has_kcore=has)), devices.LinkDevices)
        assert (("/dev/core", "/proc/kcore") in step.links) is has


def test_who_sets_process_limits() -> None:
    process = {"rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]}
    linux = {"namespaces": namespaces("user", "mount"), "uidMappings": MAPS, "gidMappings": MAPS}
    assert the(plan(document(process)), SetRlimits).lane == INIT
    assert the(plan(document(process, linux)), SetRlimits).lane == HOST


LIMITS = [
    ({"pids": {"limit": 20}}, "pids.limit"), ({"memory": {"limit": 1 << 20}}, "memory.limit"),
    ({"cpu": {"shares": 512}}, "cpu.shares"), ({"unified": {"cgroup.max.depth": "3"}}, "unified"),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}, "hugepageLimits"),
]  # fmt: skip


@pytest.mark.parametrize(("resources", "path"), LIMITS)
def test_no_limit_without_a_cgroup(resources: "dict[str, Any]", path: str) -> None:
    """Rather than a container without the limit."""
    with pytest.raises(ConfigError, match="cannot set limits without cgroups") as raised:
        plan(document(linux={"resources": resources}), asked=request(cgroups=False))
    assert raised.value.path.startswith(f"linux.resources.{path}")


@pytest.mark.parametrize("resources", [{}, {"pids": {"limit": -1}}, {"memory": {"limit": -1, "swap": -1}}])
def test_what_limits_nothing_needs_no_cgroup(resources: "dict[str, Any]") -> None:
    assert "MakeCgroup" not in names(plan(document(linux={"resources": resources}), asked=request(cgroups=False)))


@pytest.mark.parametrize(
    ("rules", "changes", "warned"),
    [
        ([{"allow": False, "access": "rwm"}], {}, True),
        ([{"allow": True, "access": "rwm"}], {}, False),
        ([], {}, False),
        ([{"allow": False, "access": "rwm"}], {"rootless": True}, False),
    ],
)
def test_device_rules_without_a_cgroup_are_told(
    rules: "list[dict[str, Any]]", changes: "dict[str, Any]", warned: bool
) -> None:
    config = Config.read(document(linux={"resources": {"devices": rules}}), "")
    assert bool(limits.unfiltered(config, facts(**changes), "")) == warned
    assert limits.unfiltered(config, facts(**changes), "/box") == []
