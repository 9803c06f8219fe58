"""`exec`: a new process in a running container, by the same identity, limits and confinement steps as its first one."""

from pyruntime.config.process import Process
from pyruntime.errors import ConfigError
from pyruntime.host.facts import Facts
from pyruntime.plan import identity, stdio
from pyruntime.plan.request import Request
from pyruntime.state.store import Container
from pyruntime.steps import join as steps
from pyruntime.steps import limits, namespaces, program, record, rootfs
from pyruntime.steps.base import Step

_ORDER = ("user", "pid", "network", "ipc", "uts", "cgroup", "time", "mount")
_CONTAINER = "the container's namespaces"


def join(
    container: Container, process: Process, request: Request, facts: Facts, sub_cgroup: "str | None"
) -> "list[Step]":
    """From a command to a process inside; `sub_cgroup` is what --cgroup says, None without it."""
    kinds = sorted(container.own.get("namespaces", []), key=_ORDER.index)
    user = "user" in kinds
    denied = bool(container.own.get("groupsDenied", user))
    return [
        steps.OpenTarget(_CONTAINER, container, kinds),
        *_cgroup(container, sub_cgroup),
        *stdio.sockets(request),
        *_initial_affinity(process),
        *stdio.make(request),
        *_enter(container, kinds, facts, process, request, sub_cgroup is not None),
        *_keyring(container, user),
        _root(container, kinds),
        *stdio.pidfd(request, "setns"),
        *identity.settings(process, facts, "process", user, by_host=True),  # /proc is the container's by now
        *stdio.attach(process, request, on_dev=False),
        *identity.become(process, facts, "process", make_cwd=False, user_namespace=user, groups_denied=denied),
        program.FindProgram("process.args[0]", process.args[0]),
        program.PassDescriptors("rule: no descriptor of ours enters the container", request.extra_fds),
        *stdio.hold(process, request),
        *([record.WritePidFile("--pid-file", request.pid_file)] if request.pid_file else []),
        program.Execve("process.args", process.args),
        program.AwaitExec("rule: `exec` reports a program that can't be executed"),
    ]


def _enter(
    container: Container, kinds: "list[str]", facts: Facts, process: Process, request: Request, fixed: bool
) -> "list[Step]":
    """One fork where we may enter the pid namespace first; a stage process where a user namespace has to be first."""
    staged = "user" in kinds or ("pid" in kinds and facts.in_user_namespace)
    in_cgroup = bool(container.cgroup)
    lenient = in_cgroup and not fixed and bool(container.own.get("rootless")) and not _limited(container)
    hide = facts.euid == 0
    joins: "list[Step]" = [
        namespaces.Join(_CONTAINER, kind, f"of pid {container.pid}") for kind in kinds if staged or kind != "pid"
    ]
    found: "list[Step]" = [
        namespaces.Clone(
            _CONTAINER, [], in_cgroup, hide, join_pid="pid" in kinds and not staged, stage=staged, lenient=lenient
        ),
        *stdio.leave(request),
        *identity.early(process, facts, "process"),
        *joins,
    ]
    if staged:
        found += [
            namespaces.ForkInit(_CONTAINER, []),
            namespaces.AdoptInit(_CONTAINER),
        ]
    if "user" in kinds:
        found.append(namespaces.BecomeRoot("the container's user namespace"))
    affinity = process.execCPUAffinity
    found.append(namespaces.Isolate("rule: nothing of the caller clings to the process", affinity=affinity is None))
    if affinity is not None and affinity.final:
        found.append(limits.SetAffinity("process.execCPUAffinity.final", cpu_list(affinity.final), by_host=False))
    return found


def _limited(container: Container) -> bool:
    """Whether the container was given limits, which a process outside of its cgroup would escape."""
    resources = container.own.get("resources")
    return isinstance(resources, dict) and any(value for name, value in resources.items() if name != "devices")


def _root(container: Container, kinds: "list[str]") -> Step:
    """The root of a mount namespace is entered with it; a container without one has only its init's, by chroot."""
    if "mount" in kinds:
        return rootfs.OpenRoot("rule: look-ups start at the container's root", "/")
    return rootfs.ChangeRoot("the container's root", str(container.data["config"].get("rootfs", "")), "chroot")


def _initial_affinity(process: Process) -> "list[Step]":
    affinity = process.execCPUAffinity
    if affinity is None or not affinity.initial:
        return []
    return [limits.SetAffinity("process.execCPUAffinity.initial", cpu_list(affinity.initial), by_host=True)]


def cpu_list(text: str) -> "list[int]":
    """The CPUs of a list such as "0-3,7". Raises ConfigError."""
    found: "list[int]" = []
    try:
        for part in text.replace(" ", "").split(","):
            first, _, last = part.partition("-")
            found.extend(range(int(first), int(last or first) + 1))
    except ValueError:
        raise ConfigError("process.execCPUAffinity", f'expected a list of CPUs such as "0-3,7", got "{text}"') from None
    return found


def _cgroup(container: Container, sub_cgroup: "str | None") -> "list[Step]":
    if not container.cgroup:
        return []
    directory = container.cgroup + (sub_cgroup or "").rstrip("/")
    because = "the container's cgroup" if sub_cgroup is None else "--cgroup"
    return [steps.OpenCgroup(because, container, directory, fixed=sub_cgroup is not None)]


def _keyring(container: Container, user: bool) -> "list[Step]":
    if not container.own.get("keyring"):
        return []
    return [namespaces.JoinKeyring("the container's session keyring", f"_ses.{container.id}", user)]
