"""Who the process is and what it may do; the same fragments serve `create` and `exec`."""

from pyruntime.config.process import Capabilities, Process
from pyruntime.host.facts import Facts
from pyruntime.kernel.caps import NUMBERS
from pyruntime.pathtext import clean
from pyruntime.steps import identity as steps
from pyruntime.steps import limits
from pyruntime.steps.base import Step
from pyruntime.steps.stdio import OwnStdio


def settings(process: Process, facts: Facts, path: str, by_host: bool) -> "list[Step]":
    """Scheduling, limits and the like, while init still has every right; `by_host` the one that is a file in /proc."""
    found: "list[Step]" = []
    if process.oomScoreAdj is not None and not facts.euid:
        found.append(limits.SetOomScore(f"{path}.oomScoreAdj", process.oomScoreAdj, facts.rootless, by_host=by_host))
    if process.scheduler is None and process.ioPriority is None:
        return found
    from pyruntime.steps import scheduling

    if process.scheduler is not None:
        found.append(scheduling.SetScheduler(f"{path}.scheduler", process.scheduler))
    if process.ioPriority is not None:
        found.append(scheduling.SetIoPriority(f"{path}.ioPriority", process.ioPriority))
    return found


def labels(process: Process, facts: Facts, at_once: bool) -> "list[Step]":
    """AppArmor's profile and SELinux's label. A module is entered without execve, so there it has to be at once, and
    last: what they forbid, they forbid from then on.
    """
    if at_once != (facts.module is not None) or not (process.apparmorProfile or process.selinuxLabel):
        return []
    from pyruntime.plan import lsm  # few configurations have either

    return lsm.labels(process, "process", facts.apparmor or process.apparmorProfile != "unconfined", at_once)


def early(process: Process, facts: Facts, path: str) -> "list[Step]":
    """What an unprivileged command's child can set only while its files in /proc are still its user's."""
    if process.oomScoreAdj is None or not facts.euid:
        return []
    return [limits.SetOomScore(f"{path}.oomScoreAdj", process.oomScoreAdj, True, by_host=False, early=True)]


def leave_groups(joined: "list[str]", facts: Facts) -> "list[Step]":
    """Ahead of a user namespace of another's making. An unprivileged command's groups are its user's, and stay."""
    if "user" not in joined or facts.euid:
        return []
    return [steps.LeaveGroups("rule: groups of the caller stay outside", facts.in_user_namespace)]


def entering(kinds: "list[str]", facts: Facts) -> "list[str]":
    """Namespaces to join, in the order of setns(2).

    An ordinary user has rights over the others only once in the user namespace. Root has them before, and has lost
    them after over what is not that user namespace's own: a time namespace made ahead of it, a network of the host's.
    The mount namespace is the last, as no file of ours is found from there on.
    """
    order = ("pid", "network", "ipc", "uts", "cgroup", "time", "user", "mount")
    return sorted(kinds, key=lambda kind: (bool(facts.euid) and kind != "user", order.index(kind)))


def working_directory(process: Process) -> "list[Step]":
    """What makes sure of it before the root is read-only."""
    return [steps.MakeCwd("process.cwd", process.cwd)] if clean(process.cwd) != "/" else []


def become(
    process: Process,
    facts: Facts,
    path: str,
    user_namespace: bool,
    groups_denied: bool,
    filtered: "list[Step]",
) -> "list[Step]":
    """From root to the process's user: the order is the rule, each step needs rights that the next takes away.

    `groups_denied`: the user namespace may be one that forbids setgroups. `filtered`: the steps of a system call filter
    that only who has CAP_SYS_ADMIN may load.
    """
    user = process.user
    umask = 0o022 if user.umask is None else user.umask
    found: "list[Step]" = []
    if not process.terminal:
        found.append(OwnStdio(f"{path}.user", user.uid))
    home = "/" if facts.module is None else ""  # shells want one; a guest gets what it was given and nothing made up
    found += [
        steps.BuildEnvironment(f"{path}.env", process.env, user.uid, home),
        steps.EnterCwd(f"{path}.cwd", process.cwd),
        limits.SetUmask(f"{path}.user.umask", umask),
    ]
    if process.rlimits:  # as late as they can be raised: a small RLIMIT_NOFILE or RLIMIT_AS would stop our own steps
        found.append(limits.SetRlimits(f"{path}.rlimits", process.rlimits, by_host=user_namespace))
    if unprivileged(process, facts):
        because = f"{path}.noNewPrivileges" if process.noNewPrivileges else "rule: a Wasm module gains no rights"
        found.append(steps.SetNoNewPrivs(because))
    sets = process.capabilities or Capabilities()  # absent means none, as nothing was granted
    found.append(steps.DropBounding(f"{path}.capabilities.bounding", known(sets.bounding)))
    found.append(steps.SetUser(f"{path}.user", user.uid, user.gid, user.additionalGids, groups_denied))
    found += filtered
    found.append(
        steps.SetCapabilities(
            f"{path}.capabilities",
            known(sets.effective),
            known(sets.permitted),
            known(sets.inheritable),
            raisable(sets),
        )
    )
    found.append(steps.EnterCwd(f"{path}.cwd", process.cwd, late=True))
    return found


def unprivileged(process: Process, facts: Facts) -> bool:
    """Whether no execve may raise rights: as it was asked for, and always for a module, which executes nothing."""
    return bool(process.noNewPrivileges) or facts.module is not None


def known(names: "list[str]") -> "list[str]":
    """The names that this kernel interface has; the others are told as a warning by `unknown`."""
    return [name for name in names if name in NUMBERS]


def raisable(sets: Capabilities) -> "list[str]":
    """The ambient capabilities the kernel lets one raise: those that are permitted and inheritable too."""
    return [name for name in known(sets.ambient) if name in sets.permitted and name in sets.inheritable]


def warnings(process: Process) -> "list[str]":
    """What is left out of the capabilities, though asked for: the spec wants a warning for it and no error."""
    sets = process.capabilities
    if sets is None:
        return []
    every = (*sets.bounding, *sets.effective, *sets.permitted, *sets.inheritable, *sets.ambient)
    unknown = sorted({name for name in every if name not in NUMBERS})
    found = [f"ignoring unknown or unavailable capabilities: {' '.join(unknown)}"] if unknown else []
    for name in known(sets.ambient):
        if name not in raisable(sets):
            found.append(f"can't raise ambient capability {name}: it is not both permitted and inheritable")
    return found
