"""Reading the documents a command names. Checks of single values happen here, those between values in `validate`."""

import posix as os

from pyruntime.config.jsontext import load, parse, read_all
from pyruntime.config.process import Process
from pyruntime.config.record import Record, maybe
from pyruntime.errors import ConfigError, explain_oserror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.resources import Resources
    from pyruntime.config.spec import Config


class _ProcessAlone(Record):
    """What `exec` reads of a configuration: as `create` found it, and nothing else is checked."""

    process: "Process | None" = maybe(Process.read)


def load_config(path: str = "config.json") -> "Config":
    """Read a bundle's configuration. Raises ConfigError, whose text for a missing one callers know."""
    return read_config(_text(path), path)


def load_process_of(path: str) -> "Process | None":
    """The process alone of a bundle's configuration, if it has one. Raises ConfigError."""
    return _ProcessAlone.read(_object(_text(path), path), "").process


def _text(path: str) -> bytes:
    try:
        return load(path, path)
    except FileNotFoundError as error:
        folder, _, name = path.rpartition("/")
        missing = f"JSON specification file {name} not found in {folder or os.getcwd()}"
        raise ConfigError("", f"{missing}; make one: pyruntime spec, or name the bundle: -b DIR") from error


def read_config(data: bytes, what: str = "config.json") -> "Config":
    """The record of a configuration's text. Raises ConfigError."""
    from pyruntime.config.spec import Config  # `exec` reads processes only

    return Config.read(_object(data, what), "")


def _object(data: bytes, what: str) -> "dict[str, object]":
    value = parse(data, what)
    if value is None:
        raise ConfigError(what, "config cannot be null")
    if not isinstance(value, dict):
        raise ConfigError(what, "expected a JSON object")
    return value


def load_process(path: str, fd: int = -1) -> Process:
    """Read the process object of `exec --process FILE`, which is the descriptor `fd` if not -1. Raises ConfigError."""
    try:
        data = load(path, path) if fd < 0 else read_all(fd, path)
    except FileNotFoundError as error:
        raise ConfigError("process file", explain_oserror(error)) from error
    return Process.read(parse(data, path), "process")


def load_resources(data: bytes, what: str = "resources") -> "Resources":
    """The record of the resources object that `update --resources` was given as text. Raises ConfigError."""
    from pyruntime.config.resources import Resources

    return Resources.read(parse(data, what), "resources")
