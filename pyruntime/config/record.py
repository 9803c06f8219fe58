"""Records: classes whose attributes are the keys of a JSON object, each with its check.

    class User(Record):
        uid: int = need(uint32)
        umask: "int | None" = maybe(uint32)
        additionalGids: "list[int]" = many(uint32)

    user = User.read({"uid": 0}, "process.user")

Keys that no field names are ignored, as the spec's section "Extensibility" demands; `null` is the same as absent. A key
that differs in upper and lower case only is no such key: runc's JSON reader takes `nonewprivileges` for
`noNewPrivileges`, and what it confines by must confine here too; config/joined.py has what is there in two cases.
A record is a value: it is never changed, `replace` makes a changed copy. Only what was given is stored in it, the rest
shines through from the class, so `given` and `to_json` know the difference.
"""

from pyruntime.config.checks import NOTHING, listed, mapped, wrong
from pyruntime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeVar

    from pyruntime.config.checks import Check

    T = TypeVar("T")
    R = TypeVar("R", bound="Record")


def _frozen(*_: object) -> "NoReturn":
    raise TypeError("this is the shared default of an absent field: build a new value instead")


class _NoList(list):  # type: ignore[type-arg]
    append = extend = insert = __iadd__ = _frozen


class _NoDict(dict):  # type: ignore[type-arg]
    __setitem__ = update = setdefault = __ior__ = _frozen  # type: ignore[assignment]


class _Field:
    __slots__ = ("check", "default", "key", "missing", "name")

    def __init__(self, check: "Check[Any]", default: object, key: str = "", missing: str = "") -> None:
        self.check = check
        self.name = ""
        self.default = default
        self.key = key
        self.missing = missing

    def absent(self, path: str) -> None:
        if self.missing:
            raise ConfigError(path, self.missing)
        self.check(NOTHING, path)


def need(check: "Check[T]", key: str = "", missing: str = "") -> "T":
    """A key that must be there. `key` where it is no Python name, `missing` words the error of its absence."""
    return _Field(check, NOTHING, key, missing)  # type: ignore[return-value]


def maybe(check: "Check[T]", key: str = "") -> "T | None":
    """A key that may be absent: None then."""
    return _Field(check, None, key)  # type: ignore[return-value]


def otherwise(check: "Check[T]", default: "T", key: str = "") -> "T":
    """A key that may be absent: `default` then. For a record, an empty one; for a text, "" ."""
    return _Field(check, default, key)  # type: ignore[return-value]


def many(check: "Check[T]") -> "list[T]":
    """A list of such values; absent is the empty list."""
    return _Field(listed(check), _NoList())  # type: ignore[return-value]


def table(check: "Check[T]") -> "dict[str, T]":
    """An object used as a map from names to such values; absent is the empty map."""
    return _Field(mapped(check), _NoDict())  # type: ignore[return-value]


def means(key: str, name: str) -> bool:
    """Whether a key of a document is this name but for upper and lower case, one letter for one."""
    return len(key) == len(name) and key.casefold() == name.casefold()


def record_of(field: "_Field") -> "type[Record] | None":
    """The kind of record that a field holds, None for other values, lists and maps."""
    kind = getattr(field.check, "__self__", None)
    return kind if isinstance(kind, type) and issubclass(kind, Record) else None


def is_map(field: "_Field") -> bool:
    """Whether a field is an object whose keys are names."""
    return type(field.default) is _NoDict


class Record:
    """The base: `read` checks and builds, the constructor builds without checks (for programs and tests)."""

    _fields: "dict[str, _Field]" = {}
    _needed: "tuple[_Field, ...]" = ()

    def __init_subclass__(cls) -> None:
        fields = {}
        for name, field in list(cls.__dict__.items()):
            if type(field) is _Field:
                field.name = name
                fields[field.key or name] = field
                field.key = field.key or name
                setattr(cls, name, field.default)
        cls._fields = fields
        cls._needed = tuple(field for field in fields.values() if field.default is NOTHING)

    def __init__(self, **values: "Any") -> None:
        known = {field.name for field in self._fields.values()}
        unknown = values.keys() - known
        missing = {field.name for field in self._needed} - values.keys()
        if unknown or missing:
            raise TypeError(f"{type(self).__name__}: unknown {sorted(unknown)}, missing {sorted(missing)}")
        self.__dict__.update((name, value) for name, value in values.items() if value is not None)

    @classmethod
    def read(cls: "type[R]", value: object, path: str) -> "R":
        """Check a parsed JSON object and build the record. `path` is where it stands. Raises ConfigError."""
        if type(value) is not dict:
            raise wrong("an object", value, path)
        fields, content, prefix = cls._fields, {}, f"{path}." if path else ""
        if not value.keys() <= fields.keys():
            value = cls.once(value, prefix)
        for key, item in value.items():
            field = fields.get(key) or cls.folded(key)
            if field is not None and item is not None:
                content[field.name] = field.check(item, prefix + key)
        for field in cls._needed:
            if field.name not in content:
                field.absent(prefix + field.key)
        self = cls.__new__(cls)
        self.__dict__.update(content)
        return self

    @classmethod
    def once(cls, value: "dict[str, object]", prefix: str) -> "dict[str, object]":
        """The object with each key of the record once, whatever its case. Raises ConfigError where it has to choose."""
        twice = [keys for keys in cls.spellings(value) if len(keys) > 1]
        if not twice:
            return value
        from pyruntime.config.joined import join

        return join(cls, value, twice, prefix)

    @classmethod
    def spellings(cls, value: "dict[str, object]") -> "list[list[str]]":
        """For each key of the record that an object has (and not null): as what, in the object's order."""
        found: "dict[_Field, list[str]]" = {}
        for key, item in value.items():
            field = cls.field(key)
            if field is not None and item is not None:
                found.setdefault(field, []).append(key)
        return list(found.values())

    @classmethod
    def field(cls, key: str) -> "_Field | None":
        """The field that a key names, in whatever case."""
        return cls._fields.get(key) or cls.folded(key)

    @classmethod
    def folded(cls, key: str) -> "_Field | None":
        """The field that a key names but for upper and lower case, one letter for one; None if there is none."""
        return next((field for name, field in cls._fields.items() if means(key, name)), None)

    def given(self, name: str) -> bool:
        """Whether the document held this attribute (and not null)."""
        return name in self.__dict__

    def replace(self: "R", **values: "Any") -> "R":
        """A copy with some attributes changed; None takes one back to absent."""
        return type(self)(**{**self.__dict__, **values})

    def to_json(self) -> "dict[str, object]":
        """Plain values again, only what was given: `read(to_json())` equals the record."""
        mine = self.__dict__
        return {key: _plain(mine[field.name]) for key, field in self._fields.items() if field.name in mine}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} is not changed: use replace({name}=...)")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"


def _plain(value: object) -> object:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
