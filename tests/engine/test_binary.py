"""Sections: what is found and what is left out, of real modules and of damaged ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.engine.binary import has_import, has_start, memories, pages, sections, without_custom
from pyruntime.engine.refuse import require_memory
from pyruntime.errors import Error

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime, which translates the text, is not installed")


def binary(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def custom(name: bytes, content: bytes) -> bytes:
    body = bytes([len(name)]) + name + content
    return bytes([0, len(body)]) + body


PLAIN = binary('(module (memory 3) (func (export "_start")))')


def test_a_custom_section_is_left_out_and_others_stay() -> None:
    ours, other = custom(b"wasmedge", b"native code"), custom(b"name", b"kept")
    assert without_custom(PLAIN + ours + other + ours, b"wasmedge") == PLAIN + other
    assert without_custom(PLAIN, b"wasmedge") == PLAIN


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("(module)", []),
        ("(module (memory 3))", [3]),
        ("(module (memory 200 300) (memory 1))", [200, 1]),
        ("(module (memory i64 2 70000))", [2]),
        ('(module (import "a" "b" (memory 9)))', []),
    ],
)
def test_memories_of_its_own(text: str, pages: "list[int]") -> None:
    assert memories(binary(text)) == pages


def test_a_start_section() -> None:
    assert has_start(binary("(module (func) (start 0))"))
    assert not has_start(PLAIN)


def test_memory_beyond_the_limit_is_refused() -> None:
    require_memory(PLAIN, None)
    require_memory(PLAIN, 3 << 16)
    with pytest.raises(Error, match="starts with 196608 bytes of memory, and its limit is 196607"):
        require_memory(PLAIN, (3 << 16) - 1)


@given(st.binary(max_size=64))
def test_damage_is_an_error_and_never_another(tail: bytes) -> None:
    try:
        assert sum(end - start for _, start, _, end in sections(PLAIN[:8] + tail)) == len(tail)
        without_custom(PLAIN[:8] + tail, b"wasmedge")
    except Error:
        pass


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('(module (import "w" "sock_open" (func)))', True),
        ('(module (import "a" "b" (func)) (import "w" "sock_open" (func)))', True),
        ('(module (import "w" "sock_opening" (func)) (import "w" "a_sock_open" (func)))', False),
        ('(module (memory 1) (data (i32.const 0) "\\09sock_open") (func (export "sock_open")))', False),
        ("(module)", False),
    ],
)
def test_imports_by_name(text: str, found: bool) -> None:
    assert has_import(binary(text), b"sock_open") is found


@pytest.mark.parametrize(
    ("size", "expected"),
    [(65535, 0), (65536, 1), (1 << 32, 65536), (1 << 48, 65536), (0x7FFFFFFFFFFFF000, 65536)],
)
def test_pages_fit_into_the_number_that_engines_take(size: int, expected: int) -> None:
    """2 to the 48th bytes are 0 pages in 32 bits: no memory for one engine, no limit for another."""
    assert pages(size) == expected
