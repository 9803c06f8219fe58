"""Annotations that are properties, in GVariant's text format."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.cgroup.systemd import variants
from pyruntime.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", ("b", True)),
        ("false", ("b", False)),
        ("5", ("i", 5)),
        ("-5", ("i", -5)),
        ("0x10", ("i", 16)),
        ("1.5", ("d", 1.5)),
        ("uint64 5", ("t", 5)),
        ("uint32 5", ("u", 5)),
        ("int64 -5", ("x", -5)),
        ("byte 5", ("y", 5)),
        ("double 5", ("d", 5.0)),
        ("@t 5", ("t", 5)),
        ("'inactive-or-failed'", ("s", "inactive-or-failed")),
        ('"a\'b"', ("s", "a'b")),
        (r"'a\'b\\c\n'", ("s", "a'b\\c\n")),
        ("''", ("s", "")),
        ("['a', 'b']", ("as", ["a", "b"])),
        ("['a', 'b',]", ("as", ["a", "b"])),
        ("@as []", ("as", [])),
        ("@au [1, 2]", ("au", [1, 2])),
        ("[uint32 1, 2]", ("au", [1, 2])),
        ("[('/dev/null', 'rw')]", ("a(ss)", [["/dev/null", "rw"]])),
        ("[('ConditionPathExists', false, true, '/x')]", ("a(sbbs)", [["ConditionPathExists", False, True, "/x"]])),
        ("(1, 'x')", ("(is)", [1, "x"])),
        ("  5 ", ("i", 5)),
    ],
)
def test_parse(text: str, expected: "tuple[str, Any]") -> None:
    assert variants.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "yes", "'a", "[", "[1", "[1 2]", "[]", "5 6", "uint64", "uint64 x", "(", "@", "'a' b"]
)
def test_no_value(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        variants.parse(text)


@given(st.text(alphabet="'\"[](),@ \\5atsi-.xtrue", max_size=20))
def test_any_text_is_a_value_or_an_error_in_words(text: str) -> None:
    said = ""
    try:
        variants.properties({"org.systemd.property.Some": text})
    except ConfigError as error:
        said = error.text
    assert not said or said.startswith('annotations["org.systemd.property.Some"]: ')


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("TimeoutStopSec", "7", ("TimeoutStopUSec", ("t", 7000000))),
        ("TimeoutStopSec", "uint64 7", ("TimeoutStopUSec", ("t", 7000000))),
        ("TimeoutStopSec", "1.5", ("TimeoutStopUSec", ("t", 1500000))),
        ("TimeoutStopUSec", "uint64 7", ("TimeoutStopUSec", ("t", 7))),
        ("CollectMode", "'inactive-or-failed'", ("CollectMode", ("s", "inactive-or-failed"))),
    ],
)
def test_a_property(name: str, text: str, expected: "tuple[str, Any]") -> None:
    assert variants.properties({"other": "x", variants.PREFIX + name: text}) == [expected]


@pytest.mark.parametrize(
    ("name", "text"),
    [("ab", "5"), ("A.b", "5"), ("Größe", "5"), ("TimeoutStopSec", "'x'"), ("TimeoutStopSec", "-1")]
    + [("TimeoutStopSec", "18446744073709551615"), ("MemoryMax", "uint32 -1"), ("TasksMax", "byte 256")]
    + [
        ("DevicePolicy", "'strict'"),
        ("DeviceAllow", "[('/dev/null', 'rw')]"),
        ("Tasks", "@s 5"),
        ("Tasks", "@z 5"),
        ("Tasks", "@as [1]"),
    ],
)
def test_no_property(name: str, text: str) -> None:
    key = variants.PREFIX + name
    with pytest.raises(ConfigError) as caught:
        variants.properties({key: text})
    assert caught.value.text.startswith(f'annotations["{key}"]: ')
