"""pyruntime.wasm.preopens: what it grants, and that no text grants anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.engine.annotations import PREOPENS
from pyruntime.engine.preopens import preopens
from pyruntime.errors import ConfigError


def asked(text: str) -> "list[tuple[str, str, bool]]":
    return preopens({PREOPENS: text})


def test_without_it_the_container_is_the_guests() -> None:
    assert preopens({"other": "x"}) == [("/", "/", False)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("none", []),
        ("/", [("/", "/", False)]),
        ("/:ro", [("/", "/", True)]),
        ("/data:ro,/tmp", [("/data", "/data", True), ("/tmp", "/tmp", False)]),
        ("/:ro,/data", [("/", "/", True), ("/data", "/data", False)]),
        ("//data/./x/", [("/data/x", "/data/x", False)]),
        ("/a:b", [("/a:b", "/a:b", False)]),
        ("/data:ro,/database", [("/data", "/data", True), ("/database", "/database", False)]),
    ],
)
def test_directories(text: str, found: "list[tuple[str, str, bool]]") -> None:
    assert asked(text) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 'found ""'),
        ("data", 'found "data"'),
        ("/a,none", 'found "none"'),
        ("/a, /b", 'found " /b"'),
        ("/a/../b", 'found "/a/../b"'),
        ("/a,/b,/a/", "/a is named more than once"),
        ("/,/data:ro", "/data is not read-only as long as it can be written through /"),
        ("/\0:ro", "holds a NUL"),
        ("/data\0,/data:ro", "holds a NUL"),
        ("/\ud800", "is not UTF-8"),
        (",".join(f"/{number}" for number in range(65)), "more than 64 directories"),
        ("/a/b:ro,/a", "/a/b is not read-only as long as it can be written through /a"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match="pyruntime.wasm.preopens") as caught:
        asked(text)
    assert words in caught.value.text


@given(st.lists(st.sampled_from(["/", "a", "..", ".", ",", ":ro", "none", " "]), max_size=9).map("".join))
def test_there_is_one_for_each_word_and_none_leads_upwards(text: str) -> None:
    try:
        found = asked(text)
    except ConfigError:
        return
    words = [] if text == "none" else text.split(",")
    assert [read_only for _, _, read_only in found] == [word.endswith(":ro") for word in words]
    assert len({path for path, _, _ in found}) == len(found)
    for path, name, _ in found:
        assert path == name
        assert path.startswith("/")
        assert not {"..", "."} & set(path.split("/"))
