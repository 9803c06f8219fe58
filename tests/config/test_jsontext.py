"""The strict JSON reader: what it takes, what it refuses and in which words."""

import json
import os
import pathlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.config import jsonfault, jsontext
from pyruntime.errors import ConfigError
from tests.strategies import json_values


@given(json_values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_reads_what_the_standard_library_reads(value: object, indent: "int | str | None", ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    try:
        data = text.encode()
    except UnicodeEncodeError:  # a lone surrogate that was not escaped is no UTF-8
        return
    assert jsontext.parse(data, "x") == json.loads(text)


@given(st.binary() | st.text('[]{}":,0123456789.eE+-\\u tfn\n', max_size=40).map(str.encode))
def test_bad_bytes_raise_nothing_but_a_config_error(data: bytes) -> None:
    value, problem = None, ""
    try:
        value = jsontext.parse(data, "x")
    except ConfigError as error:
        problem = str(error)
    if problem:
        assert problem.startswith("x: ")
        assert problem.isprintable()
    else:
        assert value == json.loads(data)


REFUSED = [
    (b"", ["an empty file"]),
    (b" \n", ["an empty file"]),
    (b"{", ["line 1, column 2", "not valid JSON"]),
    (b'{\n "a": ]}', ["line 2, column 7"]),
    (b'{"a": 1} x', ["line 1, column 10", "extra data"]),
    (b"{]", ["line 1, column 2"]),
    (b"[1,]", ["line 1"]),
    (b"{'a': 1}", ["line 1, column 2"]),
    (b'{"a": NaN}', ["NaN is not a JSON number"]),
    (b"[-Infinity]", ["-Infinity is not a JSON number"]),
    (b'\xef\xbb\xbf{"a": 1}', ["byte order mark"]),
    (b'{\n"a": "\xff"}', ["line 2", "UTF-8", "0xff"]),
    ('{"a": 1}'.encode("utf-16"), ["UTF-8"]),
    (b'{"a": "\xed\xa0\x80"}', ["UTF-8"]),
    (b'{"a": "\x01"}', ["line 1, column 8"]),
    (b'{"a": 1, "a": 2}', ["a: this key stands twice"]),
    (b'{"p": [{"q": 1}, {"q": 1, "r": 2, "q": 3}]}', ["p[1].q: this key stands twice"]),
    (b'{"a": 1, "\\u0061": 1}', ["a: this key stands twice"]),
    (b"[" * 66 + b"]" * 66, ["nested deeper than 64"]),
    (b'{"a":' * 66 + b"1" + b"}" * 66, ["nested deeper than 64"]),
    (b"[" * 100_000, ["nested deeper than 64"]),
    (b"[" + b"9" * 5000 + b"]", ["not valid JSON"]),
    (b"\x00", ["line 1, column 1"]),
]


@pytest.mark.parametrize(("data", "words"), REFUSED)
def test_refuses(data: bytes, words: "list[str]") -> None:
    with pytest.raises(ConfigError) as caught:
        jsontext.parse(data, "config.json")
    for word in ["config.json: ", *words]:
        assert word in str(caught.value)


def test_takes_64_levels() -> None:
    assert jsontext.parse(b"[" * 64 + b"]" * 64, "x") == json.loads("[" * 64 + "]" * 64)


def test_takes_white_space_around() -> None:
    assert jsontext.parse(b'\r\n\t {"a": [1, 2]} \n', "x") == {"a": [1, 2]}


def test_falls_back_to_the_scanner_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_json", None)
    scan = jsontext._scanner()
    text = '{"a": [1, 2.5, "x", null]}'
    assert scan(text + " rest", 0) == ({"a": [1, 2.5, "x", None]}, len(text))
    with pytest.raises(jsontext._RefusedError):
        scan('{"a": 1, "a": 2}', 0)


@given(json_values)
def test_the_fault_finder_finds_no_key_twice_where_there_is_none(value: object) -> None:
    assert jsonfault._first_twice(json.loads(json.dumps(value), object_pairs_hook=jsonfault._object), 64) == ""


def test_load_reads_a_file_of_many_pieces(tmp_path: pathlib.Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "f").write_bytes(content)
    assert jsontext.load(str(tmp_path / "f"), "x") == content


def test_load_refuses_more_than_16_mib(tmp_path: pathlib.Path) -> None:
    with open(tmp_path / "f", "wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    with pytest.raises(ConfigError, match="x: expected at most 16777216 bytes"):
        jsontext.load(str(tmp_path / "f"), "x")


def test_load_takes_16_mib(tmp_path: pathlib.Path) -> None:
    with open(tmp_path / "f", "wb") as file:
        file.truncate(16 * 1024 * 1024)
    assert len(jsontext.load(str(tmp_path / "f"), "x")) == 16 * 1024 * 1024


def test_load_does_not_wait_for_a_fifo(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "f")
    with pytest.raises(ConfigError, match="expected a regular file, found a FIFO"):
        jsontext.load(str(tmp_path / "f"), "x")


@pytest.mark.parametrize(("path", "kind"), [("/", "a folder"), ("/dev/null", "a character device")])
def test_load_refuses_what_is_no_regular_file(path: str, kind: str) -> None:
    with pytest.raises(ConfigError, match=f"expected a regular file, found {kind}"):
        jsontext.load(path, "x")


def test_load_words_the_kernels_refusal(tmp_path: pathlib.Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match=r"x: cannot be read: .*loop: too many levels of symbolic links"):
        jsontext.load(str(tmp_path / "loop"), "x")


def test_load_refuses_a_nul_in_the_name() -> None:
    with pytest.raises(ConfigError, match="holds a NUL character"):
        jsontext.load("a\0b", "x")


def test_load_leaves_no_descriptor_open(tmp_path: pathlib.Path) -> None:
    before = os.listdir("/proc/self/fd")
    for path in ("/", "/dev/null"):
        with pytest.raises(ConfigError):
            jsontext.load(path, "x")
    assert os.listdir("/proc/self/fd") == before
