"""The specification's own schema as a judge: what it refuses in the parts we read, we refuse.

Give the folder that holds config-schema.json in the environment variable PYRUNTIME_SPEC_SCHEMA.
"""

import json
import os
import pathlib

import pytest

from pyruntime.config.load import read_config
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError
from tests.config.documents import GONE, TYPICAL, changed, everything

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    import jsonschema

FOLDER = pathlib.Path(os.environ.get("PYRUNTIME_SPEC_SCHEMA") or "/nonexistent")
pytestmark = pytest.mark.skipif(
    not (FOLDER / "config-schema.json").is_file(), reason="PYRUNTIME_SPEC_SCHEMA names no folder with the spec's schema"
)

OTHER_SYSTEMS = ("vm", "solaris", "windows", "zos", "freebsd", "commandLine", "username")
# Where we take more than the schema does, and why.
LENIENT = {
    "process.user.uid": "0 when absent, as with runc",
    "process.user.gid": "0 when absent, as with runc",
    "linux.devices[].fileMode": "engines leave the file type bits in it; they are ignored",
    "linux.seccomp.defaultAction": "an unused profile is written with an empty default action, or none",
    "linux.resources.pids.limit": "may be absent: the limit is left alone",
    "linux.rootfsPropagation": "empty is absent; the kernel has the recursive forms too",
    "linux.resources.pids": "may be empty: the limit is left alone",
    "linux.seccomp": "may be empty: no filter",
}
VALUES = [None, True, 0, -1, 1.5, 2**16, 2**32, 2**64, "", "x", "\x00", [], {}, [1], {"x": 1}, GONE]


def schema() -> "jsonschema.Draft4Validator":
    from jsonschema import Draft4Validator
    from referencing import Registry
    from referencing.jsonschema import DRAFT4

    registry = Registry().with_resources(
        (path.name, DRAFT4.create_resource(json.loads(path.read_text(encoding="utf-8"))))
        for path in FOLDER.glob("*.json")
    )
    document = json.loads((FOLDER / "config-schema.json").read_text(encoding="utf-8"))
    return Draft4Validator({"id": "config-schema.json", **document}, registry=registry)


def places(value: object, path: "tuple[str | int, ...]" = ()) -> "Iterator[tuple[str | int, ...]]":
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def shown(path: "tuple[str | int, ...]") -> str:
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def refuses(document: object) -> bool:
    try:
        Config.read(document, "")
    except ConfigError:
        return True
    return False


def samples(kind: str) -> "list[pathlib.Path]":
    return sorted((FOLDER / "test" / "config" / kind).glob("*.json"))


@pytest.mark.parametrize("path", samples("good"), ids=lambda path: path.name)
def test_good_samples_are_read(path: pathlib.Path) -> None:
    data = path.read_bytes()
    first = read_config(data)
    assert Config.read(first.to_json(), "") == first
    assert schema().is_valid(first.to_json())


@pytest.mark.parametrize("path", samples("bad"), ids=lambda path: path.name)
def test_bad_samples_are_refused(path: pathlib.Path) -> None:
    if path.name.startswith("freebsd"):  # wrong only in a part of another system, which is ignored
        read_config(path.read_bytes())
        return
    with pytest.raises(ConfigError):
        read_config(path.read_bytes())


def test_there_are_samples() -> None:
    assert len(samples("good")) > 5
    assert len(samples("bad")) > 3


def test_our_own_documents_are_good() -> None:
    assert schema().is_valid(TYPICAL | {"linux": {}})
    assert [error.json_path for error in schema().iter_errors(everything())] == [
        "$.linux.devices[0].fileMode",
        "$.linux.rootfsPropagation",
    ]


def judge(document: "dict[str, object]") -> "tuple[list[str], int]":
    """Every single change of a document that the schema refuses and we do not, and how many it refuses."""
    judge, missed, refused = schema(), [], 0
    for path in places(document):
        for value in VALUES:
            if isinstance(path[-1], int) and value is GONE:
                continue
            mutant = changed(document, list(path), value)
            if value is None or judge.is_valid(mutant):  # null is absent for us, as for programs written in Go
                continue
            refused += 1
            if not refuses(mutant) and shown(path) not in LENIENT and path[0] not in OTHER_SYSTEMS:
                missed.append(f"{shown(path)} = {value!r}")
    return missed, refused


def good_by_schema() -> "dict[str, object]":
    document = changed(everything(), "linux.devices[0].fileMode", 438)
    return changed(document, "linux.rootfsPropagation", "slave")


@pytest.mark.slow
def test_what_the_schema_refuses_after_one_change_we_refuse() -> None:
    missed, refused = judge(good_by_schema())
    assert missed == []
    assert refused > 1000


@pytest.mark.slow
@pytest.mark.parametrize("path", samples("good"), ids=lambda path: path.name)
def test_the_same_for_the_samples(path: pathlib.Path) -> None:
    missed, _ = judge(json.loads(path.read_bytes()))
    assert missed == []


@pytest.mark.parametrize("path", LENIENT)
def test_leniencies_are_used(path: str) -> None:
    """A leniency that no value needs any more is to be taken out of the table."""
    document, validator = good_by_schema(), schema()
    mutants = [
        changed(document, list(place), value)
        for place in places(document)
        if shown(place) == path
        for value in [*VALUES, 8630, "rslave"]
    ]
    assert any(not validator.is_valid(mutant) and not refuses(mutant) for mutant in mutants)
