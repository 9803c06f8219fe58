"""Whether an engine knows us: its program, its configuration, and the path named there."""

import json
import os
import re
import shutil
import sys
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from pyruntime.cgroup.systemd.manager import find
from pyruntime.errors import Error, one_line
from pyruntime.look.doctor.verdict import Verdict, fail, ok, unknown, warn

_DOCKER = "/etc/docker/daemon.json"
_CONTAINERD = ("/etc/containerd/config.toml", "/etc/containerd/conf.d/*.toml", "/etc/containerd/config.d/*.toml")
_CRIO = ("/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*")
_PODMAN = (
    "/usr/share/containers/containers.conf", "/etc/containers/containers.conf", "/etc/containers/containers.conf.d/*",
    "~/.config/containers/containers.conf", "~/.config/containers/containers.conf.d/*",
)  # fmt: skip
_PATHS = re.compile(r"""["'](/[^"']+)["']""")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)


def docker() -> "Iterator[Verdict]":
    """dockerd, its daemon.json, and the cgroup driver that it will ask for."""
    if not (yield from _program("dockerd", "install Docker, or look at another engine")):
        return
    try:
        with open(_DOCKER, encoding="utf-8") as file:
            settings = json.load(file)
    except FileNotFoundError:
        settings = {}
    except (OSError, ValueError) as error:
        yield unknown(f"{_DOCKER}: {one_line(str(error))}", "make it readable, or valid JSON")
        return
    runtimes = settings.get("runtimes") or {}
    ours = [name for name, entry in runtimes.items() if _is_us(str(entry.get("path", "")))]
    snippet = f'"runtimes": {{"pyruntime": {{"path": "{_self()}"}}}}'
    if ours:
        yield ok(f"{_DOCKER} names us: docker run --runtime {ours[0]}")
    else:
        yield fail(f"{_DOCKER} has no runtime at {_self()}", f"add {snippet} there, then systemctl restart docker")
    yield from _driver(settings.get("exec-opts") or [])


def _driver(options: "list[str]") -> "Iterator[Verdict]":
    """The driver that dockerd will ask for, and whether there is a systemd that answers."""
    if "native.cgroupdriver=cgroupfs" in options or not os.path.isdir("/run/systemd/system"):
        yield ok("Docker's cgroup driver is cgroupfs")
        return
    yield from systemd(user=False)


def _asked_for() -> "Iterator[Verdict]":
    """On a host with systemd these ask for its driver by themselves, as the user they run as."""
    if os.path.isdir("/run/systemd/system"):
        yield from systemd(user=os.geteuid() != 0)


def systemd(user: bool) -> "Iterator[Verdict]":
    """Whether the manager that would make cgroups answers."""
    try:
        about = find(user)
    except Error as error:
        problem, _, fix = error.text.rpartition("; ")
        yield fail(problem, fix)
    else:
        whose = "the user's systemd" if about.user else "systemd"
        yield ok(f"cgroup driver: {whose} {about.version} answers at {about.address}")


def containerd() -> "Iterator[Verdict]":
    """containerd and the BinaryName in its configuration; `ctr --runc-binary` needs none."""
    if (yield from _program("containerd", "install containerd, or look at another engine")):
        fix = "a runtime of type io.containerd.runc.v2 with BinaryName; docs/how-to/use-with-engines.md has it whole"
        yield from _named(_CONTAINERD, "containerd", fix, needed=False)


def crio() -> "Iterator[Verdict]":
    """CRI-O and its runtime tables."""
    if (yield from _program("crio", "install CRI-O, or look at another engine")):
        file = "/etc/crio/crio.conf.d/50-pyruntime.conf"
        fix = f'[crio.runtime.runtimes.pyruntime] with runtime_path = "{_self()}" in {file}'
        yield from _named(_CRIO, "CRI-O", fix, needed=True)
        yield from _asked_for()


def podman() -> "Iterator[Verdict]":
    """Podman; a path given by --runtime needs no configuration."""
    if (yield from _program("podman", "install Podman, or look at another engine")):
        fix = f'[engine.runtimes] pyruntime = ["{_self()}"] in /etc/containers/containers.conf.d/50-pyruntime.conf'
        yield from _named(_PODMAN, "Podman", fix, needed=False)
        yield from _asked_for()


def kubernetes() -> "Iterator[Verdict]":
    """A node: one of the two engines that speak CRI, with a handler that is ours."""
    there = [name for name in ("containerd", "crio") if shutil.which(name)]
    if not there:
        yield fail("neither containerd nor CRI-O is here", "install one of them")
    for name in there:
        fix = "docs/how-to/use-with-engines.md has the handler and the RuntimeClass"
        yield from _named(_CONTAINERD if name == "containerd" else _CRIO, name, fix, needed=True)


def _program(name: str, fix: str) -> "Generator[Verdict, None, bool]":
    """Yields where a program is; its value says whether it is."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/local/bin")
    yield ok(f"{name}: {path}") if path else fail(f"{name} is not installed", fix)
    return bool(path)


def _named(places: "Iterable[str]", who: str, fix: str, needed: bool) -> "Iterator[Verdict]":
    """Whether a configuration file names our path."""
    files, closed = [], []
    for place in places:
        path = Path(place.replace("~", os.environ.get("HOME", "/root"), 1))
        files += sorted(path.parent.glob(path.name)) if "*" in path.name else [path] * path.exists()
    for file in files:
        try:
            text = _COMMENT.sub("", file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            closed.append(str(file))
            continue
        if any(_is_us(path) for path in _PATHS.findall(text)):
            yield ok(f"{file} names us")
            return
    if closed:
        yield unknown(f"{' '.join(closed)} can't be read")
    else:
        text = f"no configuration of {who} names {_self()}"
        yield fail(text, fix) if needed else warn(f"{text}; a path on its command line does without", fix)


def _self() -> str:
    """The path engines should be given: where PATH finds us, if that is this very file."""
    found = shutil.which("pyruntime")
    return found if found and _is_us(found) else os.path.abspath(sys.argv[0])


def _is_us(path: str) -> bool:
    return bool(path) and os.path.realpath(path) == os.path.realpath(sys.argv[0])
