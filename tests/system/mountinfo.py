"""Mounts as a payload sees them in its mountinfo; the fixtures make each test run under each filter of `refusing`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, emptied
from tests.system.refusing import WAYS, wrapped

MOUNTINFO = "cat /proc/self/mountinfo"


@pytest.fixture(params=[way for way in WAYS if way != "no openat2"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rt(way: str, launcher: Path, tmp_path: Path) -> "Iterator[Runtime]":
    """pyruntime of this tree, under each of the filters."""
    yield from emptied(Runtime(wrapped(way, launcher, tmp_path), tmp_path / "rt"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "file").write_text("content\n")
    return folder


class Mounted:
    """One line of mountinfo."""

    def __init__(self, line: str) -> None:
        own, _, rest = line.partition(" - ")
        fields = own.split(" ")
        self.root, self.point, self.options, self.tags = fields[3], fields[4], fields[5].split(","), fields[6:]
        self.fstype, self.source, superblock = rest.split(" ")
        self.superblock = superblock.split(",")


def table(text: str) -> "dict[str, Mounted]":
    """Mount point -> the topmost mount there."""
    return {line.point: line for line in map(Mounted, text.splitlines())}


def run(rt: Runtime, bundle: Bundle) -> "dict[str, Mounted]":
    """The mounts that a shell in the bundle sees."""
    bundle.sh(MOUNTINFO)
    result = rt.run(bundle)
    assert result.rc == 0, result
    return table(result.out)
