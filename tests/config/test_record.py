"""Records and the checks of single values."""

import json
from pathlib import Path

import pytest

from pyruntime.config import checks
from pyruntime.config.load import load_process_of
from pyruntime.config.record import Record, many, maybe, need, otherwise, table
from pyruntime.errors import ConfigError


class Inner(Record):
    number: int = need(checks.uint8)


class Sample(Record):
    """One field of every kind."""

    name: str = need(checks.string)
    class_: str = otherwise(checks.string, "", key="class")
    count: "int | None" = maybe(checks.int64)
    inner: "Inner | None" = maybe(Inner.read)
    always: Inner = otherwise(Inner.read, Inner(number=7))
    words: "list[str]" = many(checks.string)
    inners: "list[Inner]" = many(Inner.read)
    map: "dict[str, str]" = table(checks.string)


FULL = {
    "name": "n",
    "class": "c",
    "count": -5,
    "inner": {"number": 1},
    "always": {"number": 2},
    "words": ["a"],
    "inners": [{"number": 3}],
    "map": {"k": "v"},
}


def test_reads_every_kind_of_field() -> None:
    read = Sample.read(FULL, "")
    assert (read.name, read.class_, read.count, read.words, read.map) == ("n", "c", -5, ["a"], {"k": "v"})
    assert read.inner == Inner(number=1)
    assert read.always.number == 2
    assert read.inners == [Inner(number=3)]


def test_writes_back_what_it_read() -> None:
    assert Sample.read(FULL, "").to_json() == FULL
    assert Sample.read({"name": "n"}, "").to_json() == {"name": "n"}


def test_absent_fields_shine_through() -> None:
    read = Sample.read({"name": "n"}, "")
    assert (read.class_, read.count, read.inner, read.always.number) == ("", None, None, 7)
    assert (read.words, read.inners, read.map) == ([], [], {})
    assert not read.given("words")
    assert read.given("name")


def test_empty_is_given_and_null_is_not() -> None:
    read = Sample.read({"name": "n", "words": [], "count": None, "map": None}, "")
    assert [read.given(name) for name in ("words", "count", "map")] == [True, False, False]


def test_unknown_keys_are_ignored() -> None:
    assert Sample.read({"name": "n", "nmae": 1, "class_": 4, "read": 5}, "") == Sample(name="n")


def test_a_null_is_no_value_for_what_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"p.name: expected a string, got nothing: the key is missing"):
        Sample.read({"name": None}, "p")


def test_records_are_values() -> None:
    one = Sample(name="n", words=["a"])
    assert one == Sample.read({"name": "n", "words": ["a"]}, "")
    assert one != Sample(name="n")
    assert one != Inner(number=1)
    with pytest.raises(AttributeError, match=r"use replace\(count=...\)"):
        one.count = 3
    assert one.count is None


def test_replace_copies() -> None:
    one = Sample(name="n", count=1)
    other = one.replace(count=2, words=["w"])
    assert (one.count, one.words) == (1, [])
    assert (other.name, other.count, other.words) == ("n", 2, ["w"])
    assert not other.replace(count=None).given("count")


def test_defaults_are_not_changed_by_accident() -> None:
    one = Sample(name="n")
    with pytest.raises(TypeError, match="shared default"):
        one.words.append("x")
    with pytest.raises(TypeError, match="shared default"):
        one.map["x"] = "y"
    with pytest.raises(TypeError, match="shared default"):
        one.words += ["x"]
    assert (one.words, one.map, Sample(name="m").words) == ([], {}, [])


def test_construction_wants_known_and_needed_names() -> None:
    with pytest.raises(TypeError, match=r"Sample: unknown \['nmae'\], missing \['name'\]"):
        Sample(nmae="n")


def test_shows_itself() -> None:
    assert repr(Sample(name="n", inner=Inner(number=1))) == "Sample(name='n', inner=Inner(number=1))"


