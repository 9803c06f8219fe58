"""Replays of what each caller of a runtime does: real containers, with the count of leftovers of the system tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.callers import Caller
from tests.system.conftest import bundle as bundle
from tests.system.conftest import busybox as busybox
from tests.system.conftest import ground as ground
from tests.system.conftest import make as make
from tests.system.conftest import no_leaks as no_leaks
from tests.system.conftest import own_mounts as own_mounts
from tests.system.conftest import tmp_path as tmp_path
from tests.system.harness import Bundle, new_id

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: "list[pytest.Item]") -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.root)


@pytest.fixture
def caller(launcher: Path, tmp_path: Path, bundle: Bundle) -> "Iterator[Callable[..., Caller]]":
    """A function that makes a caller of a given class for the test's bundle; its containers must be gone at the end."""
    made: "list[Caller]" = []

    def make_caller(kind: "type[Caller]", bundle: Bundle = bundle) -> Caller:
        container_id = new_id()
        bundle.linux.setdefault("cgroupsPath", f"/{container_id}")
        made.append(kind(str(launcher), tmp_path / "root", bundle.write(), container_id))
        return made[-1]

    yield make_caller
    left = [name for each in made if each.root.exists() for name in os.listdir(each.root)]
    for each in made:
        if each.id in left:
            each.call("--root", str(each.root), "delete", "--force", each.id)
        each.close()
    assert not left, f"state entries are left behind: {left}"
