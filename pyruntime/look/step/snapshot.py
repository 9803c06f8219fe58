"""A half-made container as seen from outside at one stop, and what changed since another."""

import os
from typing import Any

from pyruntime.errors import one_line
from pyruntime.kernel import ns
from pyruntime.look.inspect import cgroups, proc

Json = dict[str, Any]
_ENTRIES = 12
_HOSTS = "the host's"


def take(pid: int) -> Json:
    """What /proc, the cgroup and the namespaces of a process say; what may not be read is None or empty."""
    fields = proc.status(pid)
    outside, inside = proc.namespaces("self"), proc.namespaces(pid)
    own = [kind for kind, inode in inside.items() if inode is not None and inode != outside[kind]]
    cgroup = cgroups.path(pid)
    return {
        "namespaces": own,
        "hostname": _hostname(pid, own) if "uts" in own else os.uname().nodename,
        "mounts": [mount["destination"] for mount in proc.mounts(pid) or ()],
        "root": _entries(f"/proc/{pid}/root"),
        "cwd": _link(f"/proc/{pid}/cwd"),
        "processes": _processes(pid),
        "uid": proc.identity(fields)["uid"],
        "uidMap": proc.id_map(pid, "uid"),
        "capabilities": len(proc.capabilities(fields)["effective"]),
        "bounding": len(proc.capabilities(fields)["bounding"]),
        "noNewPrivileges": fields.get("NoNewPrivs") == "1",
        "seccomp": proc.filtering(fields)["mode"],
        "descriptors": _count(f"/proc/{pid}/fd"),
        "cgroup": cgroup,
        "limits": _limits(cgroups.directory(cgroup)),
    }


def _entries(path: str) -> "list[str]":
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def _count(path: str) -> "int | None":
    try:
        return len(os.listdir(path))
    except OSError:
        return None


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _processes(pid: int) -> "int | str | None":
    """How many the /proc inside shows, None without one; the host's are not counted, since they come and go."""
    inside = f"/proc/{pid}/root/proc"
    numbers = [name for name in _entries(inside) if name.isdecimal()]
    if numbers and os.stat(inside).st_dev == os.stat("/proc").st_dev:
        return _HOSTS
    return len(numbers) or None


def _limits(place: str) -> "dict[str, str]":
    found = {}
    for name in ("memory.max", "pids.max", "cpu.max", "cpu.weight") if place else ():
        try:
            with open(f"{place}/{name}", encoding="ascii") as file:
                found[name] = file.read().strip()
        except OSError:
            continue
    return found


def _hostname(pid: int, own: "list[str]") -> "str | None":
    """The host name in a process's UTS namespace, asked by a child that joins it, by way of its user namespace."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ways = [kind for kind in ("user", "uts") if kind in own]
            for fd, kind in [(ns.open_namespace(f"/proc/{pid}/ns/{kind}", kind), kind) for kind in ways]:
                ns.setns(fd, kind)
            os.write(writer, os.uname().nodename.encode())
        finally:
            os._exit(0)
    os.close(writer)
    name = os.read(reader, 256).decode("utf-8", "replace")
    os.close(reader)
    os.waitpid(child, 0)
    return name or None


def page(seen: Json) -> "list[str]":
    """A snapshot in a few lines."""
    shared = [kind for kind in proc.KINDS if kind not in seen["namespaces"]]
    shown = " ".join(seen["root"][:_ENTRIES]) + (" …" if len(seen["root"]) > _ENTRIES else "")
    lines = [
        f"namespaces  its own: {' '.join(seen['namespaces']) or 'none'}; the host's: {' '.join(shared) or 'none'}",
        f"hostname    {seen['hostname'] or 'not readable'}",
        f"mounts      {len(seen['mounts'])}",
        f"/           {shown or 'not readable'}",
        f"processes   {_seen(seen['processes'])}",
        f"user        uid {seen['uid']}, {seen['capabilities']} capabilities, at most {seen['bounding']}",
        f"cgroup      {seen['cgroup'] or 'none'}",
    ]
    lines += [f"            {name} = {value}" for name, value in seen["limits"].items()]
    locks = ["no_new_privs"] * seen["noNewPrivileges"] + ["seccomp"] * (seen["seccomp"] == "filter")
    return [one_line(line) for line in [*lines, f"locked      {' '.join(locks) or 'nothing yet'}"]]


def _seen(count: "int | str | None") -> str:
    return f"the /proc inside shows {count}" if count is not None else "there is no /proc inside"


def changes(before: Json, after: Json) -> "list[str]":
    """What a step changed, one phrase each."""
    found = []
    new = [kind for kind in after["namespaces"] if kind not in before["namespaces"]]
    if new:
        found.append(f"namespaces of its own: {' '.join(new)}")
    came = [place for place in after["mounts"] if place not in before["mounts"]]
    gone = len(before["mounts"]) - (len(after["mounts"]) - len(came))
    if came or gone:
        found.append(f"mounts {len(before['mounts'])} → {len(after['mounts'])}{_named(came)}")
    if before["root"] != after["root"]:
        found.append(f"/ is now: {' '.join(after['root'][:_ENTRIES]) or 'not readable'}")
    for key, words in _PLAIN.items():
        if before[key] != after[key] and not (key == "descriptors" and _more(before[key], after[key])):
            found.append(f"{words} {_shown(before[key])} → {_shown(after[key])}")
    for name, value in after["limits"].items():
        if before["limits"].get(name) != value:
            found.append(f"{name} = {value}")
    return [one_line(phrase) for phrase in found]


_PLAIN = {
    "hostname": "hostname", "processes": "processes seen inside", "uid": "uid", "uidMap": "uid map",
    "capabilities": "capabilities", "bounding": "bounding set", "noNewPrivileges": "no_new_privs", "seccomp": "seccomp",
    "cwd": "working directory", "cgroup": "cgroup", "descriptors": "open descriptors",
}  # fmt: skip


def _more(before: "int | None", after: "int | None") -> bool:
    """Descriptors come and go while there is work; that they are gone in the end is what matters."""
    return before is not None and after is not None and after > before


def _named(places: "list[str]") -> str:
    return f" (+ {' '.join(places[:4])}{' …' if len(places) > 4 else ''})" if places else ""


def _shown(value: "list[dict[str, int]] | str | int | None") -> str:
    if isinstance(value, list):
        return ", ".join(f"{e['containerID']}={e['hostID']}+{e['size']}" for e in value) or "none"
    if value is None or value == "":
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
