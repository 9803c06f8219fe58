"""`exec`: a new process in a running container, by the same identity, limits and confinement steps as its first one."""

from pyruntime.config.process import Capabilities, ExecCPUAffinity, Process
from pyruntime.config.ranges import numbers
from pyruntime.config.rules.process import LAST_CPU
from pyruntime.host.facts import Facts
from pyruntime.pack import bring
from pyruntime.plan import identity, seccomp, stdio
from pyruntime.plan.request import Request
from pyruntime.state.store import Container
from pyruntime.steps import join as steps
from pyruntime.steps import namespaces, program, rootfs
from pyruntime.steps.base import Step
from pyruntime.steps.exe import CheckExecutable
from pyruntime.steps.joining import Join
from pyruntime.steps.pidfile import WritePidFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.plan.wasm import Wasm

_CONTAINER = "the container's namespaces"
_UNSEEN = "rule: what a process of the container could trace has nothing of the host"
_NEEDED = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
    "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
)  # fmt: skip


def join(
    container: Container,
    process: Process,
    request: Request,
    facts: Facts,
    sub_cgroup: "str | None",
    apart: "list[str]",
) -> "list[Step]":
    """From a command to a process inside; `sub_cgroup` is what --cgroup says, None without it.

    `apart`: namespaces that config.json has no word of, and that are not the command's: those of who created it.
    """
    kinds = identity.entering([*container.own.get("namespaces", []), *apart], facts)
    user = "user" in kinds
    denied = bool(container.own.get("groupsDenied", user))
    profile = seccomp.Profile.from_json(container.own["seccomp"]) if "seccomp" in container.own else None
    unprivileged = identity.unprivileged(process, facts)
    filtered = seccomp.early(profile, unprivileged, facts, state_of(container))
    labels = identity.labels(process, facts, at_once=True)
    module = _module(container, process, facts)
    networked = module is not None and module.network is not None
    make_filter, load_filter = seccomp.of_guest(profile, container.own["annotations"], facts, networked)
    return [
        steps.OpenTarget(_CONTAINER, container, kinds),
        *_cgroup(container, sub_cgroup),
        *stdio.sockets(request),
        *seccomp.sockets(profile),
        *_initial_affinity(process),
        *stdio.make(request),
        *([] if process.terminal else stdio.guard(request, facts, user)),
        *(module.prepare() if module else []),
        *make_filter,
        CheckExecutable("rule: no container may change the Python that runs us"),
        *_procfs(process),
        *_enter(
            container,
            kinds,
            facts,
            process,
            request,
            sub_cgroup is not None,
            module.load() if module else [],
            _kept(process, facts, kinds, bool(filtered)),
        ),
        *_resctrl(container),
        *_keyring(container, user, process),
        _root(container, kinds),
        *stdio.pidfd(request, "setns"),
        *identity.settings(process, facts, "process", by_host=True),  # /proc is the container's by now
        *_personality(container),
        *_memory_policy(container),
        *stdio.attach(process, request, on_dev=False),
        *(module.check() if module else []),
        *identity.labels(process, facts, at_once=False),
        *identity.become(process, facts, "process", user, denied, filtered),
        *_found(process, facts),
        *seccomp.listened(profile, unprivileged, facts, state_of(container)),
        program.PassDescriptors(
            "rule: no descriptor of ours enters the container", request.extra_fds, ("proc",) if labels else ()
        ),
        *stdio.hold(process, request),
        *([WritePidFile("--pid-file", request.pid_file)] if request.pid_file else []),
        *seccomp.late(profile, unprivileged, facts),
        *labels,
        *load_filter,
        module.enter() if module else program.Execve("process.args", process.args),
        program.AwaitExec("rule: `exec` reports a program that can't be executed"),
    ]


def _module(container: Container, process: Process, facts: Facts) -> "Wasm | None":
    if facts.module is None:
        return None
    bring("wasm")
    from pyruntime.plan.wasm import Wasm  # while planning, and only for a module

    memory = container.own.get("resources", {}).get("memory", {}).get("limit")
    return Wasm(facts.module, process, container.own["annotations"], memory, facts.in_user_namespace, joins=True)


def _found(process: Process, facts: Facts) -> "list[Step]":
    if facts.module is not None:
        return []
    return [
        program.FindProgram("process.args[0]", process.args[0]),
        program.EncodeArguments("process.args", process.args),
    ]


def state_of(container: Container) -> "dict[str, object]":
    """The state of a running container, as who decides its system calls is told it."""
    return {
        "ociVersion": container.data["ociVersion"],
        "id": container.id,
        "status": "running",
        "pid": container.pid,
        "bundle": container.own["bundle"],
        "annotations": container.own["annotations"],
    }


