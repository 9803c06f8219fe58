"""The file tree's part of a plan."""

from typing import Any

import pytest

from pyruntime.errors import ConfigError
from pyruntime.kernel import mounts as m
from pyruntime.steps import masks, mounts
from pyruntime.steps import rootfs as steps
from pyruntime.steps.base import Step
from pyruntime.steps.sources import FindSources
from tests.plan.made import document, facts, names, namespaces, plan, request

MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def mounted(*mounts: "dict[str, Any]", **linux: Any) -> "list[Step]":
    return plan(document(linux=linux, mounts=list(mounts)))


def the(found: "list[Step]", kind: "type[Any]") -> Any:
    (step,) = [step for step in found if isinstance(step, kind)]
    return step


def test_mounts_keep_the_order_of_the_config() -> None:
    found = mounted(
        {"destination": "/proc", "type": "proc"},
        {"destination": "/a", "source": "/srv", "options": ["bind"]},
        {"destination": "/a/b", "type": "tmpfs"},
    )
    places = [step.destination for step in found if isinstance(step, mounts.MountStep)]
    assert places == ["/proc", "/a", "/a/b"]


@pytest.mark.parametrize(("word", "recursive"), [("bind", False), ("rbind", True)])
def test_a_bind_source_is_relative_to_the_bundle(word: str, recursive: bool) -> None:
    step = the(mounted({"destination": "x", "source": "data", "options": [word]}), mounts.BindMount)
    assert (step.source, step.destination, step.recursive) == ("/bundle/data", "/x", recursive)


def test_a_tmpfs_is_made_read_only_once_it_is_filled() -> None:
    found = mounted({"destination": "/t", "type": "tmpfs", "options": ["ro", "nosuid"]})
    assert the(found, mounts.MountFilesystem).attributes.set == m.NOSUID
    assert the(found, masks.RemountReadonly).destination == "/t"
    order = names(found)
    assert order.index("RemountReadonly") > order.index("ChangeRoot")


def test_other_filesystems_are_read_only_from_the_first() -> None:
    found = mounted({"destination": "/s", "type": "sysfs", "options": ["ro"]})
    step = the(found, mounts.MountFilesystem)
    assert step.attributes.set & m.RDONLY
    assert ("ro", None) in step.options
    assert "RemountReadonly" not in names(found)


@pytest.mark.parametrize(
    ("mount", "path"),
    [
        ({"destination": "/", "type": "tmpfs"}, "mounts[0].destination"),
        ({"destination": "/proc/self", "type": "tmpfs"}, "mounts[0].destination"),
        ({"destination": "/proc/../proc/sys", "source": "/x", "options": ["bind"]}, "mounts[0].destination"),
        ({"destination": "/a"}, "mounts[0].type"),
        ({"destination": "/a", "options": ["bind"]}, "mounts[0].source"),
        ({"destination": "/a", "source": "/b", "options": ["bind", "size=1"]}, "mounts[0].options[1]"),
        ({"destination": "/t", "type": "tmpfs", "options": ["copy-symlink"]}, "mounts[0].options"),
        ({"destination": "/t", "source": "/s", "options": ["bind", "idmap", "copy-symlink"]}, "mounts[0].options"),
    ],
)
def test_what_is_refused(mount: "dict[str, Any]", path: str) -> None:
    with pytest.raises(ConfigError) as raised:
        mounted(mount)
    assert raised.value.path == path


def test_what_lxcfs_serves_may_be_mounted_in_proc() -> None:
    found = mounted({"destination": "/proc/meminfo", "source": "/var/lib/lxcfs/proc/meminfo", "options": ["bind"]})
    assert the(found, mounts.BindMount).destination == "/proc/meminfo"


@pytest.mark.parametrize("user", ["user", "user=/proc/1/ns/user"])
def test_sources_are_opened_by_the_host_for_a_user_namespace(user: str) -> None:
    linux = {"namespaces": namespaces(user, "mount"), "uidMappings": MAPS, "gidMappings": MAPS}
    config = document(linux=linux, mounts=[{"destination": "/a", "source": "/b", "options": ["bind"]}])
    found = plan(config)
    order = names(found)
    at = order.index("OfferRoot")
    assert order[at : at + 3] == ["OfferRoot", "FindSources", "SetRootPropagation"]
    assert at > max(order.index(name) for name in ("Clone", "Isolate"))
    (source,) = the(found, FindSources).sources
    bind = the(found, mounts.BindMount)
    assert source.slot == bind.slot != ""
    assert not bind.mapped
    unprivileged = plan(config, facts(euid=1000, rootless=True))
    assert "FindSources" not in names(unprivileged)
    assert the(unprivileged, mounts.BindMount).slot == ""


@pytest.mark.parametrize(
    ("wanted", "first", "recursive", "last"),
    [
        ("", "slave", True, None),
        ("rprivate", "private", True, None),
        ("private", "private", False, None),
        ("slave", "slave", False, None),
        ("rshared", "shared", True, "shared"),
        ("unbindable", "private", False, "unbindable"),
    ],
)
def test_propagation(wanted: str, first: str, recursive: bool, last: "str | None") -> None:
    found = mounted(rootfsPropagation=wanted)
    step = the(found, steps.SetRootPropagation)
    assert (step.kind, step.recursive) == (first, recursive)
    finals = [step.kind for step in found if isinstance(step, steps.SetFinalPropagation)]
    assert finals == ([last] if last else [])


