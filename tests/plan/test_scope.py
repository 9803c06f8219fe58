"""A container whose cgroup systemd makes: what is planned, and what the state remembers."""

from typing import Any

import pytest

from pyruntime.cgroup.systemd.manager import About
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError
from pyruntime.host.facts import Facts
from pyruntime.plan import life, scope
from pyruntime.steps.base import HOST, Step
from pyruntime.steps.limits import SetOomScore
from pyruntime.steps.namespaces import Clone
from pyruntime.steps.record import ApplyLimits
from pyruntime.steps.scope import StartScope
from tests.plan.made import document, facts, names, namespaces, plan, request

USER = "/user.slice/user-1000.slice/user@1000.service"


def with_systemd(user: bool = False, version: int = 257, group: str = "", **changes: Any) -> Facts:
    address = "/run/user/1000/bus" if user else "/run/dbus/system_bus_socket"
    return facts(systemd=About(address, user, version, group or (USER if user else "/")), rootless=user, **changes)


def planned(config: "dict[str, Any]", found: "Facts | None" = None) -> "list[Step]":
    return plan(config, found or with_systemd(), request(systemd=True))


def started(steps: "list[Step]") -> StartScope:
    return next(step for step in steps if isinstance(step, StartScope))


def test_the_unit_is_started_before_init_does_anything() -> None:
    steps = planned(document(linux={"resources": {"pids": {"limit": 5}}}))
    kinds = names(steps)
    clone = kinds.index("Clone")
    assert kinds[clone : clone + 3] == ["Clone", "StartScope", "FilterDevices"]
    assert [step.lane for step in steps[clone : clone + 3]] == [HOST] * 3
    assert steps[clone + 3].lane != HOST
    assert "MakeCgroup" not in kinds
    assert "inside its cgroup" not in steps[clone].describe()
    assert kinds.index("ApplyLimits") > clone


@pytest.mark.parametrize(
    "linux", [{"namespaces": namespaces("pid", "mount", "time")}, {"namespaces": namespaces("mount")}]
)
def test_so_it_is_with_a_stage_process(linux: "dict[str, Any]") -> None:
    kinds = names(planned(document(process={"oomScoreAdj": 5}, linux=linux)))
    assert kinds[kinds.index("Clone") + 1] == "StartScope"


def test_an_early_score_comes_after_it() -> None:
    steps = planned(
        document(
            process={"oomScoreAdj": 5},
            linux={
                "namespaces": namespaces("pid", "mount", "user"),
                "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
                "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
            },
        ),
        with_systemd(user=True, euid=1000, egid=1000),
    )
    early = next((index for index, step in enumerate(steps) if isinstance(step, SetOomScore)), len(steps))
    assert steps.index(started(steps)) < early


def test_limits_are_properties_and_writes() -> None:
    resources = {"pids": {"limit": 5}, "cpu": {"quota": 12345}, "hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}
    steps = planned(document(linux={"resources": resources, "cgroupsPath": "a-b.slice:pre:name"}))
    step = started(steps)
    assert (step.unit, step.slice, step.path) == ("pre-name.scope", "a-b.slice", "/a.slice/a-b.slice/pre-name.scope")
    assert [name for name, _ in step.properties] == ["TasksMax", "CPUQuotaPeriodUSec", "CPUQuotaPerSecUSec"]
    assert "TasksMax=5" in step.describe()
    writes = next(each for each in steps if isinstance(each, ApplyLimits)).writes
    assert [(each.file, each.value) for each in writes][:2] == [("pids.max", "5"), ("cpu.max", "13000 100000")]


def test_annotations_come_last() -> None:
    config = document(linux={"resources": {"pids": {"limit": 5}}})
    config["annotations"] = {"org.systemd.property.TasksMax": "uint64 9", "other": "x"}
    assert started(planned(config)).properties == [("TasksMax", ("t", 5)), ("TasksMax", ("t", 9))]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [("org.systemd.property.X", "no name of a property"), ("org.systemd.property.Some", "GVariant")],
)
def test_a_bad_annotation_is_refused_before_anything_is_made(annotation: str, words: str) -> None:
    config = document()
    config["annotations"] = {annotation: "[oops"}
    with pytest.raises(ConfigError, match=words):
        planned(config)


def test_a_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="to be of format"):
        planned(document(linux={"cgroupsPath": "/a/path"}))


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (with_systemd(), "/system.slice/pyruntime-box.scope"),
        (with_systemd(user=True), f"{USER}/user.slice/pyruntime-box.scope"),
        (with_systemd(group="/machine.slice/m"), "/machine.slice/m/system.slice/pyruntime-box.scope"),
    ],
)
def test_where_it_is(found: Facts, path: str) -> None:
    assert scope.path(Config.read(document(), ""), request(systemd=True), found) == path


def test_the_state_tells_unit_and_manager() -> None:
    asked = request(systemd=True)
    config, found = Config.read(document(), ""), with_systemd(user=True)
    noted: "dict[str, Any]" = life.intent(config, asked, found, scope.path(config, asked, found), None)
    assert noted["pyruntime"]["cgroupManager"] == "systemd"
    assert noted["pyruntime"]["systemd"] == {
        "unit": "pyruntime-box.scope", "user": True, "address": "/run/user/1000/bus",
    }  # fmt: skip
    assert noted["cgroup_paths"] == {"": f"/sys/fs/cgroup{USER}/user.slice/pyruntime-box.scope"}


def test_without_it_the_plan_has_nothing_of_it() -> None:
    steps = plan(document(), facts(), request())
    assert "StartScope" not in names(steps)
    assert all(step.in_cgroup for step in steps if isinstance(step, Clone))
