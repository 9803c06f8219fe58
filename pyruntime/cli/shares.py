"""`update --l3-cache-schema` and `--mem-bw-schema`: other shares for a container's resctrl group.

Loaded only when one of the flags is given: few machines have resctrl.
"""

from pyruntime.config.linux import IntelRdt
from pyruntime.errors import ConfigError, Error, Unsupported, reason
from pyruntime.kernel import resctrl
from pyruntime.kernel.procfs import read
from pyruntime.state.store import Container

FIELDS = {"l3-cache-schema": "l3CacheSchema", "mem-bw-schema": "memBwSchema"}
_FEATURES = {"l3-cache-schema": "Intel RDT/CAT: l3 cache", "mem-bw-schema": "Intel RDT/MBA: memory bandwidth"}


def lines(asked: "dict[str, str]") -> "list[str]":
    """The lines for the file `schemata`, from flags and their values. Raises ConfigError that names the flag."""
    for flag, line in asked.items():
        try:
            wanted = IntelRdt.read({FIELDS[flag]: line}, "")
        except ConfigError as error:
            raise ConfigError(f"--{flag}", error.text.removeprefix(f"{FIELDS[flag]}: ")) from None
        if not line.strip() or "\n" in wanted.l3CacheSchema:
            raise ConfigError(f"--{flag}", f"expected one line such as L3:0=ff or MB:0=50, got {line!r}")
    return list(asked.values())


def demand(asked: "dict[str, str]") -> None:
    """Raise Unsupported where there is no resctrl."""
    if not resctrl.find_root():
        flag = next(iter(asked))
        raise Unsupported(f"--{flag}", f"{_FEATURES[flag]} schema is not enabled: no resctrl filesystem is mounted")


def own_group(container: Container) -> "tuple[str, str]":
    """(resctrl's root, the container's group). Raises Error for a group that is not the container's alone."""
    own = container.own.get("resctrl")
    if not own:
        raise Error(f"{container.id} has no resctrl group: it was created without linux.intelRdt; create it anew")
    group = str(container.data["intel_rdt_path"])
    if group not in own.get("remove", []):
        raise Error(f"the resctrl group {group} was not made for {container.id} alone; write to {group}/schemata")
    return str(own["root"]), group


def change(container: Container, wanted: "list[str]") -> "list[str]":
    """Give the group these shares, all of them or none; returns the lines there were. Raises Error."""
    root, group = own_group(container)
    try:
        before = [line.strip() for line in read(f"{group}/schemata").splitlines()]
    except OSError as error:
        raise Error(f"cannot read {group}/schemata: {reason(error)}") from None
    try:
        for line in wanted:
            resctrl.set_schemata(root, group, line)
    except Error:
        restore(container, before)
        raise
    return before


def restore(container: Container, before: "list[str]") -> None:
    """Give back the shares there were, as far as the kernel lets us: the caller has an error to tell already."""
    root, group = own_group(container)
    for line in before:
        try:
            resctrl.set_schemata(root, group, line)
        except Error:
            continue
