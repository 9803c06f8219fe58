"""Tests in the booted guest, scripts/guest: cgroup v2 with all controllers, systemd, AppArmor, the engines.

They may do what a host of somebody's would not like: load policies, restart daemons, fill a cgroup.
"""

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


# Tests of one group share a daemon, or a user's service manager, and run one after the other. The first word counts.
GROUPS = (
    ("rootless", "user"), ("cri-containerd-1", "cri 1"), ("cri-containerd-2", "cri 2"), ("cri-o", "cri-o"),
    ("docker", "docker"), ("podman", "podman"), ("buildah", "podman"), ("containerd", "containerd"),
    ("nerdctl", "containerd"), ("buildkitd", "containerd"),
)  # fmt: skip


def group(nodeid: str) -> str:
    """The group of a test, by the engine that its file or its parameter names; of no engine: the host's own."""
    return next((name for word, name in GROUPS if word in nodeid), "host")


def pytest_collection_modifyitems(config: pytest.Config, items: "list[pytest.Item]") -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.guest)
            if config.pluginmanager.hasplugin("xdist"):
                item.add_marker(pytest.mark.xdist_group(group(item.nodeid)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if HERE in item.path.parents and not MARK.exists():
        pytest.skip("needs the guest: scripts/test --guest")
