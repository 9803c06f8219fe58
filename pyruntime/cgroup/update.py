"""Changing the limits of a living cgroup: all of them or none."""

from __future__ import annotations

from pyruntime.cgroup.files import read, write
from pyruntime.cgroup.fs import apply
from pyruntime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from pyruntime.cgroup.values import Write

    Json = dict[str, Any]

_THROTTLES = ("throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice", "throttleWriteIOPSDevice")
_ONLY_NOW = {"cpu": ("cpus", "mems", "idle", "burst"), "pids": ("limit",)}  # never carried over from earlier


def merge(old: Json, new: Json) -> Json:
    """The resources a container has after an update, both in the form of `linux.resources`; a new value.

    What `new` leaves out stays, but for cpus, mems, idle, burst, pids.limit and unified, which are set when named and
    else let alone. Raises ConfigError if `new` has device rules: those are fixed when the container is created.
    """
    if new.get("devices"):
        raise ConfigError("devices", "device rules cannot be changed by update; remove them or create anew")
    merged = {**old}
    for part in ("memory", "cpu", "pids", "network"):
        kept = {name: value for name, value in _part(old, part).items() if name not in _ONLY_NOW.get(part, ())}
        merged[part] = {**kept, **_given(_part(new, part))}
    merged["blockIO"] = _merge_block(_part(old, "blockIO"), _part(new, "blockIO"))
    merged["hugepageLimits"] = _merge_list(old.get("hugepageLimits"), new.get("hugepageLimits"), ("pageSize",))
    merged["rdma"] = {**_part(old, "rdma"), **_part(new, "rdma")}
    merged["unified"] = _part(new, "unified")
    _settle(merged, _part(new, "memory"), _part(new, "cpu"))
    return {name: value for name, value in merged.items() if value}


def _part(resources: Json, name: str) -> Json:
    return resources.get(name) or {}


def _given(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _settle(merged: Json, memory: Json, cpu: Json) -> None:
    """The couplings: a limit taken away takes swap's away, an idle group has no shares, a check is for this call."""
    merged["memory"].pop("checkBeforeUpdate", None)
    if memory.get("checkBeforeUpdate"):
        merged["memory"]["checkBeforeUpdate"] = True
    if memory.get("limit") == -1 and memory.get("swap") is None:
        merged["memory"]["swap"] = -1
    if cpu.get("idle") == 1:
        merged["cpu"].pop("shares", None)


def _merge_block(old: Json, new: Json) -> Json:
    merged = {**old, **_given(new)}
    for name in ("weightDevice", *_THROTTLES):
        merged[name] = _merge_list(old.get(name), new.get(name), ("major", "minor"))
    return {name: value for name, value in merged.items() if value}


def _merge_list(old: list[Json] | None, new: list[Json] | None, names: tuple[str, ...]) -> list[Json]:
    """Entries of the same key are replaced by the new one, in their place."""
    merged = {tuple(entry.get(name) for name in names): entry for entry in [*(old or ()), *(new or ())]}
    return list(merged.values())


def check_memory(directory: str, limit: int | None, swap: int | None) -> None:
    """What `memory.checkBeforeUpdate` asks for: raise ConfigError if more is in use than the new limits, bytes, allow.

    Usage that cannot be read (no memory controller) is no reason to refuse.
    """
    try:
        usage = int(read(directory, "memory.current"))
    except (OSError, ValueError):
        return
    for because, what, value in (("swap", "memory+swap", swap or 0), ("limit", "memory", limit or 0)):
        if 0 < value <= usage:
            path = f"linux.resources.memory.{because}"
            raise ConfigError(path, f"rejecting {what} limit {value} <= usage {usage}; ask for more")


def update(directory: str, writes: Iterable[Write]) -> None:
    """Make the writes; when one fails give every file its former value back and raise that one's CgroupError."""
    undo: list[tuple[str, str]] = []
    try:
        apply(directory, _remembering(directory, writes, undo))
    except BaseException:
        _restore(directory, undo)
        raise


def _remembering(directory: str, writes: Iterable[Write], undo: list[tuple[str, str]]) -> Iterator[Write]:
    for each in writes:
        undo.extend(former(directory, each))
        yield each


def _restore(directory: str, undo: list[tuple[str, str]]) -> None:
    """Latest first. Twice, as cpu.max and cpu.max.burst may have to go in either order."""
    again = []
    for file, value in reversed(undo):
        try:
            write(directory, file, value)
        except OSError:
            again.append((file, value))
    for file, value in again:
        try:
            write(directory, file, value)
        except OSError:
            continue


def former(directory: str, each: Write) -> list[tuple[str, str]]:
    """(file, value) that bring back what `each` is about to change; none for a file that is missing or write-only."""
    try:
        text = read(directory, each.file)
    except OSError:
        return former(directory, each.instead) if each.instead else []
    key = each.value.partition(" ")[0]
    if ":" in key or each.file == "rdma.max":
        return [(each.file, _line(text, key) or _unset(each))]
    if each.file in ("io.weight", "io.bfq.weight"):
        return [(each.file, _line(text, "default") or text.strip())]
    if each.file == "cpu.idle":  # the kernel forgets the weight of a group that turns idle
        return [*_whole(directory, "cpu.weight"), ("cpu.idle", text.strip())]
    return [(each.file, text.strip() or "\n")]


def _whole(directory: str, file: str) -> list[tuple[str, str]]:
    try:
        return [(file, read(directory, file).strip())]
    except OSError:
        return []


def _line(text: str, key: str) -> str:
    """The line of a nested keyed file that starts with `key`, "" if there is none."""
    return next((line for line in text.splitlines() if line.partition(" ")[0] == key), "")


def _unset(each: Write) -> str:
    """What a device without a line of its own has."""
    key, *settings = each.value.split()
    if each.file.endswith("weight"):
        return f"{key} default"
    return " ".join([key, *(f"{setting.partition('=')[0]}=max" for setting in settings)])
