"""Everything about one process, and about the container it belongs to, as JSON values."""

import os
import time
from typing import Any

from pyruntime.errors import Error, StateError
from pyruntime.kernel.procfs import start_time
from pyruntime.look.inspect import calls, cgroups, proc
from pyruntime.state import life, store

HOST = "host"
Json = dict[str, Any]


def of_container(root: str, container_id: str) -> Json:
    """A container's first process. Raises StateError for an unknown id and for a container that has no process."""
    container = store.load(root, container_id)
    pid = life.init_pid(container)
    if not pid:
        now = life.status(container)
        raise StateError(f"container not running: {container_id} is {now}, there is no process to look at")
    return {**_process(pid), "container": _container(container)}


def of_pid(root: str, pid: int) -> Json:
    """Any process, with its container of this root if it is in one. Raises Error when there is no such process."""
    if not os.path.isdir(f"/proc/{pid}"):
        raise Error(f"--pid {pid}: no such process")
    found = _process(pid)
    owner = _owner(root, found)
    return {**found, "container": _container(owner) if owner else None}


def of_host() -> Json:
    """The host as this command sees it: pid 1, where it may be read, stands for it."""
    pid = 1 if proc.namespaces(1)["mount"] is not None else os.getpid()
    return {**_process(pid), "container": None, "host": True}


def _process(pid: int) -> Json:
    """Raises Error when the process ends meanwhile: what was read of it would not belong together."""
    started = start_time(pid)
    found = _read(pid)
    if started is None or start_time(pid) != started:
        raise Error(f"pid {pid}: the process ended while it was looked at")
    return found


def _read(pid: int) -> Json:
    fields = proc.status(pid)
    cgroup = cgroups.path(pid)
    place = cgroups.directory(cgroup)
    return {
        "pid": pid,
        "process": {**proc.identity(fields), "command": proc.command(pid), "seconds": _age(pid)},
        "namespaces": _namespaces(pid),
        "idMaps": {kind: proc.id_map(pid, kind) for kind in ("uid", "gid")},
        "cgroup": {"path": cgroup, "named": cgroups.engine(cgroup), **(cgroups.report(place) if place else {})},
        "capabilities": proc.capabilities(fields),
        "noNewPrivileges": fields.get("NoNewPrivs") == "1",
        "seccomp": proc.filtering(fields),
        "label": proc.label(pid),
        "mounts": proc.mounts(pid),
    }


def _namespaces(pid: int) -> Json:
    """Kind → its inode and whether it is the host's; `own` is None where either can't be read."""
    mine, hosts = proc.namespaces(pid), proc.namespaces(1)
    if hosts["mount"] is None:  # pid 1 is another user's: our own process is as near to the host as we get
        hosts = proc.namespaces("self")
    return {
        kind: {"inode": inode, "own": None if None in (inode, hosts[kind]) else inode != hosts[kind]}
        for kind, inode in mine.items()
    }


def _age(pid: int) -> "float | None":
    started = start_time(pid)
    if started is None:
        return None
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK"), 2)


def _container(container: store.Container) -> Json:
    own = container.own
    shown = life.view(container)
    found: Json = {
        **{key: shown[key] for key in ("id", "status", "bundle", "rootfs", "created")},
        "rootless": bool(own.get("rootless")),
        "wasm": own.get("wasm") or False,
        "args": own.get("process", {}).get("args", []),
        "annotations": own.get("annotations") or {},
    }
    if own.get("seccomp"):
        program = bytes.fromhex(own["seccomp"]["program"])
        found["filter"] = calls.summary(program, os.uname().machine)
    return found


def _owner(root: str, subject: Json) -> "store.Container | None":
    """The container whose first process it is or whose cgroup it is in."""
    try:
        ids = store.names(root)
    except OSError:
        return None
    for container_id in ids:
        try:
            container = store.load(root, container_id)
        except Error:
            continue
        if life.init_pid(container) and _inside(container, subject):
            return container
        container.close()
    return None


def _inside(container: store.Container, subject: Json) -> bool:
    place, path = cgroups.directory(subject["cgroup"]["path"]), container.cgroup
    return subject["pid"] == container.pid or bool(path and f"{place}/".startswith(f"{path}/"))
