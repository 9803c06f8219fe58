"""The table of contents: a container's life as a list of steps."""

from pyruntime.cgroup.tree import container_path
from pyruntime.config.process import Process
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError
from pyruntime.host.facts import Facts
from pyruntime.pack import bring
from pyruntime.plan import devices, hooks, identity, limits, namespaces, rootfs, seccomp, stdio
from pyruntime.plan.request import Request
from pyruntime.plan.seccomp import Profile
from pyruntime.steps import program, record
from pyruntime.steps.base import Step
from pyruntime.steps.exe import CheckExecutable
from pyruntime.steps.pidfile import WritePidFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.plan.wasm import Wasm

_EXECUTABLE = "rule: no container may change the Python that runs us"
_DESCRIPTORS = "rule: no descriptor of ours enters the container"


def cgroup_path(config: Config, request: Request, facts: Facts) -> str:
    """The container's cgroup below the tree's mount; "" where it is to have none of its own.

    Raises ConfigError where there is no tree, and limits are asked for.
    """
    if not request.cgroups:
        return ""
    if not facts.cgroup_tree.mount:
        limits.refuse(config, "there is no cgroup v2 tree here to hold it; mount one, or remove the limit")
        return ""
    if request.systemd:
        from pyruntime.plan import scope

        return scope.path(config, request, facts)
    return container_path(config.linux.cgroupsPath, request.container_id, facts.own_cgroup)


def create(config: Config, request: Request, facts: Facts, profile: "Profile | None" = None) -> "list[Step]":
    """From nothing to a process that waits for `start`, or that runs (`request.barrier` false)."""
    cgroup = cgroup_path(config, request, facts)
    proxy: "list[Step]" = []
    if request.notify_socket:
        from pyruntime.plan import notify  # few callers are service managers

        config, proxy = notify.proxied(config, request), notify.make(request)
    process = config.process
    if process is None:
        raise ConfigError("process", "process property must not be empty")
    module = _module(config, process, request, facts)
    networked = module is not None and module.network is not None
    guest_filter = seccomp.of_guest(profile, config.annotations, facts, networked)
    return [
        record.Reserve("the id", request.root, request.container_id, intent(config, request, facts, cgroup, profile)),
        *proxy,
        *([] if request.systemd else limits.make(config, facts, cgroup)),
        *_resctrl(config, request, facts, made=False),
        *stdio.sockets(request),
        *seccomp.sockets(profile),
        *_barrier(request),
        *stdio.make(request),
        *(module.prepare() if module else []),
        *guest_filter[0],
        *namespaces.look(config),
        *rootfs.prepare(config, request, facts),
        CheckExecutable(_EXECUTABLE),
        *namespaces.enter(
            config, request, facts, cgroup, module.load() if module else [], _placed(config, request, facts, cgroup)
        ),
        *_resctrl(config, request, facts, made=True),
        *_net_devices(config),
        *rootfs.find(config, request, facts),
        *rootfs.tree(config, request, facts, cgroup),
        *devices.nodes(config, facts, request.bundle),
        *limits.apply(config, facts, cgroup, request.systemd),
        *stdio.pidfd(request, "standard"),
        *hooks.runtime(config, request),
        *hooks.container(config, request, rootfs.root_path(config, request.bundle)),
        *rootfs.masks(config),
        *_process_settings(config, process, facts),
        *rootfs.change(config, request),
        *stdio.attach(process, request, on_dev=True),
        *namespaces.names(config),
        *_sysctls(config),
        *identity.working_directory(process),
        *rootfs.seal(config, request),
        *(module.check() if module else []),
        *identity.labels(process, facts, at_once=False),
        *_become(config, process, request, facts, profile),
        *_finish(config, process, request, facts, profile, [*guest_filter[1], module.enter()] if module else []),
    ]


def intent(
    config: Config, request: Request, facts: Facts, cgroup: str, profile: "Profile | None"
) -> "dict[str, object]":
    """What is written down before anything is made: enough to find and undo all of it."""
    root = rootfs.root_path(config, request.bundle)
    directory = facts.cgroup_tree.directory(cgroup) if cgroup else ""
    own: "dict[str, object]" = {
        "bundle": request.bundle,
        "annotations": config.annotations,
        "cgroupManager": "cgroupfs" if cgroup else "disabled",
        "cgroupMount": facts.cgroup_tree.mount,
        "keyring": request.keyring,
        "privatePid": config.linux.namespace("pid") is not None,
        "rootless": facts.rootless,
        "groupsDenied": _groups_denied(config, facts),
        "userNamespace": config.linux.namespace("user") is not None,
        "namespaces": [entry.type for entry in config.linux.namespaces],
        "wasm": facts.module is not None,
    }
    for name in ("poststart", "poststop"):
        found = getattr(config.hooks, name)
        if found:
            own[name] = [hook.to_json() for hook in found]
    if config.process is not None:
        own["process"] = config.process.to_json()
    if profile is not None:
        own["seccomp"] = profile.to_json()
    if config.linux.memoryPolicy is not None:
        own["memoryPolicy"] = config.linux.memoryPolicy.to_json()
    if cgroup and request.systemd:
        from pyruntime.plan import scope

        own.update(cgroupManager="systemd", systemd=scope.noted(config, request, facts))
    if config.linux.personality is not None:
        own["personality"] = config.linux.personality.domain
    if config.linux.resources is not None:
        own["resources"] = config.linux.resources.to_json()
    return {
        "ociVersion": config.ociVersion,
        "id": request.container_id,
        "init_process_pid": 0,
        "init_process_start": 0,
        "created": "",
        "rootless": facts.rootless,
        "cgroup_paths": {"": directory} if directory else {},
        "namespace_paths": {},
        "config": {"rootfs": root, "mounts": [mount.to_json() for mount in config.mounts]},
        "pyruntime": own,
    }


