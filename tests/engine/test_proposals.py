"""The module of each proposal is what its text says, and no more than that proposal is needed for it."""

import pytest

from pyruntime.engine.proposals import MODULES, supported

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime, which translates the text, is not installed")

TEXTS = {
    "multi-value": "(module (func (result i32 i32) i32.const 0 i32.const 0))",
    "bulk-memory": "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))",
    "reference-types": "(module (func (drop (ref.null extern))))",
    "simd": "(module (func (drop (v128.const i64x2 0 0))))",
    "relaxed-simd": "(module (func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))))",
    "tail-call": "(module (func (return_call 0)))",
    "extended-const": "(module (global i32 (i32.add (i32.const 0) (i32.const 0))))",
    "threads": "(module (memory 1 1 shared))",
    "memory64": "(module (memory i64 1))",
    "multi-memory": "(module (memory 1) (memory 1))",
    "exception-handling": "(module (tag) (func (block (try_table (catch 0 0) (throw 0)))))",
    "function-references": "(module (type (func)) (func (param (ref 0)) (call_ref 0 (local.get 0))))",
    "gc": "(module (type (struct)) (func (drop (struct.new 0))))",
    "wide-arithmetic": "(module (func (param i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 0))))",
}


def test_there_is_a_text_for_each() -> None:
    assert list(TEXTS) == list(MODULES)


@pytest.mark.parametrize("name", TEXTS)
def test_the_module_is_the_text(name: str) -> None:
    assert bytes(wasmtime.wat2wasm(TEXTS[name]))[8:].hex() == MODULES[name]


def test_those_that_an_engine_takes() -> None:
    engine = wasmtime.Engine()

    def valid(wasm: bytes) -> bool:
        try:
            wasmtime.Module.validate(engine, wasm)
        except wasmtime.WasmtimeError:
            return False
        return True

    assert set(supported(valid)) == set(MODULES)
    assert supported(lambda wasm: False) == ()