BAD_VALUES = [
    (checks.boolean, 1, "expected true or false, got 1"),
    (checks.boolean, "true", 'expected true or false, got "true"'),
    (checks.uint32, "root", 'expected an integer from 0 to 4294967295, got "root"'),
    (checks.uint32, True, "expected an integer from 0 to 4294967295, got true"),
    (checks.uint32, 1.0, "expected an integer from 0 to 4294967295, got 1.0"),
    (checks.uint32, 1e3, "got 1000.0"),
    (checks.uint32, -1, "got -1"),
    (checks.uint32, 2**32, "got 4294967296"),
    (checks.uint8, 256, "expected an integer from 0 to 255, got 256"),
    (checks.uint16, 65536, "from 0 to 65535"),
    (checks.uint64, 2**64, "from 0 to 18446744073709551615"),
    (checks.int32, 2**31, "from -2147483648 to 2147483647"),
    (checks.int64, -(2**63) - 1, "from -9223372036854775808 to 9223372036854775807"),
    (checks.uint32, int("9" * 4000), "got 9999"),
    (checks.string, None, "expected a string, got null"),
    (checks.string, ["x"], "expected a string, got a list"),
    (checks.string, {}, "expected a string, got an object"),
    (checks.string, "a\0b", r'"a\\x00b" holds a NUL character'),
    (checks.string, "\ud800", r'"\\ud800" holds half of a surrogate pair'),
    (checks.string, "a\udc80", "holds half of a surrogate pair"),
    (checks.nonempty, "", 'expected a string that is not empty, got ""'),
    (checks.absolute, "a", 'expected an absolute path, got "a"'),
    (checks.one_of("x", "y"), "z", 'expected one of "x", "y", got "z"'),
    (checks.one_of("x", "y"), ["x"], "got a list"),
    (checks.made_of("ab", "letters"), "abc", 'expected letters, got "abc"'),
    (checks.made_of("ab", "letters"), "acb", 'expected letters, got "acb"'),
    (checks.listed(checks.uint8), {}, "expected a list, got an object"),
    (checks.mapped(checks.uint8), [], "expected an object, got a list"),
    (checks.one_of("x"), "\x1b[31m" + "z" * 500, r'got "\\x1b\[31mz+…"$'),
]


@pytest.mark.parametrize(("check", "value", "words"), BAD_VALUES)
def test_bad_values_are_refused_in_one_short_line(check: "checks.Check[object]", value: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        check(value, "the.path")
    assert str(caught.value).startswith("the.path: ")
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def test_good_values_are_given_back() -> None:
    good = [
        (checks.boolean, False),
        (checks.uint64, 2**64 - 1),
        (checks.int64, -(2**63)),
        (checks.string, "größer 🐍"),
        (checks.absolute, "/"),
        (checks.made_of("ab", ""), ""),
        (checks.listed(checks.uint8), [0, 255]),
        (checks.mapped(checks.uint8), {"": 1}),
    ]
    for check, value in good:
        assert check(value, "p") == value


def test_paths_name_lists_and_maps() -> None:
    with pytest.raises(ConfigError) as caught:
        Sample.read({"name": "n", "inners": [{"number": 1}, {"number": "x"}]}, "a.b")
    assert caught.value.path == "a.b.inners[1].number"
    with pytest.raises(ConfigError) as caught:
        Sample.read({"name": "n", "map": {"a.b": 1}}, "")
    assert caught.value.path == 'map["a.b"]'
    with pytest.raises(ConfigError, match="holds a NUL"):
        Sample.read({"name": "n", "map": {"\0": "x"}}, "")
    with pytest.raises(ConfigError, match="p: expected an object, got a list"):
        Sample.read([], "p")


def test_the_key_of_a_renamed_attribute_stands_in_the_error() -> None:
    with pytest.raises(ConfigError, match=r"p.class: expected a string, got 1"):
        Sample.read({"name": "n", "class": 1}, "p")


@pytest.mark.parametrize("key", ["NAME", "Name", "nAME"])
def test_a_key_in_other_case_is_the_key(key: str) -> None:
    assert Sample.read({key: "n"}, "").name == "n"
    assert Sample.read({"name": "n", "Always": {"NUMBER": 2}}, "").always.number == 2
    with pytest.raises(ConfigError, match=rf"^at\.{key}: expected a string, got 1$"):
        Sample.read({key: 1}, "at")


@pytest.mark.parametrize("key", ["word\u017f", "WORD\u017f"])
def test_letters_of_other_scripts_fold_as_go_folds_them(key: str) -> None:
    """U+017F is a small s to Go's encoding/json, and the way to write a key that looks like another."""
    assert Sample.read({"name": "n", key: ["a"]}, "").words == ["a"]


def test_what_folds_to_more_letters_is_another_key() -> None:
    class Class(Record):
        mass: str = otherwise(checks.string, "")

    assert Class.read({"maß": "a"}, "").mass == ""
    assert Class.read({"MASS": "a"}, "").mass == "a"


def test_a_key_in_two_cases_is_refused() -> None:
    """Readers differ in which of them counts, and one may confine less than the other."""
    for first, second in (("name", "Name"), ("Name", "name"), ("NAME", "Name")):
        problem = f"is there twice, in upper and lower case: also as {first}; remove one of them"
        with pytest.raises(ConfigError, match=f"^{second}: {problem}$"):
            Sample.read({first: "n", second: "m"}, "")
    assert Sample.read({"name": "n", "Name": None}, "").name == "n"


class Outer(Record):
    sample: "Sample | None" = maybe(Sample.read)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"name": "n"}, {"Count": 1}),
        ({"COUNT": 1}, {"name": "n"}),
        ({"name": "n", "count": None}, {"count": 1, "Name": None}),
        ({"name": "n", "unknown": 1}, {"count": 1, "unknown": 2}),
    ],
)
def test_objects_under_a_key_in_two_cases_are_joined(one: "dict[str, object]", other: "dict[str, object]") -> None:
    """As runc's reader fills one structure from both; what is needed may be in either."""
    expected = Outer(sample=Sample(name="n", count=1))
    assert Outer.read({"sample": one, "Sample": other}, "") == expected
    assert Outer.read({"SAMPLE": one, "unknown": 1, "Sample": other}, "") == expected
    assert Outer.read({"sample": one, "SAMPLE": {}, "Sample": other}, "") == expected