def _enter(
    container: Container,
    kinds: "list[str]",
    facts: Facts,
    process: Process,
    request: Request,
    fixed: bool,
    first: "list[Step]",
    kept: "list[str] | None",
) -> "list[Step]":
    """A stage process enters the namespaces, and what it forks is the first that those in the pid namespace see of us:
    before, they would look through it at the mounts and the network of the host.
    """
    staged = "user" in kinds or "pid" in kinds
    in_cgroup = bool(container.cgroup)
    moved = in_cgroup and "systemd" in container.own and facts.rootless
    lenient = not moved and in_cgroup and not fixed and bool(container.own.get("rootless")) and not _limited(container)
    hide = facts.euid == 0
    joins: "list[Step]" = [Join(_CONTAINER, kind, f"of pid {container.pid}") for kind in kinds]
    found: "list[Step]" = [
        namespaces.Clone(
            _CONTAINER,
            [],
            in_cgroup,
            hide,
            stage=staged,
            lenient=lenient,
            moved=moved,
        ),
        *(_attached(container) if moved else []),
        *stdio.leave(request),
        *identity.early(process, facts, "process"),
        *identity.leave_groups(kinds, facts),
        *first,
        *joins,
    ]
    if staged:
        from pyruntime.steps.stages import AdoptInit, BecomeRoot, ForkInit

        found += [steps.LeaveHost(_UNSEEN, container, kept), ForkInit(_CONTAINER, []), AdoptInit(_CONTAINER)]
        if "user" in kinds:
            found.append(BecomeRoot("the container's user namespace"))
    affinity = process.execCPUAffinity
    found.append(namespaces.Isolate("rule: nothing of the caller clings to the process", affinity=affinity is None))
    if affinity is not None and affinity.final:
        from pyruntime.steps.scheduling import SetAffinity

        found.append(SetAffinity("process.execCPUAffinity.final", _cpus(affinity, "final"), by_host=False))
    return found


def _kept(process: Process, facts: Facts, kinds: "list[str]", filtered: bool) -> "list[str] | None":
    """The capabilities that steps behind the fork need, and those of the process: a tracer could use them all.

    None where that takes a user namespace of the container's, whose root has none over who comes from outside.
    """
    if facts.euid or "user" in kinds:
        return None
    realtime = process.ioPriority is not None and process.ioPriority.class_ == "IOPRIO_CLASS_RT"
    sets = process.capabilities or Capabilities()
    own = [*sets.bounding, *sets.effective, *sets.permitted, *sets.inheritable]
    needed = [*_NEEDED, *(["CAP_SYS_ADMIN"] if filtered or realtime else [])]
    needed += [] if "mount" in kinds else ["CAP_SYS_CHROOT"]
    return list(dict.fromkeys([*needed, *identity.known(own)]))


def _attached(container: Container) -> "list[Step]":
    from pyruntime.plan import scope

    return scope.attach(container)


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
    from pyruntime.steps.scheduling import SetAffinity

    return [SetAffinity("process.execCPUAffinity.initial", _cpus(affinity, "initial"), by_host=True)]


def _cpus(affinity: ExecCPUAffinity, name: str) -> "list[int]":
    return numbers(getattr(affinity, name), f"process.execCPUAffinity.{name}", "CPUs", LAST_CPU)


def _resctrl(container: Container) -> "list[Step]":
    if "resctrl" not in container.own:
        return []
    from pyruntime.plan import resctrl

    return resctrl.join(container)


def _personality(container: Container) -> "list[Step]":
    domain = container.own.get("personality")
    if not domain:
        return []
    from pyruntime.steps.scheduling import SetPersonality

    return [SetPersonality("linux.personality", domain)]


def _memory_policy(container: Container) -> "list[Step]":
    """The container's own: its memory would come from elsewhere than its first process's otherwise."""
    stored = container.own.get("memoryPolicy")
    if stored is None:
        return []
    from pyruntime.config.linux import MemoryPolicy
    from pyruntime.plan.mempolicy import policy

    return [policy(MemoryPolicy.read(stored, "linux.memoryPolicy"))]


def _cgroup(container: Container, sub_cgroup: "str | None") -> "list[Step]":
    if not container.cgroup:
        return []
    directory = container.cgroup + (sub_cgroup or "").rstrip("/")
    because = "the container's cgroup" if sub_cgroup is None else "--cgroup"
    return [steps.OpenCgroup(because, container, directory, fixed=sub_cgroup is not None)]


def _procfs(process: Process) -> "list[Step]":
    """Opened on the host: the container's /proc is whatever the container made of it."""
    if not (process.apparmorProfile or process.selinuxLabel):
        return []
    because = "process.apparmorProfile" if process.apparmorProfile else "process.selinuxLabel"
    return [rootfs.OpenProcfs(because, by_host=True)]


def _keyring(container: Container, user: bool, process: Process) -> "list[Step]":
    if not container.own.get("keyring"):
        return []
    label: "list[Step]" = []
    if process.selinuxLabel:
        from pyruntime.plan import lsm

        label = lsm.keyring(process, "process")
    return [*label, namespaces.JoinKeyring("the container's session keyring", f"_ses.{container.id}", user)]
