"""JSON text: what the standard library reads back, spaced as Go spaces it."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.report.jsonout import dumps, quote

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES, st.sampled_from([None, 2, 4, "\t", 0]))
def test_it_is_read_back_as_it_was(value: object, indent: "int | str | None") -> None:
    assert json.loads(dumps(value, indent)) == value


@given(VALUES)
def test_it_equals_the_standard_librarys_text_but_for_control_characters(value: object) -> None:
    def plain(text: str) -> str:
        return "".join(f"\\u{ord(c):04x}" if 0x7F <= ord(c) < 0xA0 else c for c in text)

    assert dumps(value) == plain(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    assert dumps(value, 2) == plain(json.dumps(value, ensure_ascii=False, indent=2))


@given(st.binary())
def test_bytes_that_are_not_utf8_are_kept_as_escapes(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    written = quote(text)
    written.encode()
    assert json.loads(written) == text


def test_one_line() -> None:
    value = {"a": 1, "b": [True, None, 1.5, {}], "c": (), "d/e": '\u00e9</"\\\n\x1b'}
    assert dumps(value) == '{"a":1,"b":[true,null,1.5,{}],"c":[],"d/e":"\u00e9</\\"\\\\\\n\\u001b"}'


def test_indented() -> None:
    value = {"a": {"b": [1, 2]}, "empty": {}, "none": []}
    expected = '{\n\t"a": {\n\t\t"b": [\n\t\t\t1,\n\t\t\t2\n\t\t]\n\t},\n\t"empty": {},\n\t"none": []\n}'
    assert dumps(value, "\t") == expected
    assert dumps(value, 2) == expected.replace("\t", "  ")


def test_terminals_are_not_driven() -> None:
    assert quote("\x7f\x9b\u00a0\u00e9") == '"\\u007f\\u009b\u00a0\u00e9"'
    assert quote("\x7f") == '"\\u007f"'


@pytest.mark.parametrize("value", [{1, 2}, b"x", object(), [b"x"], {"a": {1}}, {1: "a"}, {None: 1}])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        dumps(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_have_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no JSON for"):
        dumps([value])
