"""What the flags of `spec` change in the document it writes: program, limits, and any value by its path."""

import re
from json import loads

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
_NAME, _NUMBER, _QUOTED = r"[^.\[\]=]+", r"\[[0-9]{1,9}\]", r'\["[^"]+"\]'
_PATH = re.compile(rf"({_NAME}(?:\.{_NAME}|{_NUMBER}|{_QUOTED})*)=", re.ASCII)
_KEY = re.compile(r'([^.\[\]=]+)|\[(?:([0-9]+)|"([^"]+)")\]')
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
        path = _PATH.match(pair)
        if path is None:
            raise UsageError(
                f"spec --set {one_line(pair)}: expected PATH=VALUE, such as process.cwd=/tmp, mounts[0].options[0]=ro "
                'or annotations["a.b"]=c'
            )
        _put(document, path[1], _value(pair[path.end() :], pair), pair)


def _value(text: str, pair: str) -> object:
    try:
        return loads(text)
    except ValueError:
        return text
    except RecursionError:
        raise UsageError(f"spec --set {one_line(pair[:40])}…: the value is nested too deep") from None


def _put(document: "Json", path: str, value: object, pair: str) -> None:
    """Set one value; objects on the way are made, lists are only entered, and grow by one at their end."""
    holder: object = document
    keys = _keys(path)
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


def _keys(path: str) -> "list[str | int]":
    """`a.b[0]["x.y"]` as its keys."""
    return [int(number) if number else name or quoted for name, number, quoted in _KEY.findall(path)]


def demand_sound(document: "Json") -> None:
    """See that `create` would take it. Raises Error."""
    try:
        validate(read_config(dumps(document).encode()))
    except ConfigError as error:
        raise Error(f"spec: what these flags ask for is refused by create: {error.text}") from None
    except (ValueError, RecursionError) as error:
        raise Error(f"spec: what these flags ask for is no JSON: {error}") from None
