"""Which mount gets which id map, and that mounts with the same map share one user namespace."""

from typing import Any

import pytest

from pyruntime.errors import ConfigError
from pyruntime.steps.base import Step
from pyruntime.steps.idmap import MapMounts
from pyruntime.steps.mounts import BindMount
from tests.plan.made import document, facts, names, namespaces, plan

MAPS = [{"containerID": 0, "hostID": 100000, "size": 1000}]
OTHER = [{"containerID": 5, "hostID": 7, "size": 1}]
OWN = ((0, 100000, 1000),)


def bind(*options: str, **more: Any) -> "dict[str, Any]":
    return {"destination": "/a", "source": "/b", "options": ["bind", *options], **more}


def mapped(*mounts: "dict[str, Any]", user: str = "user") -> "list[Step]":
    kinds = [kind for kind in (user, "mount") if kind]
    linux = {"namespaces": namespaces(*kinds)}
    if user == "user":
        linux.update(uidMappings=MAPS, gidMappings=MAPS)
    return plan(document(linux=linux, mounts=list(mounts)))


def maps(found: "list[Step]") -> "list[MapMounts]":
    return [step for step in found if isinstance(step, MapMounts)]


def test_mounts_of_one_map_share_a_step() -> None:
    found = mapped(bind("idmap"), bind(), bind(uidMappings=OTHER, gidMappings=MAPS), bind("ridmap"))
    first, second = maps(found)
    assert (first.because, tuple(first.uids), tuple(first.gids)) == ("mounts[0]", OWN, OWN)
    assert [(each.because, each.recursive) for each in first.prepared] == [("mounts[0]", False), ("mounts[3]", True)]
    assert (second.uids, second.gids) == ([(5, 7, 1)], list(OWN))
    order = names(found)
    at = order.index("FindSources")
    assert order[at + 1 : at + 7] == ["CopySource"] * 3 + ["MapMounts"] * 2 + ["SetRootPropagation"]
    assert order.index("Clone") < at
    assert [step.mapped for step in found if isinstance(step, BindMount)] == [True, False, True, True]


def test_a_joined_user_namespace_is_open_by_then() -> None:
    found = mapped(bind("idmap"), user="user=/proc/1/ns/user")
    (step,) = maps(found)
    assert (step.uids, step.gids) == ([], [])
    assert "joined" in step.describe()
    order = names(found)
    assert order.index("OpenNamespace") < order.index("CopySource") < order.index("MapMounts")


def test_without_a_user_namespace_only_mapped_mounts_are_prepared() -> None:
    found = mapped(bind(), bind(uidMappings=OTHER, gidMappings=OTHER), user="")
    order = names(found)
    assert order.count("PrepareMount") == 1
    assert order.index("PrepareMount") < order.index("MapMounts") < order.index("Clone")
    with pytest.raises(ConfigError, match=r"^mounts\[0\].options: \"idmap\" takes the id maps"):
        mapped(bind("idmap"), user="")


@pytest.mark.parametrize(
    ("text", "uids", "gids"),
    [
        ("uids=1-2-3;gids=4-5-6", ((1, 2, 3),), ((4, 5, 6),)),
        ("uids=1-2-3#4-5-6", ((1, 2, 3), (4, 5, 6)), OWN),
        ("gids=@7-10-5#@0-0-1", OWN, ((7, 100010, 5), (0, 100000, 1))),
    ],
)
def test_maps_written_in_the_option(text: str, uids: object, gids: object) -> None:
    (step,) = maps(mapped(bind(f"idmap={text}")))
    assert (tuple(step.uids), tuple(step.gids)) == (uids, gids)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("uids=1-2", "expected three numbers"),
        ("uids=1-2-x", "expected three numbers"),
        ("uids=", "expected three numbers"),
        ("users=1-2-3", "expected idmap=uids="),
        ("uids=@0-999-2", "does not map 999-1000"),
    ],
)
def test_maps_that_can_not_be_read(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        mapped(bind(f"idmap={text}"))
    assert raised.value.path == "mounts[0].options"


def test_a_map_of_one_kind_needs_a_container_with_the_other() -> None:
    with pytest.raises(ConfigError, match="names no gids"):
        mapped(bind("idmap=uids=0-1-1"), user="")


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"euid": 1000, "rootless": True}, "root's to make"), ({"refused_mount_call": "fsconfig"}, "fsconfig is refused")],
)
def test_where_none_can_be_had(changes: "dict[str, Any]", words: str) -> None:
    linux = {"namespaces": namespaces("mount")}
    config = document(linux=linux, mounts=[bind(uidMappings=OTHER, gidMappings=OTHER)])
    with pytest.raises(ConfigError, match=words) as raised:
        plan(config, facts(**changes))
    assert raised.value.path == "mounts[0].uidMappings"
