"""Which directories of its container a guest may open: all of `/`, unless an annotation says less. Pure."""

from pyruntime.engine.annotations import PREOPENS
from pyruntime.errors import ConfigError, one_line
from pyruntime.pathtext import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    Preopen = tuple[str, str, bool]

NOTHING = "none"
_ROOT = ("/", "/", False)
_READ_ONLY = ":ro"
_MOST = 64  # directories; each is compared with each


def preopens(annotations: "dict[str, str]") -> "list[Preopen]":
    """Triples of base.Guest: directory in the container, its name for the guest (the same), whether it is read-only.

    The annotation holds `none`, or directories parted by commas, each by its absolute path and with `:ro` where the
    guest is not to write. Raises ConfigError that names it.
    """
    text = annotations.get(PREOPENS)
    if text is None:
        return [_ROOT]
    if text == NOTHING:
        return []
    words = text.split(",", _MOST)
    if len(words) > _MOST:
        raise _wrong(f"more than {_MOST} directories; name one that they lie in")
    found = [_preopen(word) for word in words]
    names = [name for name, _, _ in found]
    for name in names:
        if names.count(name) > 1:
            raise _wrong(f"{name} is named more than once")
    _refuse_in_vain(found)
    return found


def _preopen(word: str) -> "Preopen":
    path = word.removesuffix(_READ_ONLY)
    if not _is_text(path):
        raise _wrong(f"{one_line(word)} holds a NUL, or is not UTF-8, and WASI has no other names")
    if not path.startswith("/") or ".." in path.split("/"):
        raise _wrong(f'expected "{NOTHING}", or absolute paths such as "/data:ro,/tmp", found "{word}"')
    path = clean(path)
    return path, path, word.endswith(_READ_ONLY)


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in path


def _refuse_in_vain(found: "list[Preopen]") -> None:
    """A directory is not read-only that can be reached through another one for writing."""
    for path, _, read_only in found:
        for other, _, guarded in found:
            if read_only and not guarded and path.startswith(f"{other.rstrip('/')}/"):
                raise _wrong(f"{path} is not read-only as long as it can be written through {other}")


def _wrong(problem: str) -> ConfigError:
    return ConfigError(f'annotations["{PREOPENS}"]', problem)
