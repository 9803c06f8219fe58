"""Hosts made of folders: what the checks of `doctor` look at, replaced by files of a test."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyruntime.cgroup import tree
from pyruntime.look.doctor import callers, cgroups, configs, systemd
from pyruntime.look.doctor.verdict import Verdict


def levels(found: "Iterable[Verdict]") -> "list[str]":
    """The verdicts' levels alone."""
    return [verdict.level for verdict in found]


def only(found: "Iterable[Verdict]") -> Verdict:
    """The one verdict that a check gives."""
    (verdict,) = found
    return verdict


def released(patch: pytest.MonkeyPatch, release: str) -> None:
    """Let the kernel call itself so."""
    patch.setattr(os, "uname", lambda: SimpleNamespace(release=release, machine="x86_64", nodename="here"))


class Host:
    """A host below a folder, on which nothing is installed and systemd does not run."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.patch = patch
        self.bin = root / "usr/bin"
        self.put("usr/bin/pyruntime", "", 0o755)
        patch.setenv("PATH", str(self.bin))
        patch.setattr(sys, "argv", [str(self.bin / "pyruntime")])
        patch.setattr(callers, "_found", lambda name: str(self.bin / name) if (self.bin / name).exists() else None)
        patch.setattr(callers, "_DOCKER", f"{root}/etc/docker/daemon.json")
        for name in ("_CRIO", "_PODMAN"):
            patch.setattr(callers, name, tuple(f"{root}{path}" for path in getattr(callers, name) if path[0] == "/"))
        nodes = {name: (f"{root}{folder}", file) for name, (folder, file) in callers._NODES.items()}
        patch.setattr(callers, "_NODES", nodes)
        patch.setattr(callers.places, "CONTAINERD", f"{root}/etc/containerd/config.toml")
        patch.setattr(systemd, "_BOOTED", f"{root}/run/systemd/system")
        self.tree(tree.Tree("unified", f"{root}/sys/fs/cgroup"))

    def put(self, path: str, text: str, mode: int = 0o644) -> Path:
        """A file with this content."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def install(self, *names: str) -> "Host":
        """Programs that are there."""
        for name in names:
            self.put(f"usr/bin/{name}", "", 0o755)
        return self

    def boot(self) -> "Host":
        """Let systemd run."""
        (self.root / "run/systemd/system").mkdir(parents=True)
        return self

    def tree(self, found: tree.Tree, own: str = "/user") -> None:
        """The cgroup tree that everybody sees, and where we are in it."""
        for module in (cgroups, callers):
            self.patch.setattr(module.tree, "read_tree", lambda: found)
        self.patch.setattr(cgroups.tree, "read_own", lambda _: own)

    def closed(self, path: str) -> None:
        """A file that is there and can't be read, whoever asks."""
        file = self.put(path, "")
        read = Path.read_text

        def refuse(self: Path, *words: str, **more: str) -> str:
            if self == file:
                raise PermissionError(13, "Permission denied", str(file))
            return read(self, *words, **more)

        self.patch.setattr(configs.Path, "read_text", refuse)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Imported by the tests beside this file."""
    return Host(tmp_path / "host", monkeypatch)
