"""How init comes to its namespaces: by one clone3, or through a stage process where one clone3 can't do it.

A stage process is needed when a user namespace is joined (init is to be born in it), when a new user
namespace meets joined ones (which belong to another user namespace and must be entered first), for time offsets
(which are written before the first process enters), and when a pid namespace is joined: whoever is in there sees init
from its first moment, and by /proc/PID/net and /proc/PID/mountinfo the namespaces that it has by then.
"""

from pyruntime.config.linux import TimeOffsets
from pyruntime.config.process import Process
from pyruntime.config.rules.sysctl import canonical, owner
from pyruntime.config.spec import Config
from pyruntime.host.facts import Facts
from pyruntime.pack import bring
from pyruntime.plan import identity, stdio
from pyruntime.plan.request import Request
from pyruntime.steps import namespaces as steps
from pyruntime.steps.base import Step
from pyruntime.steps.rootfs import OpenProcfs

_ORDER = ("user", "pid", "network", "ipc", "uts", "cgroup", "time", "mount")
_AT_CLONE = ("user", "pid")


def new_types(config: Config) -> "list[str]":
    """The types of namespaces to make, in the config's order."""
    return [entry.type for entry in config.linux.namespaces if not entry.path]


def _joined(config: Config) -> "list[tuple[str, str, str]]":
    """(type, path, config path) of the namespaces to join, the user namespace first and the mount namespace last."""
    found = [
        (entry.type, entry.path, f"linux.namespaces[{index}]")
        for index, entry in enumerate(config.linux.namespaces)
        if entry.path
    ]
    return sorted(found, key=lambda each: _ORDER.index(each[0]))


def _staged(config: Config) -> bool:
    new, joined = new_types(config), [kind for kind, _, _ in _joined(config)]
    return "user" in joined or "pid" in joined or ("user" in new and bool(joined)) or "time" in new


def look(config: Config) -> "list[Step]":
    """Open the namespaces to join."""
    joined = _joined(config)
    if not joined:
        return []
    bring("joining")
    from pyruntime.steps.joining import OpenNamespace

    return [OpenNamespace(why, kind, path, _sysctl_in(config, kind)) for kind, path, why in joined]


def _joins(config: Config) -> "dict[str, Step]":
    """The steps into the namespaces that `look` opens, by type."""
    joined = _joined(config)
    if not joined:
        return {}
    from pyruntime.steps.joining import Join

    return {kind: Join(why, kind, path) for kind, path, why in joined}


def enter(
    config: Config,
    request: Request,
    facts: Facts,
    cgroup: str,
    first: "list[Step] | tuple[()]" = (),
    placed: "list[Step] | tuple[()]" = (),
) -> "list[Step]":
    """From namespaces that are open to an init that is root in all of its own, whose first steps are `first`.

    `placed`: what puts it into its cgroup before that, where it is not born there.
    """
    found: "list[Step]" = []
    hide = facts.euid == 0  # an unprivileged command could not write the id maps of a process it may not trace
    staged = _staged(config)
    born = bool(cgroup) and not placed
    found += (_by_stage if staged else _directly)(config, request, facts, born, hide, [*first], [*placed])
    found += _id_maps(config, facts)
    if "user" in new_types(config):
        from pyruntime.steps.stages import BecomeRoot

        found.append(BecomeRoot("linux.namespaces"))
        found += _owned_by_root(config)
    found.append(steps.Isolate("rule: nothing of the caller clings to init", waits=request.barrier))
    found += _procfs(config)
    if request.keyring:
        found += _keyring_label(config)
        user = config.linux.namespace("user") is not None
        found.append(
            steps.JoinKeyring("rule: keys of the caller stay the caller's", f"_ses.{request.container_id}", user)
        )
    if "cgroup" in new_types(config):
        found.append(steps.Unshare(_because(config, "cgroup"), ["cgroup"]))
    if "network" in new_types(config):
        found.append(steps.LoopbackUp(_because(config, "network")))
    return found


def _procfs(config: Config) -> "list[Step]":
    """A procfs of our own, for those who write kernel files as init."""
    process = config.process or Process(cwd="/")
    wanted = {
        "linux.sysctl": bool(config.linux.sysctl),
        "process.oomScoreAdj": process.oomScoreAdj is not None and config.linux.namespace("user") is None,
        "process.apparmorProfile": bool(process.apparmorProfile),
        "process.selinuxLabel": bool(process.selinuxLabel),
    }
    return [OpenProcfs(next(path for path in wanted if wanted[path]))] if any(wanted.values()) else []


