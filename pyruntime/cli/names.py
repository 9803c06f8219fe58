"""A user or group that config.json names by word: the number it has in the rootfs, for the error that refuses it."""

import posix as os

from pyruntime.config.jsontext import load, parse
from pyruntime.errors import ConfigError, Error
from pyruntime.kernel.paths import O_PATH, read_file
from pyruntime.pathtext import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX = 1 << 20  # bytes of passwd(5) or group(5)


def numbered(error: ConfigError, config_file: str) -> ConfigError:
    """The error with ` (N in this rootfs)` behind it, where the file at hand has the name; else the error itself."""
    try:
        document = parse(load(config_file, config_file), config_file)
        number = number_of(error.path, document, absolute(config_file).rpartition("/")[0])
    except (Error, OSError, ValueError, LookupError, TypeError, AttributeError):  # the rest may be wrong as well
        return error
    return ConfigError(error.path, f"{error.text.removeprefix(f'{error.path}: ')}{number}")


def number_of(path: str, document: "Any", bundle: str) -> str:
    """` (N in this rootfs)` for a name at `process.user.*` of a configuration, "" for one that is not in the rootfs.

    Raises OSError, LookupError, TypeError or AttributeError where there is nothing to look it up by.
    """
    user, root = document["process"]["user"], document["root"]["path"]
    key, _, index = path.removeprefix("process.user.").partition("[")
    name = (user[key][int(index.rstrip("]"))] if index else user[key]).encode("utf-8", "surrogateescape")
    fd = os.open(absolute(root, bundle), O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        text = read_file(fd, "/etc/passwd" if key == "uid" else "/etc/group", _MAX) or b""
    finally:
        os.close(fd)
    for line in text.split(b"\n"):
        fields = line.split(b":")
        if len(fields) > 2 and fields[0] == name and fields[2].isdigit():
            return f" ({fields[2].decode()} in this rootfs)"
    return ""
