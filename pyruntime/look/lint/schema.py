"""A document against the records: every unknown key and every wrong value, where `create` stops at the first."""

import re
from collections.abc import Iterator
from functools import cache

from pyruntime.config.near import did_you_mean, nearest
from pyruntime.config.record import Record, _Field
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError, one_line
from pyruntime.look.lint import finding
from pyruntime.look.lint.finding import Finding

# What config.md defines for other systems: no mistake, and nothing to Linux.
_ELSEWHERE = frozenset(
    ("vm", "solaris", "windows", "zos", "freebsd", "process.user.username", "process.commandLine", "linux.rdma")
)
_FOREIGN = {  # words of engines and of Kubernetes for what the spec calls otherwise, in lower case
    "workdir": "cwd", "workingdir": "cwd", "command": "args", "entrypoint": "args", "cmd": "args", "tty": "terminal",
    "nonewprivs": "noNewPrivileges", "no_new_privs": "noNewPrivileges", "caps": "capabilities", "ro": "readonly",
    "groups": "additionalGids", "limits": "resources", "memoryswap": "swap", "max": "limit", "archs": "architectures",
    "target": "destination", "src": "source", "opts": "options",
}  # fmt: skip


def read(document: "dict[str, object]") -> "list[Finding]":
    """What is wrong with the keys and the single values of a configuration."""
    found = {(each.path, each.problem): each for each in _record(Config, document, "")}
    return list(found.values())


def _record(kind: "type[Record]", value: "dict[str, object]", path: str) -> "Iterator[Finding]":
    prefix = f"{path}." if path else ""
    once, told = _once(kind, value, prefix)
    yield from told
    for key, item in once.items():
        field = kind._fields.get(key)
        if field is None:
            field = kind.folded(key)
            yield from _folded(field.key, key, path, value) if field else _unknown(kind, key, path, value)
        if field is not None and item is not None:
            yield from _value(kind, field, item, prefix + key)
    for field in kind._needed:
        if value.get(field.key) is None and not _misspelt(kind, field.key, value):
            yield from _asked(lambda field=field: field.absent(prefix + field.key))


def _once(kind: "type[Record]", value: "dict[str, object]", prefix: str) -> "tuple[dict[str, object], list[Finding]]":
    """The object with each key once, and what is to be said of those that were there in upper and lower case."""
    try:
        once = kind.once(value, prefix)
    except ConfigError as error:
        return value, [finding.error(error.path, error.text.removeprefix(f"{error.path}: "))]
    return once, [
        finding.warning(prefix + key, f"joined with {prefix}{first}, as runc does; others take one of the two")
        for first, *others in kind.spellings(value)
        for key in others
    ]


def _misspelt(kind: "type[Record]", key: str, value: "dict[str, object]") -> bool:
    """Whether some unknown key of the object stands for this one: one finding is enough."""
    return any(_meant(other, kind) == key for other in value if other not in kind._fields)


def _meant(key: str, kind: "type[Record]") -> "str | None":
    """The key of this record that a misspelt or foreign one stands for."""
    foreign = _FOREIGN.get(key.lower())
    return foreign if foreign in kind._fields else nearest(key, kind._fields)


def _value(kind: "type[Record]", field: "_Field", item: object, path: str) -> "Iterator[Finding]":
    inner, mark = _inner(kind, field.name)
    if inner is not None and not mark and isinstance(item, dict):
        yield from _record(inner, item, path)
    elif inner is not None and mark == "[]" and isinstance(item, list):
        for index, element in enumerate(item):
            yield from _element(inner, element, f"{path}[{index}]")
    elif inner is not None and mark == "{}" and isinstance(item, dict):
        for name, element in item.items():
            yield from _element(inner, element, f'{path}["{one_line(name)}"]')
    else:
        for found in _asked(lambda: field.check(item, path)):
            yield finding.error(found.path, found.problem + _hint(item, found.problem))


