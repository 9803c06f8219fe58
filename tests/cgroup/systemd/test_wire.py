"""Bytes of D-Bus: against vectors made by hand, against another implementation, and there and back."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.cgroup.systemd import wire

_NUMBERS = {"y": (0, 255), "n": (-(2**15), 2**15 - 1), "q": (0, 2**16 - 1), "i": (-(2**31), 2**31 - 1)}
_NUMBERS |= {"u": (0, 2**32 - 1), "x": (-(2**63), 2**63 - 1), "t": (0, 2**64 - 1)}


@pytest.mark.parametrize(
    ("signature", "values", "expected"),
    [
        ("", [], b""),
        ("y", [7], b"\7"),
        ("yu", [1, 2], b"\1\0\0\0\2\0\0\0"),
        ("s", ["foo"], b"\3\0\0\0foo\0"),
        ("g", ["a{sv}"], b"\5a{sv}\0"),
        ("b", [True], b"\1\0\0\0"),
        ("yt", [1, 2], b"\1" + bytes(7) + b"\2" + bytes(7)),
        ("au", [[5]], b"\4\0\0\0\5\0\0\0"),
        ("at", [[]], b"\0\0\0\0\0\0\0\0"),
        ("v", [("u", 9)], b"\1u\0\0\x09\0\0\0"),
        ("(yu)", [[1, 2]], b"\1\0\0\0\2\0\0\0"),
        ("ay", [b"\1\2"], b"\2\0\0\0\1\2"),
    ],
)
def test_what_the_specification_says(signature: str, values: "list[Any]", expected: bytes) -> None:
    assert wire.marshal(signature, values) == expected
    assert wire.unmarshal(signature, expected) == values


def types() -> "st.SearchStrategy[str]":
    simple = st.sampled_from([*_NUMBERS, "b", "s", "d"])
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            inner.map(lambda kind: f"a{kind}"),
            st.lists(inner, min_size=1, max_size=3).map(lambda kinds: f"({''.join(kinds)})"),
        ),
        max_leaves=5,
    )


def values(kind: str) -> "st.SearchStrategy[Any]":
    if kind in _NUMBERS:
        return st.integers(*_NUMBERS[kind])
    if kind == "b":
        return st.booleans()
    if kind == "d":
        return st.floats(allow_nan=False)
    if kind == "s":
        return st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
    if kind == "ay":
        return st.binary(max_size=9)
    if kind[0] == "a":
        return st.lists(values(kind[1:]), max_size=3)
    return st.tuples(*map(values, wire.types(kind[1:-1]))).map(list)


typed = types().flatmap(lambda kind: st.tuples(st.just(kind), values(kind)))


@given(st.lists(typed, max_size=4))
def test_there_and_back(fields: "list[tuple[str, Any]]") -> None:
    signature = "".join(kind for kind, _ in fields)
    data = wire.marshal(signature, [value for _, value in fields])
    assert wire.unmarshal(signature, data) == [value for _, value in fields]
    variants = wire.marshal("av", [fields])
    assert wire.unmarshal("av", variants) == [fields]


@given(st.lists(typed, min_size=1, max_size=3), st.data())
def test_a_cut_message_is_no_crash(fields: "list[tuple[str, Any]]", data: st.DataObject) -> None:
    signature = "".join(kind for kind, _ in fields)
    whole = wire.marshal(signature, [value for _, value in fields])
    part = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        wire.unmarshal(signature, part)
    except ValueError:
        pass


@given(st.binary(min_size=16, max_size=64))
def test_anything_may_come_in(data: bytes) -> None:
    try:
        wire.parse(data[: wire.length(data[:16])])
    except ValueError:
        pass


@pytest.mark.parametrize("signature", ["a", "(", "(u", "z", "a{sv", "u)"])
def test_no_signature(signature: str) -> None:
    with pytest.raises(ValueError, match="no signature"):
        list(wire.types(signature))


@pytest.mark.parametrize(
    ("signature", "values"), [("u", [-1]), ("y", [256]), ("u", ["x"]), ("uu", [1]), ("s", [None]), ("au", [[2**32]])]
)
def test_a_value_of_another_type(signature: str, values: "list[Any]") -> None:
    with pytest.raises(ValueError, match="."):
        wire.marshal(signature, values)


def test_a_call() -> None:
    fields = {wire.PATH: "/o", wire.INTERFACE: "i.f", wire.MEMBER: "M", wire.DESTINATION: "", wire.SIGNATURE: "su"}
    data = wire.call(5, fields, ["x", 1])
    assert wire.length(data[:16]) == len(data)
    message = wire.parse(data)
    assert (message.kind, message.body) == (wire.METHOD_CALL, ["x", 1])
    assert message.fields == {wire.PATH: "/o", wire.INTERFACE: "i.f", wire.MEMBER: "M", wire.SIGNATURE: "su"}


def test_a_message_of_the_other_byte_order() -> None:
    """As systemd on s390x sends them: the length of the body is 4, and in it is the number 7."""
    data = b"B\2\0\1" + b"\0\0\0\4" + b"\0\0\0\1" + b"\0\0\0\7" + b"\x08\1g\0\1u\0" + b"\0" + b"\0\0\0\7"
    assert wire.length(data[:16]) == len(data)
    assert wire.parse(data).body == [7]


@pytest.mark.parametrize(
    "start", [b"l\1\0\2" + bytes(12), b"X\1\0\1" + bytes(12), b"l\1\0\1\xff\xff\xff\xff" + bytes(8)]
)
def test_no_message(start: bytes) -> None:
    with pytest.raises(ValueError, match="message of D-Bus"):
        wire.length(start)


def test_as_another_implementation_has_it() -> None:
    low_level = pytest.importorskip("jeepney.low_level", reason="needs the package jeepney to compare with")
    properties = [
        ("Description", ("s", "container " + string.printable)),
        ("Delegate", ("b", True)),
        ("PIDs", ("au", [1, 2**32 - 1])),
        ("AllowedCPUs", ("ay", b"\x03\x80")),
        ("MemoryMax", ("t", 2**64 - 1)),
        ("Conditions", ("a(sbbs)", [("ConditionPathExists", False, True, "/x")])),
    ]
    values = ("x.scope", "replace", properties, [])
    signature = "ssa(sv)a(sa(sv))"
    fields = {
        wire.PATH: "/org/freedesktop/systemd1", wire.INTERFACE: "org.freedesktop.systemd1.Manager",
        wire.MEMBER: "StartTransientUnit", wire.DESTINATION: "org.freedesktop.systemd1", wire.SIGNATURE: signature,
    }  # fmt: skip
    header = low_level.Header(
        low_level.Endianness.little, low_level.MessageType.method_call, 0, 1, -1, 77,
        {low_level.HeaderFields(number): text for number, text in fields.items()},
    )  # fmt: skip
    theirs = low_level.Message(header, values).serialise(77)
    ours = wire.call(77, fields, values)
    assert wire.parse(theirs).body == wire.parse(ours).body
    assert wire.parse(theirs).fields == fields
    parser = low_level.Parser()
    parser.add_data(ours)
    message = parser.get_next_message()
    assert message is not None
    assert {field.value: value for field, value in message.header.fields.items()} == fields
    assert message.body[0] == "x.scope"
    assert [tuple(each) for each in message.body[2]][1:5] == properties[1:5]