def _placed(config: Config, request: Request, facts: Facts, cgroup: str) -> "list[Step]":
    """A cgroup that is made around a process that is there: by systemd, while init waits and has done nothing yet."""
    return limits.around(config, request, facts) if cgroup and request.systemd else []


def _resctrl(config: Config, request: Request, facts: Facts, made: bool) -> "list[Step]":
    wanted = config.linux.intelRdt
    if wanted is None:
        return []
    from pyruntime.plan import resctrl  # few machines have it

    return (resctrl.enter if made else resctrl.make)(wanted, facts.resctrl, request.container_id)


def _net_devices(config: Config) -> "list[Step]":
    if not config.linux.netDevices:
        return []
    from pyruntime.plan import netdevices  # few configurations move any

    return netdevices.move(config.linux.netDevices)


def _barrier(request: Request) -> "list[Step]":
    if not request.barrier:
        return []
    return [record.MakeBarrier("rule: `start` releases the program")]


def _module(config: Config, process: Process, request: Request, facts: Facts) -> "Wasm | None":
    if facts.module is None:
        return None
    bring("wasm")
    from pyruntime.plan.wasm import Wasm  # while planning, and only for a module

    resources = config.linux.resources
    memory = resources.memory.limit if resources is not None and resources.memory is not None else None
    return Wasm(facts.module, process, config.annotations, memory, facts.in_user_namespace, request.listen_fds)


def _process_settings(config: Config, process: Process, facts: Facts) -> "list[Step]":
    user = config.linux.namespace("user") is not None
    found = identity.settings(process, facts, "process", by_host=user)
    if config.linux.personality is not None:
        from pyruntime.steps.scheduling import SetPersonality

        found.append(SetPersonality("linux.personality", config.linux.personality.domain))
    if config.linux.memoryPolicy is not None:
        from pyruntime.plan import mempolicy  # few configurations have one

        found.append(mempolicy.policy(config.linux.memoryPolicy))
    return found


def _sysctls(config: Config) -> "list[Step]":
    if not config.linux.sysctl:
        return []
    bring("sysctl")
    from pyruntime.steps.sysctl import SetSysctls

    return [SetSysctls("linux.sysctl", config.linux.sysctl)]


def _become(
    config: Config, process: Process, request: Request, facts: Facts, profile: "Profile | None"
) -> "list[Step]":
    if request.listen_fds:
        process = process.replace(env=[*process.env, f"LISTEN_FDS={request.listen_fds}", "LISTEN_PID=1"])
    user = config.linux.namespace("user") is not None
    denied = _groups_denied(config, facts)
    told = hooks.state(config, request, "creating")
    filtered = seccomp.early(profile, identity.unprivileged(process, facts), facts, told)
    return identity.become(process, facts, "process", user, denied, filtered)


def _groups_denied(config: Config, facts: Facts) -> bool:
    """Whether setgroups may be forbidden, which only a user namespace does."""
    user = config.linux.namespace("user")
    if user is None and not facts.in_user_namespace:
        return False
    from pyruntime.plan.idmaps import setgroups_denied

    return setgroups_denied(config, facts)


def _finish(
    config: Config,
    process: Process,
    request: Request,
    facts: Facts,
    profile: "Profile | None",
    entered: "list[Step]",
) -> "list[Step]":
    """`entered`: the steps of a module in the place of execve."""
    kinds = [entry.type for entry in config.linux.namespaces]
    found: "list[Step]" = []
    if not entered:
        found.append(program.FindProgram("process.args[0]", process.args[0]))
        found.append(program.EncodeArguments("process.args", process.args))
    unprivileged = identity.unprivileged(process, facts)
    labels = identity.labels(process, facts, at_once=True)
    found += seccomp.listened(profile, unprivileged, facts, hooks.state(config, request, "creating"))
    found.append(program.PassDescriptors(_DESCRIPTORS, request.extra_fds, ("proc",) if labels else ()))
    stage = "created" if request.barrier else "running"
    found.append(record.Save("the id", stage, kinds))
    if request.pid_file:
        found.append(WritePidFile("--pid-file", request.pid_file))
    if request.barrier:
        found.append(program.WaitForStart("rule: `start` releases the program"))
    found += seccomp.late(profile, unprivileged, facts)
    found += hooks.start(config, request)
    found += [*labels, *(entered or [program.Execve("process.args", process.args)])]
    if not request.barrier:
        found.append(program.AwaitExec("rule: `run` reports a program that can't be executed"))
        found += hooks.poststart(config, request)
    return found
