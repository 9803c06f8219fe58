"""Keys of one object that differ in upper and lower case only (`cpu` and `CPU`): joined where that is no choice.

runc's JSON reader fills one structure from both, and where a setting is in both takes the later. Nobody else does, so
what would be a choice is refused: one of two limits may be the weaker one.
"""

from pyruntime.config.record import Record, is_map, record_of
from pyruntime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.record import _Field

    Object = dict[str, object]


def join(kind: "type[Record]", value: "Object", keys: "list[list[str]]", prefix: str) -> "Object":
    """The object with what stands under each of the groups of keys in one. Raises ConfigError."""
    found = dict(value)
    for first, *others in keys:
        field = kind.field(first)
        for other in others:
            found[first] = _both(field, found[first], found.pop(other), prefix + first, prefix + other)
    return found


def _both(field: "_Field | None", one: object, other: object, here: str, there: str) -> object:
    """Two values of the same key, which stand at `here` and `there`. None is as absent."""
    if one is None or other is None or field is None:
        return other if one is None else one
    kind = record_of(field)
    if type(one) is dict and type(other) is dict:
        if kind is not None:
            return _records(kind, one, other, here, there)
        if is_map(field) and not one.keys() & other.keys():
            return {**one, **other}
    raise ConfigError(there, f"is there twice, in upper and lower case: also as {here}; remove one of them")


def _records(kind: "type[Record]", one: "Object", other: "Object", here: str, there: str) -> "Object":
    found, places = dict(one), {kind.field(key): key for key in one}
    for key, item in other.items():
        field = kind.field(key)
        if field is None or field not in places:
            found[key] = item
            _check(field, item, f"{there}.{key}")
        else:
            same = places[field]
            found[same] = _both(field, found[same], item, f"{here}.{same}", f"{there}.{key}")
    return found


def _check(field: "_Field | None", item: object, path: str) -> None:
    """An error is told for the place where the value stands, which is lost once it is joined."""
    if field is not None and item is not None and record_of(field) is None:
        field.check(item, path)
