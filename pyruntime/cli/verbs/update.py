"""`update`: change the limits of a living container."""

from pyruntime.cgroup.hints import controllers
from pyruntime.cgroup.update import check_memory, merge, update
from pyruntime.cgroup.values import ignored, writes
from pyruntime.cli.context import Context
from pyruntime.cli.verbs.pause import cgroup_of
from pyruntime.config.jsontext import load, read_all
from pyruntime.config.load import load_resources
from pyruntime.config.resources import Resources
from pyruntime.config.validate import validate_resources
from pyruntime.errors import Error, StateError, explain_oserror
from pyruntime.state import life
from pyruntime.state.store import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyruntime.cgroup.values import Write

    Json = dict[str, Any]

# flag -> where its value belongs in linux.resources
_NUMBERS = {
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
    "pids-limit": ("pids", "limit"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-period": ("cpu", "period"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-share": ("cpu", "shares"),
    "cpu-idle": ("cpu", "idle"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "blkio-weight": ("blockIO", "weight"),
}
_TEXTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}
_RESCTRL = ("l3-cache-schema", "mem-bw-schema")
_DEPRECATED = ("kernel-memory", "kernel-memory-tcp")


def run(context: Context) -> int:
    """update [--resources FILE|-] [--memory SIZE ...] ID."""
    wanted = _wanted(context)
    validate_resources(wanted, "resources", update=True)
    asked = {flag: context.options.text(flag) or "" for flag in _RESCTRL if context.options.given(flag)}
    if asked:
        from pyruntime.cli import shares

        lines = shares.lines(asked)
        shares.demand(asked)
    container = context.load(lock=True)
    if life.status(container) == "stopped":
        raise StateError(f"container not running: {container.id} is stopped")
    for path, why in ignored(wanted):
        context.log.warning(f"{path} is not applied: {why}")
    if not asked:
        _change(context, container, wanted)
        return 0
    before = shares.change(container, lines)
    try:
        _change(context, container, wanted)
    except BaseException:
        shares.restore(container, before)
        raise
    return 0


def _wanted(context: Context) -> Resources:
    """What the file or the flags ask for. Raises Error."""
    file = context.options.text("resources")
    return _from_file(file) if file else _from_flags(context)


def _from_file(file: str) -> Resources:
    try:
        return load_resources(*((read_all(0, "stdin"), "stdin") if file == "-" else (load(file, file), file)))
    except OSError as error:
        raise Error(f"--resources {file}: cannot be read: {explain_oserror(error)}") from None


def _from_flags(context: Context) -> Resources:
    options = context.options
    for flag in _DEPRECATED:
        if options.given(flag):
            context.log.warning(f"--{flag} is deprecated and ignored: cgroup v2 has no such limit")
    document: Json = {}
    for flag, (part, name) in (*_NUMBERS.items(), *_TEXTS.items()):
        if options.given(flag):
            document.setdefault(part, {})[name] = options.number(flag) if flag in _NUMBERS else options.text(flag)
    return Resources.read(document, "resources")


def _change(context: Context, container: Container, wanted: Resources) -> None:
    """Write the limits; only when all are in force they are remembered. Raises Error."""
    cgroup = cgroup_of(container, "update")
    old: Json = container.own.get("resources") or {}
    new: Json = wanted.to_json()
    asked = new.pop("devices", None)
    if asked and asked != old.get("devices"):
        context.log.warning("resources.devices: device rules are fixed when the container is created; not changed")
    merged = merge(old, new)
    resources = Resources.read({key: value for key, value in merged.items() if key != "devices"}, "resources")
    _check_usage(cgroup, resources)
    limits = writes(resources, controllers(cgroup))
    if "systemd" in container.own:
        _change_unit(container, cgroup, Resources.read(old, "resources"), limits)
    else:
        update(cgroup, limits)
    container.own["resources"] = merged
    container.save()


def _change_unit(container: Container, cgroup: str, old: Resources, new: "list[Write]") -> None:
    """systemd first, for it writes files of its own accord; what it can't say and what it rounds is written after."""
    from pyruntime.cgroup.systemd.properties import rounded
    from pyruntime.cli.units import Change

    change = Change(container, writes(old, controllers(cgroup)), new)
    try:
        update(cgroup, rounded(new))
    except BaseException:
        change.take_back()
        raise


def _check_usage(cgroup: str, resources: Resources) -> None:
    memory = resources.memory
    if memory is not None and memory.checkBeforeUpdate:
        check_memory(cgroup, memory.limit, memory.swap)
