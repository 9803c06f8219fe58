"""A state root, a bundle that sleeps, and the launcher to act on them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyruntime.cgroup import tree
from tests.cli.verbs.box import Box


@pytest.fixture
def box(launcher: Path, tmp_path: Path) -> Box:
    """Commands without a bundle, which need no root."""
    return Box(launcher, tmp_path)


@pytest.fixture
def host(box: Box) -> "Iterator[Box]":
    """Commands with a bundle whose process sleeps."""
    busybox = shutil.which("busybox")
    if os.geteuid() != 0:
        pytest.skip("needs root: makes namespaces, mounts and cgroups")
    if busybox is None or not tree.read_tree().mount:
        pytest.skip("needs busybox and a cgroup2 mount")
    (box.bundle / "rootfs" / "bin").mkdir(parents=True)
    for name in ("sh", "sleep", "true"):
        shutil.copy(busybox, box.bundle / "rootfs" / "bin" / name)
    box.ok("spec", "-b", str(box.bundle))
    box.configure(process__terminal=False, process__args=["sleep", "600"])
    yield box
    for name in box.made:
        box("delete", "--force", name)