def _element(kind: "type[Record]", item: object, path: str) -> "Iterator[Finding]":
    if isinstance(item, dict):
        yield from _record(kind, item, path)
    else:
        yield from _asked(lambda: kind.read(item, path))


def _asked(check: "object") -> "Iterator[Finding]":
    try:
        check()  # type: ignore[operator]
    except ConfigError as error:
        yield finding.error(error.path, error.text.removeprefix(f"{error.path}: "))


def _unknown(kind: "type[Record]", key: str, path: str, among: "dict[str, object]") -> "Iterator[Finding]":
    where = f"{path}.{key}" if path else key
    if re.sub(r"\[.*?\]", "[]", where) in _ELSEWHERE:
        return
    shown = where if where.isprintable() else one_line(where)
    here = _meant(key, kind)
    if here and among.get(here) is None and any(field.key == here for field in kind._needed):
        meant = _joined(path, here)
        yield finding.error(shown, f"unknown key, and one that is needed is missing; did you mean {meant}?")
    elif here:
        yield finding.warning(shown, f"unknown key, it has no effect; did you mean {_joined(path, here)}?")
    else:
        yield finding.warning(shown, f"unknown key, it has no effect{_elsewhere(key)}")


def _folded(right: str, key: str, path: str, among: "dict[str, object]") -> "Iterator[Finding]":
    """A key in other upper and lower case, which is in force as it is with runc."""
    meant = _joined(path, right)
    if among.get(right) is None or among[key] is None:  # else that is said of both
        where = _joined(path, key)
        yield finding.warning(where, f"in force here and with runc, others may ignore it; did you mean {meant}?")


def _elsewhere(key: str) -> str:
    """Where a key belongs that has strayed."""
    places = [place for place in _index() if place.rpartition(".")[2] == key]
    if not places:
        return did_you_mean(key, [place.rpartition(".")[2] for place in _index()])
    return f"; it belongs to {' or '.join(place.rpartition('.')[0] or 'the top' for place in places[:2])}"


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _hint(item: object, problem: str) -> str:
    """What was probably meant by a value of the wrong kind."""
    expected = problem.partition(", got ")[0]
    if isinstance(item, str) and "one of" in expected:
        return did_you_mean(item, re.findall(r'"([^"]*)"', expected), '"{}"')
    if expected == "expected true or false" and str(item).lower() in ("true", "false", "yes", "no", "0", "1"):
        return f"; did you mean {'true' if str(item).lower() in ('true', 'yes', '1') else 'false'}?"
    if expected == "expected a list" and isinstance(item, str):
        return f'; did you mean ["{one_line(item)}"]?'
    if expected == "expected a string" and isinstance(item, (int, float)):
        return f'; did you mean "{str(item).lower() if isinstance(item, bool) else item}"?'
    return ""


def _inner(kind: "type[Record]", name: str) -> "tuple[type[Record] | None, str]":
    """The record that a field holds, if any, and whether it holds one, a list `[]` or a map `{}` of them."""
    annotation = kind.__annotations__[name]
    words = re.findall(r"\w+", annotation if isinstance(annotation, str) else annotation.__name__)
    record = next((_records()[word] for word in words if word in _records()), None)
    return record, "[]" if "list" in words else "{}" if "dict" in words else ""


@cache
def _records() -> "dict[str, type[Record]]":
    found: "dict[str, type[Record]]" = {}
    todo = [Record]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind.__module__.startswith("pyruntime.config."):
            found[kind.__name__] = kind
    return found


@cache
def _index() -> "list[str]":
    """Every path of a configuration, without marks for lists."""
    return list(_paths(Config, ""))


def _paths(kind: "type[Record]", prefix: str) -> "Iterator[str]":
    for key, field in kind._fields.items():
        yield prefix + key
        inner, _ = _inner(kind, field.name)
        if inner is not None:
            yield from _paths(inner, f"{prefix}{key}.")
