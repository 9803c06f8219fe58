"""Where an engine wants to hear of a runtime, on the host below `root` ("" for this one)."""

import os
import re
import subprocess
from collections.abc import Callable

from pyruntime.errors import Error
from pyruntime.look.setup import snippets
from pyruntime.look.setup.change import Block, Change, JsonEntry, OwnFile

_VERSION = re.compile(r"^\s*version\s*=\s*(\d)", re.MULTILINE)
_IMPORTS = re.compile(r"^\s*imports\s*=\s*\[([^\]]*)\]", re.MULTILINE)
_STRINGS = re.compile(r"""["']([^"']+)["']""")
CONTAINERD = "/etc/containerd/config.toml"
RANCHER = "/var/lib/rancher/{}/agent/etc/containerd"
K0S = "/etc/k0s"
MICROK8S = "/var/snap/microk8s/current/args"
_OWN = "50-pyruntime"
_BASE = '{{ template "base" . }}\n\n'


class Plan:
    """What to do for one engine: what was found, the change, and what is to be done by hand afterwards."""

    def __init__(self, found: str, change: Change, then: str) -> None:
        self.found = found
        self.change = change
        self.then = then


def docker(root: str, program: str) -> Plan:
    """daemon.json; Docker has no folder of drop-ins."""
    path = f"{root}/etc/docker/daemon.json"
    change = JsonEntry(path, ("runtimes", "pyruntime"), snippets.docker(program))
    return Plan("Docker", change, "systemctl restart docker; docker run --runtime pyruntime …")


def podman(root: str, program: str) -> Plan:
    """containers.conf.d, of the host or of the user who asks."""
    own = os.environ.get("HOME", "/root") + "/.config/containers"
    folder = f"{root}/etc/containers" if root or os.geteuid() == 0 else own
    change = OwnFile(f"{folder}/containers.conf.d/{_OWN}.conf", snippets.podman(program))
    return Plan(
        "Podman", change, "podman --runtime pyruntime run …; Buildah takes BUILDAH_RUNTIME or --runtime with the path"
    )


def crio(root: str, program: str) -> Plan:
    """crio.conf.d."""
    change = OwnFile(f"{root}/etc/crio/crio.conf.d/{_OWN}.conf", snippets.crio(program))
    return Plan("CRI-O", change, "systemctl restart crio; crictl runp --runtime pyruntime …")


def containerd(root: str, program: str) -> Plan:
    """The distribution's layout if one is there, else /etc/containerd."""
    for name, found in _LAYOUTS:
        plan = found(root, program)
        if plan is not None:
            return Plan(f"containerd of {name}: {plan.found}", plan.change, plan.then)
    return _plain(root, program)


def _plain(root: str, program: str) -> Plan:
    """config.toml: a file of its own where it imports a folder, else lines at its end."""
    path = root + CONTAINERD
    text = _text(path)
    version = _version(text) if text.strip() or root else _installed()
    snippet = _snippet(root, program, version, version == 2 and "runtimes.runc]" not in text)
    then = "systemctl restart containerd; ctr needs no configuration: ctr run --runc-binary " + program
    folder = _imported(text)
    found = f"{path}, version {version}"
    if folder:
        change: Change = OwnFile(f"{root}{folder}/{_OWN}.toml", f"version = {version}\n\n{snippet}")
        return Plan(f"containerd: {found}, imports {folder}", change, then)
    return Plan(
        f"containerd: {found if text else 'no config.toml yet'}", Block(path, snippet, f"version = {version}\n\n"), then
    )


def _snippet(root: str, program: str, version: int, with_runc: bool = False) -> str:
    """The tables, with the cgroup driver that goes with the host: the kubelet's is systemd where that is."""
    systemd = os.path.isdir(f"{root}/run/systemd/system")
    return snippets.containerd(program, version, with_runc, systemd)


def _installed() -> int:
    """The newest configuration that the containerd found by PATH reads."""
    try:
        told = subprocess.run(["containerd", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return 3
    return 2 if re.search(r" v?1\.\d+\.", told) else 3


def _version(text: str) -> int:
    """The configuration's version; without a file, the newest. A file without the line is of version 1, now gone."""
    found = _VERSION.search(text)
    version = int(found[1]) if found else 1 if text.strip() else 3
    if version not in (2, 3):
        raise Error(f"setup: config.toml is of version {version}; migrate it first: containerd config migrate")
    return version


def imports(text: str) -> "list[str]":
    """The patterns of files that a config.toml imports."""
    found = _IMPORTS.search(text)
    return _STRINGS.findall(found[1]) if found else []


def _imported(text: str) -> str:
    """The folder of the first import that takes every .toml of it, "" for none."""
    folders = [pattern.removesuffix("/*.toml") for pattern in imports(text) if pattern.endswith("/*.toml")]
    return folders[0] if folders else ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _rancher(kind: str) -> "Callable[[str, str], Plan | None]":
    """k3s and RKE2 write config.toml anew at every start, out of a template beside it."""

    def find(root: str, program: str) -> "Plan | None":
        folder = root + RANCHER.format(kind)
        if not os.path.isdir(folder):
            return None
        version = _version(_text(f"{folder}/config.toml"))
        name = "config-v3.toml.tmpl" if version == 3 else "config.toml.tmpl"
        change = Block(f"{folder}/{name}", _snippet(root, program, version), _BASE)
        return Plan(f"template {name}", change, f"systemctl restart {kind} (or {kind}-agent)")

    return find


def _k0s(root: str, program: str) -> "Plan | None":
    folder = root + K0S
    if not os.path.isdir(folder):
        return None
    version = _version(_text(f"{folder}/containerd.toml"))
    change = OwnFile(f"{folder}/containerd.d/{_OWN}.toml", f"version = {version}\n\n{_snippet(root, program, version)}")
    return Plan("containerd.d", change, "systemctl restart k0sworker (or k0scontroller)")


def _microk8s(root: str, program: str) -> "Plan | None":
    path = f"{root}{MICROK8S}/containerd-template.toml"
    if not os.path.exists(path):
        return None
    return Plan(
        "containerd-template.toml",
        Block(path, _snippet(root, program, _version(_text(path)))),
        "microk8s stop; microk8s start",
    )


_LAYOUTS: "tuple[tuple[str, Callable[[str, str], Plan | None]], ...]" = (
    ("k3s", _rancher("k3s")), ("RKE2", _rancher("rke2")), ("k0s", _k0s), ("MicroK8s", _microk8s),
)  # fmt: skip
ENGINES: "dict[str, Callable[[str, str], Plan]]" = {
    "docker": docker, "containerd": containerd, "podman": podman, "crio": crio,
}  # fmt: skip
