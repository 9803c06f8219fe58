"""A real cgroup to work in, and a directory of plain files that looks like one."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyruntime.cgroup import tree
from pyruntime.cgroup.kill import kill
from pyruntime.cgroup.members import remove


def _cgroup2() -> str:
    if os.geteuid() != 0:
        pytest.skip("making cgroups needs root")
    found = tree.read_tree()
    if not found.mount or not os.access(found.mount, os.W_OK):
        pytest.skip(f"no writable cgroup2 mount here (mode {found.mode})")
    return found.mount


@pytest.fixture
def cgroup() -> Iterator[str]:
    """The directory of a new cgroup right below the cgroup2 mount, removed afterwards with all that is in it."""
    directory = f"{_cgroup2()}/pyruntime-test-{os.getpid()}-{time.monotonic_ns()}"
    os.mkdir(directory)
    yield directory
    kill(directory)
    remove(directory)


@pytest.fixture
def sleeper() -> Iterator[Callable[[str], int]]:
    """Starts a process that sleeps in the cgroup of the directory given, and returns its pid."""
    children = []

    def start(directory: str) -> int:
        # The pid is not ours to wait for before it has moved: the write is synchronous.
        child = subprocess.Popen(["sleep", "60"])
        children.append(child)
        Path(directory, "cgroup.procs").write_text(str(child.pid))
        return child.pid

    yield start
    for child in children:
        child.kill()
        child.wait()


@pytest.fixture
def plain(tmp_path: Path) -> Callable[..., str]:
    """Makes a directory with the files given; what the kernel does to a cgroup's files, a test can look up in them."""

    def make(**files: str) -> str:
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        return str(tmp_path)

    return make
