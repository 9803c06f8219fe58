"""Configurations, facts and requests made by hand: planning needs nothing of the host."""

from typing import Any

from pyruntime.cgroup.tree import Tree
from pyruntime.cli.verbs import create
from pyruntime.config.spec import Config
from pyruntime.config.validate import validate
from pyruntime.host.facts import Facts
from pyruntime.kernel.seccomp import FLAGS
from pyruntime.plan.request import Request
from pyruntime.steps.base import Step

CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc")
EVERY = ("pid", "network", "ipc", "uts", "mount", "cgroup")


def facts(**changes: Any) -> Facts:
    """The facts of root on a host with one cgroup v2 tree."""
    found = Facts()
    values: "dict[str, Any]" = {
        "euid": 0, "egid": 0, "in_user_namespace": False, "cgroup_tree": Tree("unified", "/sys/fs/cgroup"),
        "own_cgroup": "/", "controllers": CONTROLLERS, "rootless": False, "has_kcore": True, "module": None,
        "machine": "x86_64", "seccomp_flags": tuple(FLAGS),
        "refused_mount_call": "",
    }  # fmt: skip
    for name, value in {**values, **changes}.items():
        assert hasattr(found, name)
        setattr(found, name, value)
    return found


def request(name: str = "box", **changes: Any) -> Request:
    """A `create` of the bundle /bundle."""
    made = Request(name, "/run/pyruntime", "/bundle")
    for key, value in changes.items():
        assert hasattr(made, key)
        setattr(made, key, value)
    return made


def namespaces(*kinds: str) -> "list[dict[str, str]]":
    """Entries of linux.namespaces; `kind=path` is one to join."""
    return [dict(zip(("type", "path"), kind.split("=", 1), strict=False)) for kind in kinds]


def document(
    process: "dict[str, Any] | None" = None, linux: "dict[str, Any] | None" = None, **more: Any
) -> "dict[str, Any]":
    """A small config.json with the given parts changed."""
    return {
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["/bin/true"], "user": {"uid": 0, "gid": 0}, **(process or {})},
        "linux": {"namespaces": namespaces(*EVERY), **(linux or {})},
        **more,
    }


def plan(config: "dict[str, Any]", found: "Facts | None" = None, asked: "Request | None" = None) -> "list[Step]":
    """The steps for a document that is sound."""
    read = Config.read(config, "")
    validate(read)
    return create.plan(read, asked or request(), found or facts())[0]


def names(steps: "list[Step]") -> "list[str]":
    """The classes of steps, in order."""
    return [type(step).__name__ for step in steps]
