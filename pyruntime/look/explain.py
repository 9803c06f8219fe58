"""`explain`: the plan of a bundle, made with nothing but looking. No root is needed and nothing is left behind.

What `create` would refuse because of this host or this user (no cgroup v2 tree, an unreadable root file system)
becomes a warning here, and the plan goes on as if it were mended: one may look at a bundle anywhere. What is wrong
with the configuration itself is refused as `create` refuses it.
"""

import posix as os
from os.path import realpath

from pyruntime.cgroup import tree
from pyruntime.cgroup.systemd.manager import About
from pyruntime.cgroup.values import ignored, writes
from pyruntime.cli import demands
from pyruntime.cli.context import Context
from pyruntime.cli.verbs import create
from pyruntime.config.spec import Config
from pyruntime.engine.select import detect
from pyruntime.errors import Error, UsageError, explain_oserror
from pyruntime.host import facts as host
from pyruntime.host.view import View
from pyruntime.pathtext import absolute
from pyruntime.plan import life, limits
from pyruntime.plan.request import Request
from pyruntime.plan.rootfs import root_path
from pyruntime.steps.base import Step
from pyruntime.steps.mounts import BindMount

CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc")
REFUSED = "create would be refused here: "  # how a warning begins that is true on this host only


class Explained:
    """A plan and what is to be said about it; `name` is the bundle's folder's, which stands in for the id."""

    def __init__(self, bundle: str, name: str, steps: "list[Step]", warnings: "list[str]") -> None:
        self.bundle = bundle
        self.name = name
        self.steps = steps
        self.warnings = warnings


def arguments(words: "list[str]", bundle: "str | None") -> "tuple[str, int | None]":
    """The bundle and the step's number from `[BUNDLE] [STEP]`. Raises UsageError.

    A lone number is a step, unless a folder has that name; with --bundle it is always a step.
    """
    words = list(words)
    folder = bundle or "."
    if bundle is None and words and (len(words) == 2 or not words[0].isdecimal() or _is_folder(words[0])):
        folder = words.pop(0)
    if not words:
        return folder, None
    if len(words) > 1 or not words[0].isdecimal() or len(words[0]) > 6:
        raise UsageError(f"explain: {' '.join(words)}: expected the number of a step, as `explain {folder}` lists them")
    return folder, int(words[0])


def _is_folder(path: str) -> bool:
    return os.access(f"{path}/.", os.F_OK)


def explain(context: Context, bundle: str) -> Explained:
    """The plan that `create` would walk for this bundle. Raises Error for a configuration that can't be carried out."""
    request = Request("", context.root, realpath(bundle))
    request.container_id = absolute(bundle).rpartition("/")[2] or "container"
    request.cgroups = context.cgroup_manager != "disabled"
    request.systemd = context.cgroup_manager == "systemd"
    config = create.check(f"{request.bundle}/config.json")
    if config.process is not None and config.process.terminal:
        request.console_socket = "of the caller (--console-socket)"
    warnings: "list[str]" = []
    facts = _facts(context, config, request, warnings)
    steps, more = create.plan(config, request, facts)
    more += limits.unfiltered(config, facts, life.cgroup_path(config, request, facts))
    return Explained(
        request.bundle, request.container_id, steps, [*warnings, *more, *_without_effect(config), *_sources(steps)]
    )


def _facts(context: Context, config: Config, request: Request, warnings: "list[str]") -> host.Facts:
    try:
        facts = host.gather(request.cgroups, context.rootless)
        if request.systemd:
            _systemd(facts, warnings)
        path = life.cgroup_path(config, request, facts)
        if path:
            host.add_controllers(facts, path)
    except (Error, OSError) as error:
        warnings.append(REFUSED + _text(error))
        facts = host.gather(False, context.rootless)
        facts.cgroup_tree = tree.Tree("unified", "/sys/fs/cgroup")
        facts.controllers = CONTROLLERS
        facts.systemd = _imagined_systemd(facts)
    if request.cgroups:
        _imagine_controllers(config, facts, warnings)
    warnings += [REFUSED + text for text in demands.imagine(config, facts)]
    _module(config, request, facts, warnings)
    return facts


def _systemd(facts: host.Facts, warnings: "list[str]") -> None:
    """Ask the manager that would make the cgroup, or tell that none answers and go on as if one did."""
    try:
        host.ask_systemd(facts)
    except Error as error:
        warnings.append(REFUSED + error.text)
        facts.systemd = _imagined_systemd(facts)


def _imagined_systemd(facts: host.Facts) -> About:
    """A manager where systemd puts one; its version is that of a distribution of our days."""
    user, euid = facts.rootless, facts.euid
    group = f"/user.slice/user-{euid}.slice/user@{euid}.service" if user else "/"
    return About(f"/run/user/{euid}/bus" if user else "/run/dbus/system_bus_socket", user, 257, group)


def _text(error: "Error | OSError") -> str:
    return error.text if isinstance(error, Error) else explain_oserror(error)


def _imagine_controllers(config: Config, facts: host.Facts, warnings: "list[str]") -> None:
    """Plan limits as if every controller were there, and tell which one isn't."""
    if config.linux.resources is None or not facts.cgroup_tree.mount:
        return
    try:
        writes(config.linux.resources, facts.controllers)
    except Error as error:
        writes(config.linux.resources, CONTROLLERS)
        warnings.append(REFUSED + error.text)
        facts.controllers = CONTROLLERS


def _module(config: Config, request: Request, facts: host.Facts, warnings: "list[str]") -> None:
    try:
        root = create.open_rootfs(root_path(config, request.bundle))
    except Error as error:
        warnings.append(REFUSED + error.text)
        return
    denied: "list[str]" = []
    view = View(root, create.will_mount(config, request))

    def open_program(path: str) -> int:
        try:
            return view.open(path)
        except PermissionError:
            denied.append(path)
            raise

    try:
        facts.module = detect(config, open_program)
    finally:
        os.close(root)
    if denied and facts.module is None:
        warnings.append(f"{denied[0]} in the rootfs is not readable for you: it is taken for a native program")


def _without_effect(config: Config) -> "list[str]":
    """Settings that are taken and do nothing on a cgroup v2 host."""
    resources = config.linux.resources
    return [f"{path}: ignored: {why}" for path, why in ignored(resources)] if resources is not None else []


def _sources(steps: "list[Step]") -> "list[str]":
    """Bind sources that are not there (or not for us to see)."""
    found = []
    for step in steps:
        if isinstance(step, BindMount) and not step.place and not os.access(step.source, os.F_OK):
            found.append(f"{step.because}.source {step.source}: not to be found from here; create would be refused")
    return found
