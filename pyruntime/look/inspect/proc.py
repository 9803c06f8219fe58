"""What /proc/PID says of a process (proc(5))."""

import os
from typing import Any

from pyruntime.cgroup.tree import plain
from pyruntime.kernel.caps import NAMES

KINDS = {  # config.json's word → the file in /proc/PID/ns
    "mount": "mnt", "uts": "uts", "ipc": "ipc", "network": "net", "pid": "pid", "user": "user", "cgroup": "cgroup",
    "time": "time",
}  # fmt: skip
_SETS = {
    "bounding": "CapBnd",
    "effective": "CapEff",
    "permitted": "CapPrm",
    "inheritable": "CapInh",
    "ambient": "CapAmb",
}
_MODES = {"0": "none", "1": "strict", "2": "filter"}
_VIRTUAL = frozenset(("proc", "sysfs", "cgroup2", "cgroup", "devpts", "mqueue", "tmpfs", "devtmpfs"))


def text(pid: "int | str", name: str) -> "str | None":
    """The content of /proc/PID/NAME, None where it can't be read."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="backslashreplace") as file:
            return file.read()
    except OSError:
        return None


def namespaces(pid: "int | str") -> "dict[str, int | None]":
    """Kind → the inode that names the namespace, None where it can't be read."""
    return {kind: _inode(f"/proc/{pid}/ns/{file}") for kind, file in KINDS.items()}


def _inode(path: str) -> "int | None":
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def status(pid: "int | str") -> "dict[str, str]":
    """The lines of /proc/PID/status, by their names."""
    lines = (text(pid, "status") or "").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def identity(fields: "dict[str, str]") -> "dict[str, Any]":
    """Name, pids from outside to inside, and ids, as the host sees them."""
    return {
        "name": fields.get("Name", ""),
        "pids": [int(pid) for pid in fields.get("NSpid", "").split()],
        "uid": _effective(fields.get("Uid", "")),
        "gid": _effective(fields.get("Gid", "")),
        "groups": [int(gid) for gid in fields.get("Groups", "").split()],
    }


def _effective(ids: str) -> "int | None":
    words = ids.split()
    return int(words[1]) if len(words) == 4 else None


def id_map(pid: "int | str", kind: str) -> "list[dict[str, int]] | None":
    """/proc/PID/uid_map or gid_map; the identity is an empty list, and None a map not written yet or not readable."""
    rows = [[int(word) for word in line.split()] for line in (text(pid, f"{kind}_map") or "").splitlines()]
    if not rows or rows == [[0, 0, 2**32 - 1]]:
        return [] if rows else None
    return [{"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in rows]


def capabilities(fields: "dict[str, str]") -> "dict[str, list[str]]":
    """The five sets as names."""
    return {name: _names(int(fields.get(key, "0"), 16)) for name, key in _SETS.items()}


def _names(bits: int) -> "list[str]":
    known = [name for number, name in enumerate(NAMES) if bits >> number & 1]
    return known + [str(number) for number in range(len(NAMES), 64) if bits >> number & 1]


def filtering(fields: "dict[str, str]") -> "dict[str, Any]":
    """seccomp(2) as /proc tells it: the mode, and how many filters are stacked."""
    mode = _MODES.get(fields.get("Seccomp", ""), "unknown")
    return {"mode": mode, "filters": int(fields.get("Seccomp_filters", "0") or 0)}


def label(pid: "int | str") -> str:
    """The security module's label, "" where there is none."""
    return (text(pid, "attr/current") or "").strip("\0\n ")


def mounts(pid: "int | str") -> "list[dict[str, Any]] | None":
    """/proc/PID/mountinfo, in order: destination, type, source, root of what is shown, options; None: not readable."""
    lines = text(pid, "mountinfo")
    return None if lines is None else [_mount(line.split(" ")) for line in lines.rstrip("\n").split("\n") if line]


def _mount(fields: "list[str]") -> "dict[str, Any]":
    after = fields[fields.index("-") + 1 :]
    options = fields[5].split(",")
    return {
        "destination": plain(fields[4]),
        "type": after[0],
        "source": plain(after[1]),
        "shows": plain(fields[3]),
        "options": options,
        "readonly": "ro" in options or "ro" in after[2].split(","),
        "virtual": after[0] in _VIRTUAL,
    }


def command(pid: "int | str") -> str:
    """The command line, blanks between its words; "" for a zombie."""
    return " ".join((text(pid, "cmdline") or "").rstrip("\0").split("\0"))
