"""Choosing among engines, and what is said when none can run."""

import sys
from pathlib import Path

import pytest

from pyruntime.engine import engines, find, native
from pyruntime.engine.base import Limits
from pyruntime.engine.engines import load, make, survey
from pyruntime.engine.select import ENGINES, Selection
from pyruntime.errors import Error, Unsupported


@pytest.fixture
def no_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "places", lambda: [str(tmp_path)])
    monkeypatch.setattr(native, "directories", lambda: [str(tmp_path)])


def selection(engine: str = "", wasm: bytes = b"(module)") -> Selection:
    return Selection(engine, "/hello.wat", wasm, "process.args[0]")


@pytest.mark.usefixtures("no_packages")
def test_without_any_engine_the_error_says_how_to_get_one() -> None:
    with pytest.raises(Unsupported) as caught:
        load(selection())
    assert caught.value.text.startswith("process.args[0]: engine wasmtime: no Python package wasmtime")
    assert "pip install wasmtime" in caught.value.text
    assert caught.value.text.endswith("; absent as well: wasmer, wasmedge, wamr (why: pyruntime wasm engines)")


@pytest.mark.usefixtures("no_packages")
def test_an_engine_asked_for_by_name_is_the_only_one_tried() -> None:
    with pytest.raises(Unsupported) as caught:
        load(selection("wasmtime"))
    assert "wasmer" not in caught.value.text


IMPORTING = b"\0asm\1\0\0\0" + b"\1\4\1\x60\0\0" + b"\2\x0f\1\1w\x09sock_open\0\0"


@pytest.mark.usefixtures("no_packages")
@pytest.mark.parametrize(
    ("wasm", "asked", "tried"),
    [
        (IMPORTING, "", ["wasmedge"]),
        (IMPORTING, "wamr", ["wamr"]),
        (IMPORTING[:-4], "", list(ENGINES)),  # cut off: whoever reads it says so
        (b"\0asm\1\0\0\0" + b"\0\x0b\1a\x09sock_open", "", list(ENGINES)),
    ],
)
def test_a_module_that_imports_wasmedges_sockets_is_for_wasmedge(wasm: bytes, asked: str, tried: "list[str]") -> None:
    with pytest.raises(Unsupported) as caught:
        load(Selection(asked, "/echo.wasm", wasm, "process.args[0]"))
    assert [name for name in ENGINES if f" {name}" in caught.value.text] == tried


@pytest.mark.skipif(sys.version_info[:2] == (3, 10), reason="the one version wasmer's package has code for")
def test_wasmer_says_that_it_wants_another_python() -> None:
    with pytest.raises(Error, match=r"CPython 3\.10 only"):
        make("wasmer").probe()


@pytest.mark.usefixtures("no_packages")
def test_every_engine_answers_with_its_reason() -> None:
    answers = survey()
    assert tuple(answer.name for answer in answers) == ENGINES
    assert all(str(answer.to_json()["absent"]).startswith("engine ") for answer in answers)


def test_a_bad_module_is_told_with_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    class Picky:
        name = "picky"
        kinds = ("wasm-module",)
        limits = ()
        writes_files = False

        def probe(self) -> str:
            return "1"

        def cache_key(self, limits: Limits) -> str:
            return "1"

        def compile(self, wasm: bytes, limits: Limits) -> bytes:
            raise Error("not a valid Wasm module: too short")

    monkeypatch.setattr(engines, "make", lambda name: Picky())
    with pytest.raises(Error, match=r"^process.args\[0\]: /hello.wat: not a valid Wasm module: too short$"):
        load(selection())
