"""Engines of other packages: a package is written into a directory, as pip leaves one, and found there."""

import os
import sys
from pathlib import Path

import pytest

from pyruntime.engine import find, plugins
from pyruntime.engine.base import Guest, Limits
from pyruntime.engine.engines import load, prepare, survey
from pyruntime.engine.select import Choice, Selection, choose
from pyruntime.errors import Error, Unsupported

CODE = """
from pyruntime.engine.base import Abilities

class Loaded:
    engine = "tiny"

    def __init__(self, artefact):
        self.artefact = artefact

    def start(self, guest):
        return len(self.artefact) + len(guest.argv)

class Tiny:
    name, kinds, limits, writes_files = "tiny", ("wasm-module",), ("seconds",), False

    def probe(self):
        return "0.1"

    def abilities(self):
        return Abilities(self.kinds, ("0.1",), (), self.limits, False)

    def cache_key(self, limits):
        return ""

    def compile(self, wasm, limits):
        return wasm

    def load(self, artefact, selection, limits):
        return Loaded(artefact)
"""
ENTRY = "[console_scripts]\nx = y:z\n\n[pyruntime.wasm_engines]\n# a comment\ntiny = tiny_engine:Tiny\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one directory in which packages are looked for; it holds the plug-in."""
    directory = tmp_path / "packages"
    (directory / "tiny_engine-0.1.dist-info").mkdir(parents=True)
    (directory / "tiny_engine-0.1.dist-info/entry_points.txt").write_text(ENTRY)
    (directory / "tiny_engine.py").write_text(CODE)
    monkeypatch.setattr(find, "places", lambda: [str(directory)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "tiny_engine", raising=False)
    return directory


def selection(engine: str = "tiny") -> Selection:
    return Selection(engine, "/m.wasm", b"\0asm\1\0\0\0", "process.args[0]")


@pytest.mark.usefixtures("site")
def test_a_plug_in_is_found_and_runs() -> None:
    assert plugins.names() == ("tiny",)
    assert load(selection()).start(Guest(["a", "b"], [])) == 10


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(("value", "verdict"), [("tiny", "wasm"), ("tiny-smart", "content")])
def test_an_annotation_asks_for_it(value: str, verdict: str) -> None:
    chosen: Choice = choose({"run.oci.handler": value}, "/program")
    assert (chosen.verdict, chosen.engine) == (verdict, "tiny")


@pytest.mark.usefixtures("site")
def test_an_unknown_handler_is_told_what_there_is() -> None:
    with pytest.raises(Unsupported, match='no handler "dance"; use one of wasm, .*wamr, tiny, or'):
        choose({"run.oci.handler": "dance"}, "/program")


@pytest.mark.usefixtures("site")
def test_it_says_what_it_can_do_beside_the_others() -> None:
    last = survey()[-1].to_json()
    assert (last["name"], last["version"], last["limits"]) == ("tiny", "0.1", ["seconds"])


@pytest.mark.usefixtures("site")
def test_a_limit_that_it_does_not_keep_is_refused() -> None:
    with pytest.raises(Unsupported, match="engine tiny: keeps no limit of fuel"):
        prepare(selection(), Limits(fuel=1), demanded=("fuel",))


def test_what_everybody_can_write_is_not_imported(site: Path) -> None:
    (site / "tiny_engine.py").chmod(0o666)
    with pytest.raises(Unsupported, match=r"tiny_engine\.py can be written by everybody"):
        load(selection())
    assert "tiny_engine" not in sys.modules


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_metadata_of_somebody_else_is_refused(site: Path) -> None:
    os.chown(site / "tiny_engine-0.1.dist-info/entry_points.txt", 12345, 12345)
    with pytest.raises(Unsupported, match=r"entry_points\.txt belongs to uid 12345"):
        load(selection())


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import nothing_of_the_kind", "No module named"),
        ("class Other: pass", "has no attribute 'Tiny'"),
        ("class Tiny: name = 'tiny'", "has no kinds, limits"),
        (CODE.replace('"tiny", (', '"other", ('), "calls itself other"),
    ],
)
def test_a_broken_plug_in_is_an_error_of_one_line(site: Path, code: str, why: str) -> None:
    (site / "tiny_engine.py").write_text(code)
    with pytest.raises(Unsupported, match=why) as caught:
        load(selection())
    assert "\n" not in caught.value.text


def test_without_its_package_the_metadata_is_no_engine(site: Path) -> None:
    (site / "tiny_engine.py").unlink()
    with pytest.raises(Unsupported, match=r"tiny_engine\.py is not there"):
        load(selection())


@pytest.mark.parametrize(
    "text",
    [
        "", "tiny = a:b", "[other]\ntiny = a:b", "[pyruntime.wasm_engines]\nwasmtime = a:b", "\0\xff", "[",
        "[pyruntime.wasm_engines]\nwasm = a:b", "[pyruntime.wasm_engines]\nno object",
        "[pyruntime.wasm_engines]\n= a:b",
        "[pyruntime.wasm_engines]\nTiny Engine = a:b", "[pyruntime.wasm_engines]\ntiny = a",
    ],
)  # fmt: skip
def test_what_names_no_engine(text: str) -> None:
    assert plugins.parse(text) == []


def test_nobody_has_it() -> None:
    with pytest.raises(Error, match="engine nobody: no package in"):
        plugins.make("nobody")
