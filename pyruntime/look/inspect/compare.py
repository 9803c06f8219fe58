"""Two subjects: what they share and what parts them."""

from typing import Any

Json = dict[str, Any]


def compare(one: Json, other: Json) -> Json:
    """Kinds of namespaces, capabilities, mounts and limits of the first against the second."""
    return {
        "with": name(other),
        "namespaces": {kind: _same(one, other, kind) for kind in one["namespaces"]},
        "capabilities": _sets(one["capabilities"]["bounding"], other["capabilities"]["bounding"]),
        "mounts": None if None in (one["mounts"], other["mounts"]) else _sets(_places(one), _places(other)),
        "cgroup": _cgroups(one["cgroup"]["path"], other["cgroup"]["path"]),
        "noNewPrivileges": [one["noNewPrivileges"], other["noNewPrivileges"]],
        "seccomp": [one["seccomp"]["mode"], other["seccomp"]["mode"]],
        "users": [_root(one), _root(other)],
    }


def name(subject: Json) -> str:
    """What a subject is called: the host, a container's id, or a pid."""
    if subject.get("host"):
        return "host"
    return subject["container"]["id"] if subject["container"] else f"pid {subject['pid']}"


def _same(one: Json, other: Json, kind: str) -> "bool | None":
    """True for the same namespace, None where one of them can't be read."""
    mine, theirs = (subject["namespaces"][kind]["inode"] for subject in (one, other))
    return None if mine is None or theirs is None else mine == theirs


def _sets(mine: "list[str]", theirs: "list[str]") -> Json:
    return {
        "both": [item for item in mine if item in theirs],
        "only": [item for item in mine if item not in theirs],
        "lacking": [item for item in theirs if item not in mine],
    }


def _places(subject: Json) -> "list[str]":
    return list(dict.fromkeys(mount["destination"] for mount in subject["mounts"]))


def _cgroups(mine: str, theirs: str) -> Json:
    """The deepest cgroup that both are in; limits from there up hold for both."""
    shared = []
    for one, other in zip(mine.split("/"), theirs.split("/"), strict=False):
        if one != other:
            break
        shared.append(one)
    return {"paths": [mine, theirs], "shared": "/".join(shared) or "/"}


def _root(subject: Json) -> str:
    """Who root inside is outside."""
    maps = subject["idMaps"]["uid"]
    if maps == []:
        return "root outside"
    return next(
        (f"uid {entry['hostID']} outside" for entry in maps or () if entry["containerID"] == 0), "nobody outside"
    )
