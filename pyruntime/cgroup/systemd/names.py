"""`linux.cgroupsPath` as systemd's engines write it, `slice:prefix:name`, and where the cgroup of such a unit is.

systemd.slice(5), systemd.unit(5) "DESCRIPTION" for the letters of a name. Pure.
"""

from pyruntime.errors import ConfigError

_PATH = "linux.cgroupsPath"
_LONGEST = 255  # UNIT_NAME_MAX of systemd, less its final NUL
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\@")
PREFIX = "pyruntime"


def unit_and_slice(cgroups_path: str, container_id: str, user: bool) -> "tuple[str, str]":
    """The scope, and the slice it lies in; `user`: for the manager of a user. Raises ConfigError."""
    parts = (cgroups_path or f":{PREFIX}:{container_id}").split(":")
    if len(parts) != 3:
        wanted = 'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups'
        raise ConfigError(
            _PATH, f'{wanted}, got "{cgroups_path}" instead; write it so, or leave --systemd-cgroup out for a path'
        )
    slice_, prefix, name = parts
    if name.endswith(".slice"):
        raise ConfigError(_PATH, f'"{name}" would be a slice, which has no processes of its own; name a scope')
    unit = f"{prefix}-{name}.scope"
    wrong = sorted(set(unit) - _LETTERS)
    if wrong or not name or len(unit) > _LONGEST:
        found = f"the characters {' '.join(map(ascii, wrong))}" if wrong else f"{len(unit)} characters"
        found = found if name else "no name"
        raise ConfigError(
            _PATH, f'"{unit}" has {found}; a unit of systemd has up to {_LONGEST} of A-Z a-z 0-9 : - _ . \\ @'
        )
    return unit, slice_ or ("user.slice" if user else "system.slice")


def slice_path(name: str) -> str:
    """The cgroup of a slice below its manager's: a dash leads one level down. "" for `-.slice`. Raises ConfigError."""
    stem = name.removesuffix(".slice")
    if stem == "-" and stem != name:
        return ""
    words = stem.split("-")
    if stem == name or "/" in name or not all(words) or set(name) - _LETTERS:
        raise ConfigError(_PATH, f'"{name}" is no slice; expected NAME.slice or, below it, NAME-MORE.slice')
    return "".join(f"/{'-'.join(words[: end + 1])}.slice" for end in range(len(words)))


def scope_path(manager: str, slice_: str, unit: str) -> str:
    """The cgroup of a scope, from the cgroup of its manager. Raises ConfigError."""
    return f"{manager.rstrip('/')}{slice_path(slice_)}/{unit}"


def object_path(unit: str) -> str:
    """The object on the bus that is this unit: whatever is no letter or digit is escaped by its code."""
    plain = "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):02x}" for c in unit)
    first = f"_{ord(plain[0]):02x}{plain[1:]}" if plain[0].isdigit() else plain
    return f"/org/freedesktop/systemd1/unit/{first}"
