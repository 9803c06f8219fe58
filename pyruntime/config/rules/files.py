"""Rules for the root, mounts, device nodes, hooks and annotations."""

from pyruntime.config.checks import got, quoted
from pyruntime.config.hooks import KINDS
from pyruntime.config.linux import Device
from pyruntime.config.mounts import Mount
from pyruntime.config.rules.process import environment
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError

LARGEST_MAJOR, LARGEST_MINOR = 2**12 - 1, 2**20 - 1  # the kernel's dev_t, <linux/kdev_t.h>


def version(config: Config) -> None:
    """`ociVersion` is SemVer 2.0.0 and of major version 1."""
    core = config.ociVersion.partition("+")[0].partition("-")[0].split(".")
    if len(core) != 3 or not all(_is_number(part) for part in core) or core[0] != "1":
        raise ConfigError("ociVersion", f'expected 1.x, such as "1.3.0", got {quoted(config.ociVersion)}')


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")


def root(config: Config) -> None:
    """There is a root filesystem."""
    if config.root is None:
        raise ConfigError("root", "root must be specified")
    if not config.root.path:
        raise ConfigError("root.path", "expected a path, got an empty string")


def mounts(config: Config) -> None:
    """What can be told of mounts without looking at the host."""
    for index, mount in enumerate(config.mounts):
        where, bind = f"mounts[{index}]", "bind" in mount.options or "rbind" in mount.options
        if not any(part not in ("", ".") for part in mount.destination.split("/")):
            raise ConfigError(f"{where}.destination", "nothing can be mounted over the container's root")
        if bind and not mount.source:
            raise ConfigError(f"{where}.source", "a bind mount needs one: the path of what it shows")
        _id_maps(mount, where, bind or mount.type == "bind")
        if not bind and not mount.type and "remount" not in mount.options:
            raise ConfigError(f"{where}.type", 'missing, expected a filesystem such as "tmpfs", or "bind" in options')


def _id_maps(mount: Mount, where: str, bind: bool) -> None:
    """Ids are mapped where a filesystem is shown a second time, users and groups alike."""
    own = "uidMappings" if mount.uidMappings else "gidMappings" if mount.gidMappings else ""
    words = [number for number, word in enumerate(mount.options) if word.partition("=")[0] in ("idmap", "ridmap")]
    if (own or words) and not bind:
        path = f"{where}.{own}" if own else f"{where}.options[{words[0]}]"
        raise ConfigError(path, "only bind mounts can be id-mapped; remove it, or bind a mount of that filesystem")
    for have, other in (("uidMappings", "gidMappings"), ("gidMappings", "uidMappings")):
        if getattr(mount, have) and not getattr(mount, other):
            raise ConfigError(f"{where}.{other}", f"missing, and {have} is there: an id-mapped mount needs both")
    for number in words:
        if own and "=" in mount.options[number]:
            raise ConfigError(f"{where}.options[{number}]", f"maps ids, and so does {own}; keep one of them")


def devices(config: Config) -> None:
    """Device nodes have numbers that the kernel can hold; FIFOs have none."""
    for index, device in enumerate(config.linux.devices):
        if device.type != "p":
            _device_numbers(device, f"linux.devices[{index}]")


def _device_numbers(device: Device, where: str) -> None:
    for name, number, largest in (("major", device.major, LARGEST_MAJOR), ("minor", device.minor, LARGEST_MINOR)):
        if number is None or not 0 <= number <= largest:
            found = "nothing: the key is missing" if number is None else got(number)
            raise ConfigError(f"{where}.{name}", f"expected an integer from 0 to {largest}, got {found}")


def hooks(config: Config) -> None:
    """Hooks are found without a PATH, so their paths are absolute; their environment has the usual form."""
    for kind in KINDS:
        for index, hook in enumerate(getattr(config.hooks, kind)):
            where = f"hooks.{kind}[{index}]"
            if not hook.path.startswith("/"):
                raise ConfigError(f"{where}.path", f"expected an absolute path, got {quoted(hook.path)}")
            environment(hook.env, f"{where}.env")


def annotations(config: Config) -> None:
    """Keys are not empty."""
    if "" in config.annotations:
        raise ConfigError("annotations", "expected keys that are not empty, got an empty one")


RULES = (version, root, mounts, devices, hooks, annotations)