@pytest.mark.parametrize(("pivot", "how"), [(True, "pivot_root"), (False, "move")])
def test_how_the_root_changes(pivot: bool, how: str) -> None:
    assert the(plan(document(), asked=request(pivot=pivot)), steps.ChangeRoot).how == how


def test_without_a_mount_namespace_the_root_is_only_changed() -> None:
    config = document(linux={"namespaces": namespaces("pid")})
    found = plan(config)
    assert the(found, steps.ChangeRoot).how == "chroot"
    assert set(names(found)) & {"BindRoot", "MakeDevices", "LinkDevices", "SetRootPropagation"} == set()
    with pytest.raises(ConfigError, match="mount namespace"):
        plan({**config, "mounts": [{"destination": "/a", "type": "tmpfs"}]})


def test_masks_and_read_only_paths_come_after_the_mounts_and_before_the_root_changes() -> None:
    order = names(
        mounted({"destination": "/proc", "type": "proc"}, maskedPaths=["/proc/kcore"], readonlyPaths=["/proc/sys"])
    )
    assert (
        order.index("MountFilesystem")
        < order.index("ReadonlyPaths")
        < order.index("MaskPaths")
        < order.index("ChangeRoot")
    )


def test_mount_call_is_chosen_before_the_fork() -> None:
    """The host finds sources as ever, and what mount(2) can't do is refused."""
    old = facts(refused_mount_call="mount_setattr")
    linux = {"namespaces": namespaces("user", "mount"), "uidMappings": MAPS, "gidMappings": MAPS}
    config = document(linux=linux, mounts=[{"destination": "/a", "source": "/b", "options": ["bind"]}])
    found = plan(config, old)
    order = names(found)
    assert order.index("UseMountCall") < order.index("Clone")
    assert the(found, mounts.BindMount).slot == the(found, FindSources).sources[0].slot
    config["mounts"][0]["options"].append("rro")
    with pytest.raises(ConfigError, match="mount_setattr is refused here") as raised:
        plan(config, old)
    assert raised.value.path == "mounts[0].options"
    plan(config)


USER = {"namespaces": namespaces("user", "mount"), "uidMappings": MAPS, "gidMappings": MAPS}
A_TMPFS = {"destination": "/mnt", "type": "tmpfs"}


def test_a_destination_may_be_a_path_of_the_host_below_the_rootfs() -> None:
    places = ["/bundle/rootfs/a", "/bundle/rootfs/../rootfs/b", "/bundle/rootfs2", "a"]
    found = mounted(*({"destination": each, "type": "tmpfs", "options": ["ro"]} for each in places))
    inside = ["/a", "/b", "/bundle/rootfs2", "/a"]
    assert [step.destination for step in found if isinstance(step, mounts.MountFilesystem)] == inside
    assert [step.destination for step in found if isinstance(step, masks.RemountReadonly)] == inside
    with pytest.raises(ConfigError, match="on the container's root is refused"):
        mounted({"destination": "/bundle/rootfs", "type": "tmpfs"})


@pytest.mark.parametrize("source", ["/bundle/rootfs/mnt", "/bundle/rootfs/mnt/x", "rootfs", "/bundle/rootfs/mnt/."])
def test_a_source_that_an_earlier_mount_makes_is_inits_to_open(source: str) -> None:
    found = plan(document(linux=USER, mounts=[A_TMPFS, {"destination": "/b", "source": source, "options": ["bind"]}]))
    assert "FindSources" not in names(found)
    bind = the(found, mounts.BindMount)
    assert (bind.slot, bind.place) == ("", source.removeprefix("/bundle/").removeprefix("rootfs").rstrip("/.") or "/")


@pytest.mark.parametrize("source", ["/bundle/rootfs/other", "/bundle/rootfs/mnt2", "/bundle/rootfs2/mnt", "/mnt"])
def test_every_other_source_is_opened_before(source: str) -> None:
    """The mount that makes a thing has to come first; what only looks alike is the host's."""
    bind = {"destination": "/b", "source": source, "options": ["bind"]}
    assert "FindSources" in names(plan(document(linux=USER, mounts=[A_TMPFS, bind])))
    later = {"destination": "/b", "source": "/bundle/rootfs/mnt/x", "options": ["bind"]}
    assert "FindSources" in names(plan(document(linux=USER, mounts=[later, A_TMPFS])))


def test_the_ids_of_such_a_source_are_mapped_when_its_turn_comes() -> None:
    ids = {"uidMappings": MAPS, "gidMappings": MAPS}
    bind = {"destination": "/b", "source": "rootfs/mnt", "options": ["bind"], **ids}
    order = names(mounted(A_TMPFS, bind))
    at = order.index("OpenSource")
    assert order[at - 1 : at + 3] == ["MountFilesystem", "OpenSource", "MapMounts", "BindMount"]


def test_what_containerd_says_of_the_whole_cgroup_tree_is_passed_over() -> None:
    found = mounted({"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["rw", "nsdelegate"]})
    assert the(found, mounts.MountCgroup).destination == "/sys/fs/cgroup"
