"""`features`: what is implemented, for engines that decide by it (features.md and features-linux.md of the spec)."""

from pyruntime.cli.context import Context, write_out
from pyruntime.config.hooks import KINDS
from pyruntime.config.linux import MEMORY_FLAGS, MEMORY_MODES, NAMESPACES
from pyruntime.config.seccomp import ACTIONS, FLAGS, OPERATORS
from pyruntime.engine import engines
from pyruntime.engine.annotations import PREFIX
from pyruntime.engine.select import VARIANT
from pyruntime.kernel.caps import NAMES
from pyruntime.plan import mountoptions
from pyruntime.report.jsonout import dumps
from pyruntime.seccomp.architectures import ARCHITECTURES
from pyruntime.version import SPEC, VERSION, commit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

_OLDEST = "1.0.0"


def run(context: Context) -> int:
    """features. The same on every host, but for the Wasm engines, which may be installed or not."""
    write_out(dumps(document(), indent=4) + "\n")
    return 0


def document() -> "Json":
    """The features structure."""
    return {
        "ociVersionMin": _OLDEST,
        "ociVersionMax": SPEC,
        "hooks": list(KINDS),
        "mountOptions": mountoptions.names(),
        "linux": _linux(),
        "annotations": _annotations(),
        "potentiallyUnsafeConfigAnnotations": ["run.oci.", "org.systemd.property.", VARIANT, PREFIX],
    }


def _linux() -> "Json":
    on = {"enabled": True}  # what is built in, whatever this host has
    return {
        "namespaces": sorted(NAMESPACES),
        "capabilities": list(NAMES),
        "cgroup": {"v1": False, "v2": True, "systemd": True, "systemdUser": True, "rdma": True},
        "seccomp": _seccomp(),
        "apparmor": on,
        "selinux": on,
        "intelRdt": {**on, "schemata": True, "monitoring": True},
        "memoryPolicy": {"modes": list(MEMORY_MODES), "flags": list(MEMORY_FLAGS)},
        "mountExtensions": {"idmap": on},
        "netDevices": on,
    }


def _seccomp() -> "Json":
    flags = [f"SECCOMP_FILTER_FLAG_{name}" for name in FLAGS]
    return {
        "enabled": True,
        "actions": [f"SCMP_ACT_{name}" for name in ACTIONS],
        "operators": [f"SCMP_CMP_{name}" for name in OPERATORS],
        "archs": [f"SCMP_ARCH_{name}" for name in ARCHITECTURES],
        "knownFlags": flags,
        "supportedFlags": flags,
    }


def _annotations() -> "dict[str, str]":
    """Ours, and the two of other runtimes that callers look for."""
    answers = engines.survey()
    found = {"pyruntime.version": VERSION, "pyruntime.commit": commit()}
    for answer in answers:
        found.update(_engine(answer))
    if any(answer.abilities for answer in answers):
        found["run.oci.crun.wasm"] = "true"
    found["org.opencontainers.runc.checkpoint.enabled"] = "false"
    return found


def _engine(answer: engines.Answer) -> "dict[str, str]":
    """One engine: its version and what it can do, or why it is absent."""
    name, facts = f"pyruntime.wasm.{answer.name}", answer.to_json()
    if answer.abilities is None:
        return {f"{name}.absent": answer.reason}
    lists = {key: value for key, value in facts.items() if isinstance(value, list)}
    return {name: answer.version, **{f"{name}.{key}": ",".join(value) for key, value in lists.items()}}
