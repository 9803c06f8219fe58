"""The imports of a component, from its bytes alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.engine.wasi.sections import imports
from pyruntime.engine.wasi.world import refuse_imports
from pyruntime.errors import Error

HEADER = b"\0asm\x0d\0\1\0"


def section(*entries: bytes, kind: int = 10) -> bytes:
    content = bytes((len(entries),)) + b"".join(entries)
    return bytes((kind, len(content))) + content


def entry(name: str, description: bytes) -> bytes:
    return bytes((0, len(name))) + name.encode() + description


def test_every_kind_of_import() -> None:
    binary = HEADER + section(
        entry("instance", b"\5\x00"),
        entry("function", b"\1\x81\1"),
        entry("resource", b"\3\1"),
        entry("same", b"\3\0\2"),
        entry("module", b"\0\x11\3"),
        entry("component", b"\4\0"),
    )
    names = ["instance", "function", "resource", "same", "module", "component"]
    assert imports(binary) == names
    custom = bytes((0, 3)) + b"abc"
    assert imports(binary[:8] + custom + binary[8:] + section(entry("later", b"\5\0"))) == [*names, "later"]


def test_what_is_cut_off_or_unknown_ends_the_list() -> None:
    binary = HEADER + section(entry("a:b/c@0.3.0", b"\5\0"), entry("x", b"\x7f"), entry("y", b"\5\0"))
    assert imports(binary) == ["a:b/c@0.3.0", "x"]
    assert imports(binary[:10]) == []


@given(st.binary(max_size=200))
def test_no_bytes_are_too_odd(data: bytes) -> None:
    imports(HEADER + data)


@pytest.mark.parametrize("name", ["wasi:cli/\x1b[2J\n@0.9.0" + "x" * 9000, "\x1b[2J\n" * 9000])
def test_a_name_that_is_refused_is_shown_in_part(name: str) -> None:
    with pytest.raises(Error) as error:
        refuse_imports([name])
    assert len(str(error.value)) < 400
    assert "\x1b" not in str(error.value)
