"""What the flags of `spec` change in the document it writes: program, limits, and any value by its path."""

from pyruntime.config.checks import got
from pyruntime.config.load import read_config
from pyruntime.config.validate import validate
from pyruntime.errors import ConfigError, Error, UsageError, one_line
from pyruntime.report.jsonout import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.cli.defaultspec import Json
    from pyruntime.cli.grammar import Options

_SHELLS = ("sh", "bash", "ash", "zsh")
_PERIOD = 100_000  # microseconds, the kernel's default (cgroup-v2.rst, cpu.max)


def program(document: "Json", args: "list[str]") -> None:
    """Run these words. A terminal is for a shell without further words; all else is no conversation."""
    if not args:
        return
    document["process"]["args"] = args
    document["process"]["terminal"] = len(args) == 1 and args[0].rpartition("/")[2] in _SHELLS


def limits(document: "Json", options: "Options") -> None:
    """--memory, --cpus and --pids. Raises UsageError for what is no limit."""
    memory, cpus, pids = options.number("memory"), options.text("cpus"), options.number("pids")
    resources = document["linux"].setdefault("resources", {}) if memory or cpus or pids else {}
    if memory is not None:
        resources["memory"] = {"limit": _positive("--memory", memory)}
    if pids is not None:
        resources["pids"] = {"limit": _positive("--pids", pids)}
    if cpus is not None:
        resources["cpu"] = {"quota": _quota(cpus), "period": _PERIOD}


def _positive(flag: str, number: int) -> int:
    if number < 1:
        raise UsageError(f"spec {flag}: expected more than 0, got {number}")
    return number


def _quota(text: str) -> int:
    """Microseconds of each period for so many CPUs, as in 0.5 or 2."""
    whole, _, part = text.partition(".")
    if not (whole + part).isdecimal() or len(text) > 16:
        raise UsageError(f"spec --cpus: expected a number such as 0.5, got {one_line(text)}")
    return _positive("--cpus", round(float(text) * _PERIOD))


def settings(document: "Json", pairs: "list[str]") -> None:
    """--set PATH=VALUE, in their order: VALUE is JSON, and else a text. Raises UsageError."""
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals or not path:
            raise UsageError(f"spec --set {one_line(pair)}: expected PATH=VALUE, such as process.cwd=/tmp")
        _put(document, path, _value(text), pair)


def _value(text: str) -> object:
    from json import JSONDecodeError, loads  # `spec` is no frequent command

    try:
        return loads(text)
    except JSONDecodeError:
        return text


def _put(document: "Json", path: str, value: object, pair: str) -> None:
    """Set one value; objects on the way are made, lists are only entered, and grow by one at their end."""
    holder: object = document
    keys = _keys(path, pair)
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        new: object = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(key, int) and isinstance(holder, list) and key <= len(holder):
            holder[key:] = [*(holder[key : key + 1] or [new]), *holder[key + 1 :]]
            if following is None:
                holder[key] = value
            holder = holder[key]
        elif isinstance(key, str) and isinstance(holder, dict):
            if following is None:
                holder[key] = value
            holder = holder.setdefault(key, new)
        else:
            what = f"element {key}" if isinstance(key, int) else f"key {key}"
            raise UsageError(f"spec --set {one_line(pair)}: no {what} in {got(holder)}")


def _keys(path: str, pair: str) -> "list[str | int]":
    """`a.b[0]["x.y"]` as its keys."""
    keys: "list[str | int]" = []
    at = 0
    while at < len(path):
        if path[at] == "[":
            end = path.find("]", path.find('"]', at) if path[at + 1 : at + 2] == '"' else at)
            inner = path[at + 1 : end] if end > 0 else ""
            if not inner.isdecimal() and not (len(inner) > 2 and inner[0] == inner[-1] == '"'):
                raise UsageError(f'spec --set {one_line(pair)}: expected a number or "NAME" between brackets')
            keys.append(int(inner) if inner.isdecimal() else inner[1:-1])
            at = end + 1
        else:
            end = min((found for found in (path.find(".", at), path.find("[", at)) if found >= 0), default=len(path))
            keys.append(path[at:end])
            at = end
        at += path[at : at + 1] == "."
    if "" in keys:
        raise UsageError(f"spec --set {one_line(pair)}: a name in the path is empty")
    return keys


def demand_sound(document: "Json") -> None:
    """See that `create` would take it. Raises Error."""
    try:
        validate(read_config(dumps(document).encode("utf-8", "surrogateescape")))
    except ConfigError as error:
        raise Error(f"spec: what these flags ask for is refused by create: {error.text}") from None
