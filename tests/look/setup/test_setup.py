"""`setup`: on every layout that is known, what is written can be read by the engine's rules, and is taken back."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pyruntime.errors import Error
from pyruntime.look.setup import places, snippets
from pyruntime.look.setup.change import BEGIN, KEPT, MADE

PROGRAM = "/usr/bin/pyruntime"
V2 = 'version = 2\n\n[plugins."io.containerd.grpc.v1.cri".containerd]\n  default_runtime_name = "runc"\n'
V3 = "version = 3\nroot = '/var/lib/containerd'\n"
IMPORTING = V3 + "imports = ['/etc/containerd/conf.d/*.toml']\n"
DAEMON = '{\n\t"log-driver": "journald",\n\t"runtimes": {"crun": {"path": "/usr/bin/crun"}}\n}'

LAYOUTS: "dict[str, tuple[str, dict[str, str], str]]" = {
    "docker, no file": ("docker", {}, "etc/docker/daemon.json"),
    "docker, with others": ("docker", {"etc/docker/daemon.json": DAEMON}, "etc/docker/daemon.json"),
    "docker, empty": ("docker", {"etc/docker/daemon.json": ""}, "etc/docker/daemon.json"),
    "podman": ("podman", {}, "etc/containers/containers.conf.d/50-pyruntime.conf"),
    "crio": ("crio", {"etc/crio/crio.conf": "[crio]\n"}, "etc/crio/crio.conf.d/50-pyruntime.conf"),
    "containerd, no file": ("containerd", {}, "etc/containerd/config.toml"),
    "containerd 1": ("containerd", {"etc/containerd/config.toml": V2}, "etc/containerd/config.toml"),
    "containerd 2": ("containerd", {"etc/containerd/config.toml": V3}, "etc/containerd/config.toml"),
    "containerd, last line open": ("containerd", {"etc/containerd/config.toml": V3[:-1]}, "etc/containerd/config.toml"),
    "containerd 2 that imports": (
        "containerd", {"etc/containerd/config.toml": IMPORTING}, "etc/containerd/conf.d/50-pyruntime.toml",
    ),
    "k3s 1": (
        "containerd", {"var/lib/rancher/k3s/agent/etc/containerd/config.toml": V2},
        "var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl",
    ),
    "k3s 2": (
        "containerd", {"var/lib/rancher/k3s/agent/etc/containerd/config.toml": V3},
        "var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl",
    ),
    "rke2": (
        "containerd", {"var/lib/rancher/rke2/agent/etc/containerd/config.toml": V3},
        "var/lib/rancher/rke2/agent/etc/containerd/config-v3.toml.tmpl",
    ),
    "k0s": ("containerd", {"etc/k0s/containerd.toml": V3}, "etc/k0s/containerd.d/50-pyruntime.toml"),
    "microk8s": (
        "containerd", {"var/snap/microk8s/current/args/containerd-template.toml": V2},
        "var/snap/microk8s/current/args/containerd-template.toml",
    ),
}  # fmt: skip


def content(root: Path) -> "dict[str, bytes]":
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def make(root: Path, files: "dict[str, str]") -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def toml(text: str) -> "dict[str, Any]":
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    return tomllib.loads(text)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", LAYOUTS)
def test_written_and_taken_back_to_the_byte(name: str, tmp_path: Path) -> None:
    engine, files, place = LAYOUTS[name]
    make(tmp_path, files)
    before = content(tmp_path)
    for _ in range(2):  # the second time it is there already
        places.ENGINES[engine](str(tmp_path), PROGRAM).change.write()
    written = content(tmp_path)
    changed = {path for path, data in written.items() if before.get(path) != data and not path.endswith((KEPT, MADE))}
    assert changed == {place}
    assert PROGRAM.encode() in written[place]
    assert places.ENGINES[engine](str(tmp_path), PROGRAM).change.undo() is True
    assert content(tmp_path) == before
    assert places.ENGINES[engine](str(tmp_path), PROGRAM).change.undo() is False


@pytest.mark.parametrize("systemd", [True, False])
@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout[0] == "containerd"])
def test_containerd_reads_it_under_the_plugin_of_its_version(name: str, systemd: bool, tmp_path: Path) -> None:
    _, files, place = LAYOUTS[name]
    make(tmp_path, {**files, **({"run/systemd/system/x": ""} if systemd else {})})
    places.containerd(str(tmp_path), PROGRAM).change.write()
    text = (tmp_path / place).read_text().replace('{{ template "base" . }}', "")
    found = toml(text)
    plugin = "io.containerd.grpc.v1.cri" if V2 in files.values() else "io.containerd.cri.v1.runtime"
    runtimes = found["plugins"][plugin]["containerd"]["runtimes"]
    assert runtimes["pyruntime"]["runtime_type"] == "io.containerd.runc.v2"
    assert runtimes["pyruntime"]["options"] == {"BinaryName": PROGRAM, "SystemdCgroup": systemd}
    assert ("runc" in runtimes) == (name == "containerd 1")


def test_other_entries_of_dockers_file_stay(tmp_path: Path) -> None:
    make(tmp_path, {"etc/docker/daemon.json": DAEMON})
    places.docker(str(tmp_path), PROGRAM).change.write()
    found = json.loads((tmp_path / "etc/docker/daemon.json").read_text())
    assert found["log-driver"] == "journald"
    assert set(found["runtimes"]) == {"crun", "pyruntime"}


def test_podmans_and_crios_files_are_toml() -> None:
    assert toml(snippets.podman(PROGRAM))["engine"]["runtimes"]["pyruntime"] == [PROGRAM]
    assert toml(snippets.crio(PROGRAM))["crio"]["runtime"]["runtimes"]["pyruntime"]["runtime_path"] == PROGRAM


def test_what_others_have_changed_since_is_left_alone(tmp_path: Path) -> None:
    change = places.podman(str(tmp_path), PROGRAM).change
    change.write()
    Path(change.path).write_text("# mine\n")
    for act in (change.write, change.undo):
        with pytest.raises(Error, match="50-pyruntime.conf"):
            act()
    docker = places.docker(str(tmp_path), PROGRAM).change
    docker.write()
    Path(docker.path).write_text('{"debug": true}')
    with pytest.raises(Error, match="changed since"):
        docker.undo()
    assert Path(docker.path).read_text() == '{"debug": true}'


def test_lines_that_others_add_after_ours_stay(tmp_path: Path) -> None:
    make(tmp_path, {"etc/containerd/config.toml": V3})
    change = places.containerd(str(tmp_path), PROGRAM).change
    change.write()
    file = Path(change.path)
    file.write_text(file.read_text() + "[debug]\n  level = 'info'\n")
    change.undo()
    assert file.read_text() == V3 + "[debug]\n  level = 'info'\n"


@pytest.mark.parametrize(
    ("files", "engine", "told"),
    [
        ({"etc/docker/daemon.json": "{"}, "docker", "is not JSON"),
        ({"etc/docker/daemon.json": "[]"}, "docker", "holds no object"),
        ({"etc/containerd/config.toml": "root = '/x'\n"}, "containerd", "migrate it first"),
    ],
)
def test_what_cannot_be_changed_is_told(files: "dict[str, str]", engine: str, told: str, tmp_path: Path) -> None:
    make(tmp_path, files)
    before = content(tmp_path)
    with pytest.raises(Error, match=told):
        places.ENGINES[engine](str(tmp_path), PROGRAM).change.write()
    assert content(tmp_path) == before


def run(launcher: Path, *words: "str | Path") -> "subprocess.CompletedProcess[str]":
    command = ["/usr/bin/python3", "-IBSXutf8", str(launcher), "setup", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_verb(launcher: Path, tmp_path: Path) -> None:
    make(tmp_path, {"etc/containerd/config.toml": V3})
    shown = run(launcher, "containerd", "--host", tmp_path, "--program", PROGRAM)
    assert (shown.returncode, content(tmp_path)["etc/containerd/config.toml"]) == (0, V3.encode())
    assert "would add to" in shown.stdout
    assert run(launcher, "--write", "containerd", "--host", tmp_path).stdout.startswith("containerd: ")
    assert BEGIN in (tmp_path / "etc/containerd/config.toml").read_text()
    assert "as it was before" in run(launcher, "--undo", "containerd", "--host", tmp_path).stdout
    assert "nothing of ours" in run(launcher, "--undo", "containerd", "--host", tmp_path).stdout
    assert "kind: RuntimeClass" in run(launcher, "k8s").stdout
    assert "expected one of docker" in run(launcher, "lxc").stderr
    missing = run(launcher, "--write", "podman", "--host", tmp_path / "none")
    assert (missing.returncode, "no such directory" in missing.stderr) == (1, True)
    assert not (tmp_path / "none").exists()
    assert "opposite" in run(launcher, "docker", "--write", "--undo").stderr


def test_a_mode_is_kept(tmp_path: Path) -> None:
    make(tmp_path, {"etc/containerd/config.toml": V3})
    (tmp_path / "etc/containerd/config.toml").chmod(0o600)
    places.containerd(str(tmp_path), PROGRAM).change.write()
    assert os.stat(tmp_path / "etc/containerd/config.toml").st_mode & 0o777 == 0o600