def _keyring_label(config: Config) -> "list[Step]":
    if config.process is None or not config.process.selinuxLabel:
        return []
    from pyruntime.plan import lsm  # few hosts have labels

    return lsm.keyring(config.process, "process")


def _sysctl_in(config: Config, kind: str) -> str:
    """The first of the config's sysctls that belongs to namespaces of this kind, "" for none."""
    return next((name for name in config.linux.sysctl if owner(canonical(name)) == kind), "")


def _owned_by_root(config: Config) -> "list[Step]":
    """Namespaces made once ids are mapped: what they hold, /dev/mqueue say, belongs to the container's root then."""
    kinds = [kind for kind in new_types(config) if kind not in (*_AT_CLONE, "cgroup", "time")]
    return [steps.Unshare("linux.namespaces", kinds)] if kinds and "user" in new_types(config) else []


def _cloned(config: Config) -> "list[str]":
    """The types that clone3 makes: all of them, or with a user namespace only that and the pid namespace."""
    new = [kind for kind in new_types(config) if kind not in ("cgroup", "time")]
    return [kind for kind in new if kind in _AT_CLONE] if "user" in new else new


def _because(config: Config, kind: str) -> str:
    return f"linux.namespaces[{[entry.type for entry in config.linux.namespaces].index(kind)}]"


def _directly(
    config: Config,
    request: Request,
    facts: Facts,
    in_cgroup: bool,
    hide: bool,
    first: "list[Step]",
    placed: "list[Step]",
) -> "list[Step]":
    new = _cloned(config)
    found: "list[Step]" = [steps.Clone("linux.namespaces", new, in_cgroup, hide)]
    found += [*placed, *stdio.leave(request), *_oom_score(config, facts), *first, *_joins(config).values()]
    return found


def _by_stage(
    config: Config,
    request: Request,
    facts: Facts,
    in_cgroup: bool,
    hide: bool,
    first: "list[Step]",
    placed: "list[Step]",
) -> "list[Step]":
    from pyruntime.steps import stages

    found: "list[Step]" = [
        steps.Clone("linux.namespaces", [], in_cgroup, hide, stage=True),
        *placed,
        *stdio.leave(request),
        *_oom_score(config, facts),
        *first,
    ]
    joined = _joins(config)
    found += identity.leave_groups([*joined], facts)
    found += [joined[kind] for kind in identity.entering([*joined], facts)]
    if "time" in new_types(config):
        found.append(steps.Unshare(_because(config, "time"), ["time"]))
        offsets = _offsets(config.linux.timeOffsets)
        if offsets:
            found.append(stages.SetTimeOffsets("linux.timeOffsets", offsets))
    if "user" in joined:  # what the new namespaces hold, /dev/mqueue say, belongs to who makes them
        found.append(stages.BecomeRoot(_because(config, "user")))
    found.append(stages.ForkInit("linux.namespaces", _cloned(config)))
    found.append(stages.AdoptInit("linux.namespaces"))
    return found


def _oom_score(config: Config, facts: Facts) -> "list[Step]":
    return identity.early(config.process, facts, "process") if config.process is not None else []


def _offsets(offsets: "TimeOffsets | None") -> "list[tuple[str, int, int]]":
    if offsets is None:
        return []
    pairs = (("monotonic", offsets.monotonic), ("boottime", offsets.boottime))
    return [(clock, offset.secs, offset.nanosecs) for clock, offset in pairs if offset is not None]


def _id_maps(config: Config, facts: Facts) -> "list[Step]":
    """The maps of a new user namespace. Raises ConfigError for ids that the container can't have."""
    new = "user" in new_types(config)
    if not new and not facts.in_user_namespace:
        return []
    from pyruntime.plan import idmaps  # a user namespace is there

    found = idmaps.write(config, facts) if new else []
    idmaps.check(config, facts)
    return found


def names(config: Config) -> "list[Step]":
    """Host and domain name."""
    found: "list[Step]" = []
    if config.hostname:
        found.append(steps.SetHostname("hostname", config.hostname))
    if config.domainname:
        found.append(steps.SetDomainname("domainname", config.domainname))
    return found
