"""/dev: the default nodes and links of config-linux.md ("Default Devices"), the config's own, the console."""

from pyruntime.config.spec import Config
from pyruntime.host.facts import Facts
from pyruntime.pathtext import clean
from pyruntime.plan import mountoptions
from pyruntime.plan.rootfs import destination
from pyruntime.steps import devices as steps
from pyruntime.steps.base import Step

_DEFAULTS = (
    ("/dev/null", 1, 3), ("/dev/zero", 1, 5), ("/dev/full", 1, 7), ("/dev/random", 1, 8), ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
)  # fmt: skip
_LINKS = (
    ("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
)  # fmt: skip
_RULE = "rule: default devices of the spec"


def nodes(config: Config, facts: Facts, bundle: str) -> "list[Step]":
    """The device nodes and links, unless the config brings a /dev of its own as a bind mount."""
    if config.linux.namespace("mount") is None or _own_dev(config, bundle):
        return []
    bind = facts.in_user_namespace or config.linux.namespace("user") is not None
    taken = {clean(device.path) for device in config.linux.devices}
    found: "list[Step]" = []
    defaults = [steps.Node(path, "c", major, minor) for path, major, minor in _DEFAULTS if path not in taken]
    if defaults:
        found.append(steps.MakeDevices(_RULE, defaults, bind))
    for index, device in enumerate(config.linux.devices):
        mode = 0o666 if device.fileMode is None else device.fileMode & 0o7777
        node = steps.Node(
            clean(device.path),
            device.type,
            device.major or 0,
            device.minor or 0,
            mode,
            device.uid or 0,
            device.gid or 0,
        )
        found.append(steps.MakeDevices(f"linux.devices[{index}]", [node], bind))
    links = [*_LINKS, ("/dev/ptmx", "pts/ptmx")]
    if facts.has_kcore:
        links.append(("/dev/core", "/proc/kcore"))
    found.append(steps.LinkDevices(_RULE, links))
    return found


def _own_dev(config: Config, bundle: str) -> bool:
    for index, mount in enumerate(config.mounts):
        options = mountoptions.parse(mount.options, f"mounts[{index}].options", mount.type)
        if destination(config, bundle, mount) == "/dev" and (options.bind or mount.type == "bind"):
            return True
    return False
