"""Whether an engine knows us: its program, its configuration, and the path named there."""

import json
import os
import re
import shutil
import sys
from collections.abc import Generator, Iterator
from typing import Any

from pyruntime.cgroup import tree
from pyruntime.errors import one_line
from pyruntime.look.doctor import configs, systemd
from pyruntime.look.doctor.verdict import Verdict, fail, ok, unknown, warn
from pyruntime.look.setup import places
from pyruntime.look.setup.snippets import CRI

_DOCKER = "/etc/docker/daemon.json"
_CRIO = ("/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*")
_PODMAN = (
    "/usr/share/containers/containers.conf", "/etc/containers/containers.conf", "/etc/containers/containers.conf.d/*",
    "~/.config/containers/containers.conf", "~/.config/containers/containers.conf.d/*",
)  # fmt: skip
_NODES = {  # distributions that bring their own containerd: where they live, and the configuration it reads
    "k3s": (places.RANCHER.format("k3s"), "config.toml"),
    "RKE2": (places.RANCHER.format("rke2"), "config.toml"),
    "k0s": (places.K0S, "containerd.d/*.toml"),
    "MicroK8s": (places.MICROK8S, "containerd.toml"),
}
_VERSION = re.compile(r"^\s*version\s*=\s*(\d)", re.MULTILINE)


def docker() -> "Iterator[Verdict]":
    """dockerd, its daemon.json, and the cgroup driver that it will ask for."""
    if not (yield from _program("dockerd", "install Docker, or look at another engine")):
        return
    try:
        settings = _daemon_json()
    except (OSError, ValueError) as error:
        yield unknown(f"{_DOCKER}: {one_line(str(error))}", "make it readable for you, and valid JSON")
        return
    runtimes = settings.get("runtimes")
    entries = runtimes.items() if isinstance(runtimes, dict) else ()
    ours = [name for name, entry in entries if isinstance(entry, dict) and _is_us(str(entry.get("path", "")))]
    if ours:
        yield ok(f"{_DOCKER} names us: docker run --runtime {ours[0]}")
    else:
        yield fail(f"{_DOCKER} has no runtime at {_self()}", _set_up("docker"))
    yield from _driver(settings.get("exec-opts"))


def _daemon_json() -> "dict[str, Any]":
    """Docker's settings; without the file there are none. Raises OSError and ValueError."""
    try:
        with open(_DOCKER, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return {}
    settings = json.loads(text or "{}")
    if not isinstance(settings, dict):
        raise ValueError("holds no JSON object")
    return settings


def _driver(options: Any) -> "Iterator[Verdict]":
    """What dockerd will ask for: systemd where that runs on a unified tree, if daemon.json does not say."""
    said = [str(option) for option in options] if isinstance(options, list) else []
    default = systemd.booted() and tree.read_tree().mode == "unified"
    if "native.cgroupdriver=systemd" in said or (default and "native.cgroupdriver=cgroupfs" not in said):
        yield from systemd.manager(user=False)
    else:
        yield ok("Docker's cgroup driver is cgroupfs")


def containerd() -> "Iterator[Verdict]":
    """containerd and the BinaryName in its configuration; `ctr --runc-binary` needs none."""
    if (yield from _program("containerd", "install containerd, or look at another engine")):
        yield from _containerd("containerd", places.CONTAINERD, needed=False)


def _containerd(who: str, path: str, needed: bool) -> "Iterator[Verdict]":
    """What its files say, and whether they say it where this version of them is read."""
    files = configs.containerd(path)
    found = files.naming(_is_us)
    if found is None:
        yield from _unnamed(files, who, "containerd", needed)
        return
    file, table = found
    version = _VERSION.search(files.texts[file]) or _VERSION.search(files.texts.get(path, ""))
    plugin = CRI.get(int(version[1]) if version else 0)
    if plugin and "io.containerd." in table and plugin not in table:
        text = f"{file} names us in a table that containerd does not read in version {version and version[1]}"
        yield fail(f"{text}: there it is {plugin}", f"remove those lines, then {_set_up('containerd')}")
        return
    yield ok(f"{file} names us")
    if configs.asks_systemd(table):
        yield from systemd.manager(user=False)


def crio() -> "Iterator[Verdict]":
    """CRI-O, its runtime tables, and its cgroup manager, which is systemd if nothing else is said."""
    if (yield from _program("crio", "install CRI-O, or look at another engine")):
        files = configs.Files(iter(_CRIO))
        yield from _named(files, "CRI-O", "crio", needed=True)
        yield from _asked_for(files.manager("systemd"))


def podman() -> "Iterator[Verdict]":
    """Podman; a path given by --runtime needs no configuration."""
    if (yield from _program("podman", "install Podman, or look at another engine")):
        files = configs.Files(iter(_PODMAN))
        yield from _named(files, "Podman", "podman", needed=False)
        yield from _asked_for(files.manager("systemd" if systemd.booted() else "cgroupfs"))


def _asked_for(manager: str) -> "Iterator[Verdict]":
    """Who makes cgroups; systemd is asked as the user that the engine runs as."""
    if manager == "systemd":
        yield from systemd.manager(user=os.geteuid() != 0)
    else:
        yield ok(f"cgroup manager: {manager}")


def kubernetes() -> "Iterator[Verdict]":
    """A node: an engine that speaks CRI, with a handler that is ours."""
    nodes = {name: f"{folder}/{file}" for name, (folder, file) in _NODES.items() if os.path.isdir(folder)}
    if not nodes and _found("containerd"):
        nodes = {"containerd": places.CONTAINERD}
    for name, path in nodes.items():
        yield from _containerd(name, path, needed=True)
    if _found("crio"):
        yield from _named(configs.Files(iter(_CRIO)), "CRI-O", "crio", needed=True)
    elif not nodes:
        yield fail("neither containerd nor CRI-O is here", "install one of them")


def _found(name: str) -> "str | None":
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/local/bin")


def _program(name: str, fix: str) -> "Generator[Verdict, None, bool]":
    """Yields where a program is; its value says whether it is."""
    path = _found(name)
    yield ok(f"{name}: {path}") if path else fail(f"{name} is not installed", fix)
    return bool(path)


def _named(files: configs.Files, who: str, engine: str, needed: bool) -> "Iterator[Verdict]":
    found = files.naming(_is_us)
    if found:
        yield ok(f"{found[0]} names us")
    else:
        yield from _unnamed(files, who, engine, needed)


def _unnamed(files: configs.Files, who: str, engine: str, needed: bool) -> "Iterator[Verdict]":
    """No file that can be read names our path."""
    if files.closed:
        yield unknown(f"{' '.join(files.closed)} can't be read")
        return
    text = f"no configuration of {who} names {_self()}"
    yield (
        fail(text, _set_up(engine))
        if needed
        else warn(f"{text}; a path on its command line does without", _set_up(engine))
    )


def _set_up(engine: str) -> str:
    return f"{_self()} setup {engine} --write, then what it says last"


def _self() -> str:
    """The path engines should be given: where PATH finds us, if that is this very file."""
    found = shutil.which("pyruntime")
    return found if found and _is_us(found) else os.path.abspath(sys.argv[0])


def _is_us(path: str) -> bool:
    """Whether a path, or a name that the engine would look for, is this program."""
    full = path if "/" in path else shutil.which(path) or ""
    return bool(full) and os.path.realpath(full) == os.path.realpath(sys.argv[0])
