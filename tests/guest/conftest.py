"""Tests in the booted guest, scripts/guest: cgroup v2 with all controllers, systemd, AppArmor, the engines.

They may do what a host of somebody's would not like: load policies, restart daemons, fill a cgroup.
"""

import os
from pathlib import Path

import pytest

from tests.system.conftest import bundle as bundle
from tests.system.conftest import busybox as busybox
from tests.system.conftest import ground as ground
from tests.system.conftest import make as make
from tests.system.conftest import no_leaks as no_leaks
from tests.system.conftest import own_mounts as own_mounts
from tests.system.conftest import rt as rt
from tests.system.conftest import tmp_path as tmp_path

HERE = Path(__file__).parent
MARK = Path("/etc/pyruntime-guest")


# scripts/test --guest runs three lanes side by side. Tests that share a daemon, or a user's service manager, are in
# one, by the engine that their file or parameter names; the first word that is found counts.
LANES = (
    ("rootless", "1"), ("cri-o", "2"), ("cri-", "3"), ("kubelet", "3"), ("docker", "2"), ("podman", "2"),
    ("buildah", "2"), ("containerd", "1"), ("nerdctl", "1"), ("buildkitd", "1"),
)  # fmt: skip
_OF_THE_HOST, _OF_ALL_HOSTS = "2", "3"


def lane(path: Path, name: str) -> str:
    """The lane of a test, by its file and its name with parameters."""
    if HERE not in path.parents:
        return _OF_ALL_HOSTS
    return next((number for word, number in LANES if word in path.name + name), _OF_THE_HOST)


def pytest_collection_modifyitems(config: pytest.Config, items: "list[pytest.Item]") -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.guest)
    wanted = os.environ.get("PYRUNTIME_TEST_LANE")
    if wanted:
        others = [item for item in items if lane(item.path, item.name) != wanted]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if HERE in item.path.parents and not MARK.exists():
        pytest.skip("needs the guest: scripts/test --guest")
