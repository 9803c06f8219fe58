"""One clone3 where it is enough, a stage process where it is not; maps, names, keyring."""

from typing import Any

import pytest

from pyruntime.steps.base import Step
from pyruntime.steps.idmaps import WriteIdMap
from pyruntime.steps.joining import Join
from pyruntime.steps.namespaces import Clone, Unshare
from pyruntime.steps.stages import ForkInit
from tests.plan.made import document, facts, names, namespaces, plan, request

ONE = [{"containerID": 0, "hostID": 1000, "size": 1}]
MANY = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def entered(*kinds: str, maps: "list[dict[str, int]] | None" = None, euid: int = 0, **linux: Any) -> "list[Step]":
    found: "dict[str, Any]" = {"namespaces": namespaces(*kinds), **linux}
    if maps:
        found.update(uidMappings=maps, gidMappings=maps)
    return plan(document(linux=found), facts(euid=euid, egid=euid, rootless=euid != 0))


def of(steps: "list[Step]", kind: "type[Any] | tuple[type[Any], ...]") -> "list[Any]":
    return [step for step in steps if isinstance(step, kind)]


DIRECT = ["pid", "network", "ipc", "uts", "mount"]


@pytest.mark.parametrize(
    ("kinds", "maps", "staged"),
    [
        (["mount"], None, False),
        ([*DIRECT, "cgroup"], None, False),
        (["user", *DIRECT], MANY, False),
        (["mount", "network=/run/net"], None, False),
        (["mount", "pid=/proc/1/ns/pid"], None, True),
        (["user", "mount", "network=/run/net"], MANY, True),
        (["user=/proc/1/ns/user", "mount"], None, True),
        (["mount", "time"], None, True),
    ],
)
def test_when_a_stage_process_is_needed(kinds: "list[str]", maps: Any, staged: bool) -> None:
    steps = entered(*kinds, maps=maps)
    clone = of(steps, Clone)[0]
    assert clone.stage is staged
    assert ("ForkInit" in names(steps)) is staged
    assert ("AdoptInit" in names(steps)) is staged
    new = {kind for kind in kinds if "=" not in kind}
    assert set(clone.new) <= new
    assert not (staged and clone.new)
    made = [kind for step in of(steps, (Clone, ForkInit)) for kind in step.new]
    made += [kind for step in of(steps, Unshare) for kind in step.kinds]
    assert sorted(made) == sorted(new), "each new namespace is made once"


def test_what_a_new_user_namespace_owns_is_made_when_ids_are_mapped() -> None:
    steps = entered("user", *DIRECT, maps=MANY)
    order = names(steps)
    assert set(of(steps, Clone)[0].new) == {"user", "pid"}
    assert order.index("WriteIdMap") < order.index("BecomeRoot") < order.index("Unshare")


@pytest.mark.parametrize(("euid", "user"), [(0, -2), (1000, 0)])
def test_the_user_namespace_is_joined_late_by_root_and_first_by_others(euid: int, user: int) -> None:
    paths = [f"{kind}=/proc/1/ns/{kind}" for kind in ("mount", "network", "uts", "user", "ipc")]
    joined = [step.kind for step in of(entered(*paths, euid=euid), Join)]
    assert joined[user] == "user"
    assert joined[-1] == "mount"
    assert set(joined) == {"mount", "network", "uts", "user", "ipc"}


def test_a_pid_namespace_is_joined_by_who_is_not_seen_in_it() -> None:
    steps = entered("mount", "pid=/proc/1/ns/pid", "network=/run/net")
    assert [step.kind for step in of(steps, Join)] == ["pid", "network"]
    assert names(steps).index("ForkInit") > max(steps.index(step) for step in of(steps, Join))


@pytest.mark.parametrize(
    ("euid", "maps", "helper", "deny"),
    [
        (0, ONE, False, False),
        (0, MANY, False, False),
        (1000, ONE, False, True),
        (1000, MANY, True, False),
        (1001, ONE, True, False),  # one id, but not one's own
    ],
)
def test_who_writes_the_maps(euid: int, maps: Any, helper: bool, deny: bool) -> None:
    steps = of(entered("user", "mount", maps=maps, euid=euid), WriteIdMap)
    assert [step.kind for step in steps] == ["gid", "uid"]
    assert [step.helper for step in steps] == [helper, helper]
    assert [step.deny_setgroups for step in steps] == [deny, False]


def test_no_map_is_written_for_a_joined_user_namespace() -> None:
    assert of(entered("user=/proc/1/ns/user", "mount"), WriteIdMap) == []
    assert "BecomeRoot" in names(entered("user=/proc/1/ns/user", "mount"))


def test_the_cgroup_namespace_is_made_by_init_in_its_cgroup() -> None:
    steps = names(entered("mount", "cgroup"))
    assert steps.index("Unshare") > steps.index("Clone")


def test_loopback_comes_up_in_a_new_network_namespace_only() -> None:
    assert "LoopbackUp" in names(entered("mount", "network"))
    assert "LoopbackUp" not in names(entered("mount", "network=/run/net"))
    assert "LoopbackUp" not in names(entered("mount"))


@pytest.mark.parametrize("keyring", [True, False])
def test_a_keyring_unless_unwanted(keyring: bool) -> None:
    assert ("JoinKeyring" in names(plan(document(), asked=request(keyring=keyring)))) is keyring


def test_time_offsets_only_for_the_clocks_that_are_given() -> None:
    steps = entered("mount", "time", timeOffsets={"boottime": {"secs": 7}})
    assert "SetTimeOffsets" in names(steps)
    assert "SetTimeOffsets" not in names(entered("mount", "time"))
