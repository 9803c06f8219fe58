"""The table of what is looked at, for whom."""

from collections.abc import Callable, Iterator
from functools import partial

from pyruntime.look.doctor import callers, cgroups, install, kernel, security, surroundings, systemd, users, wasm
from pyruntime.look.doctor.verdict import FAIL, UNKNOWN, Verdict

Check = Callable[[], Iterator[Verdict]]

_ALWAYS: "tuple[Check, ...]" = (
    install.interpreter, install.packs, kernel.calls, kernel.namespaces, surroundings.root, surroundings.wsl,
    surroundings.nesting, cgroups.mode, cgroups.controllers, security.seccomp,
)  # fmt: skip
_DAEMONS: "tuple[Check, ...]" = (install.launcher, security.modules)
PURPOSES: "dict[str, tuple[Check, ...]]" = {
    "": (kernel.user_namespaces, security.modules, systemd.presence, wasm.optional),
    "docker": (*_DAEMONS, callers.docker),
    "containerd": (*_DAEMONS, callers.containerd),
    "podman": (security.modules, callers.podman),
    "crio": (*_DAEMONS, callers.crio),
    "k8s": (*_DAEMONS, callers.kubernetes),
    "rootless": (
        kernel.user_namespaces, surroundings.masked_proc, users.helpers, users.ordinary, users.ranges, users.directory,
        users.lingering, systemd.presence, cgroups.delegated,
    ),
    "wasm": (wasm.found,),
}  # fmt: skip


def examine(purpose: str, bundle: "str | None") -> "list[Verdict]":
    """All verdicts for a purpose, "" for none in particular; with a bundle's folder, also about where it lies."""
    checks: "list[Check]" = [*_ALWAYS, *PURPOSES[purpose]]
    if bundle:
        checks.append(partial(surroundings.bundles, bundle))
    return [verdict for check in checks for verdict in check()]


def status(verdicts: "list[Verdict]") -> int:
    """The exit status: 0 when every need is met, 1 when one is not, 2 when one could not be looked at."""
    levels = {verdict.level for verdict in verdicts}
    return 1 if FAIL in levels else 2 if UNKNOWN in levels else 0