def test_joining_goes_on_below() -> None:
    class Top(Record):
        outer: "Outer | None" = maybe(Outer.read)

    one = {"sample": {"name": "n", "inner": {"number": 1}, "map": {"a": "1"}}}
    read = Top.read({"outer": one, "Outer": {"Sample": {"Map": {"A": "2"}, "words": ["w"]}}}, "")
    inner = Inner(number=1)
    assert read == Top(outer=Outer(sample=Sample(name="n", inner=inner, words=["w"], map={"a": "1", "A": "2"})))


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ({"name": "n"}, {"name": "n"}, "at.Sample.name"),
        ({"name": "n", "count": 1}, {"Count": 2}, "at.Sample.Count"),
        ({"name": "n", "inner": {"number": 1}}, {"Inner": {"NUMBER": 2}}, "at.Sample.Inner.NUMBER"),
        ({"name": "n", "words": []}, {"words": ["a"]}, "at.Sample.words"),
        ({"name": "n", "inners": [{"number": 1}]}, {"inners": []}, "at.Sample.inners"),
        ({"name": "n", "map": {"k": "1"}}, {"map": {"k": "1"}}, "at.Sample.map"),
        ({"name": "n"}, [], "at.Sample"),
    ],
)
def test_what_is_set_in_both_cases_is_refused(one: "dict[str, object]", other: object, path: str) -> None:
    for nothing in ({}, {"unknown": 1}):
        with pytest.raises(ConfigError, match=rf"^{path}: is there twice, in upper and lower case: also as at\.sample"):
            Outer.read({"sample": one, "Sample": other, **nothing}, "at")


def test_an_error_in_what_is_joined_is_told_for_its_place() -> None:
    with pytest.raises(ConfigError, match=r"^Sample\.Count: expected an integer"):
        Outer.read({"sample": {"name": "n"}, "Sample": {"Count": "x"}}, "")
    with pytest.raises(ConfigError, match=r"^sample\.name: "):
        Outer.read({"sample": {"count": 1}, "Sample": {"words": []}}, "")
    with pytest.raises(ConfigError, match=r"^sample\.Name: is there twice, .* also as sample\.name"):
        Outer.read({"sample": {"name": "n", "Name": "m"}, "Sample": {}}, "")


def test_names_of_a_map_are_no_keys() -> None:
    assert Sample.read({"name": "n", "map": {"k": "1", "K": "2"}}, "").map == {"k": "1", "K": "2"}


def test_the_process_alone_is_found_under_the_same_keys(tmp_path: Path) -> None:
    """`exec` reads no more of a bundle than that, and must find what `create` found."""
    file = tmp_path / "config.json"
    for key in ("process", "Process", "PROCESS"):
        file.write_text(json.dumps({"hostname": 5, key: {"args": ["true"], "cwd": "/"}}))
        process = load_process_of(str(file))
        assert process is not None
        assert process.args == ["true"]
    file.write_text(json.dumps({"process": {"args": ["true"]}, "Process": {"Cwd": "/tmp"}, "linux": 5}))
    process = load_process_of(str(file))
    assert process is not None
    assert (process.args, process.cwd) == (["true"], "/tmp")
    for text in ('{"proceß": {"args": ["true"]}}', '{"process": null}', "{}"):
        file.write_text(text)
        assert load_process_of(str(file)) is None
