"""A new terminal: only of a devpts, whatever the container has put in its place."""

import os
from pathlib import Path

import pytest

from pyruntime.errors import Error
from pyruntime.kernel import tty


def opened(root: Path, ptmx: str) -> "tuple[int, int]":
    (root / "dev").mkdir()
    (root / "dev/ptmx").symlink_to(ptmx)
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        return tty.open_pty(fd)
    finally:
        os.close(fd)


def test_a_pty_of_the_kernel_s() -> None:
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY)
    master, slave = tty.open_pty(fd)
    try:
        assert os.ttyname(slave).startswith("/dev/pts/")
    finally:
        for each in (master, slave, fd):
            os.close(each)


@pytest.mark.parametrize("kind", ["file", "fifo"])
def test_anything_else_is_refused_before_it_is_asked(tmp_path: Path, kind: str) -> None:
    (os.mkfifo if kind == "fifo" else Path.touch)(tmp_path / "other")
    with pytest.raises(Error, match="not the character device 5:2"):
        opened(tmp_path, "/other")
