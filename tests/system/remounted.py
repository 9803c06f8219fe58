"""Folders that are mounted with certain options: sources of bind mounts."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Remounted = Callable[[str], Path]


@pytest.fixture
def remounted(tmp_path: Path) -> "Iterator[Remounted]":
    """Makes one that has these options and no other; `rw,superblock=ro`: the file system alone is read-only."""
    made: "list[Path]" = []

    def make(options: str) -> Path:
        folder = tmp_path / f"remounted{len(made)}"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0755", "none", folder], check=True)
        made.append(folder)
        words = options.split(",")
        if "superblock=ro" in words:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
            words.remove("superblock=ro")
        for each in ("diratime,strictatime", ",".join(words)):
            subprocess.run(["mount", "-o", f"remount,bind,{each}", folder], check=True)
        return folder

    yield make
    for folder in reversed(made):
        subprocess.run(["umount", folder], check=True)
