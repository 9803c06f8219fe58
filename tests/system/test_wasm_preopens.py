"""What a guest may open when an annotation says less than all of the container, for every engine."""

from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, mount
from tests.system.wasm import Wasm
from tests.system.wat import APPEND, BADF, CREATE, READ, WRITE, Program, told


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory for a bind mount, with a file in it."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "note").write_text("seen")
    return folder


def looking(wasm: Wasm, data: Path, preopens: str, options: "tuple[str, ...]" = ("rbind",)) -> Bundle:
    """A guest that reads and makes a file below its first directory, with `data` mounted on /data."""
    program = Program()
    program.say("note", program.open(0, "note"))
    program.drop(program.read(program.slot(0))).show().print("\n")
    program.say("made", program.open(1, "made", CREATE, READ | WRITE))
    bundle = wasm(program)
    bundle.config["mounts"].append(mount("/data", "bind", list(options), str(data)))
    bundle.config["annotations"]["pyruntime.wasm.preopens"] = preopens
    return bundle


def test_none(rt: Runtime, wasm: Wasm, data: Path) -> None:
    if wasm.engine == "wasmer":
        pytest.skip("wasmer 1.1 puts an empty root directory of its own before all others")
    result = rt.run(looking(wasm, data, "none"))
    assert told(result.out) == {"note": BADF, "made": BADF}, result


def test_one_directory(rt: Runtime, wasm: Wasm, data: Path) -> None:
    if wasm.engine == "wasmer":
        pytest.skip("wasmer 1.1 puts an empty root directory of its own before all others")
    result = rt.run(looking(wasm, data, "/data"))
    assert (result.rc, result.out) == (0, "note 0\nseen\nmade 0\n")
    assert (data / "made").exists()


@pytest.mark.parametrize("options", [("rbind",), ("rbind", "ro")], ids=["by the engine", "by the kernel"])
def test_read_only(rt: Runtime, wasm: Wasm, data: Path, options: "tuple[str, ...]") -> None:
    if wasm.engine == "wasmer":
        pytest.skip("wasmer 1.1 has no read-only directories, and one of its own before all others")
    result = rt.run(looking(wasm, data, "/data:ro" if len(options) == 1 else "/data", options))
    if len(options) == 1 and wasm.engine in ("wasmedge", "wamr"):  # which have none: better no guest than one that may
        assert result.rc != 0
        assert "read-only" in result.err
        assert not (data / "made").exists()
        return
    assert result.out.startswith("note 0\nseen\nmade ")
    assert told(result.out)["made"] != 0
    assert not (data / "made").exists()


def test_a_directory_that_is_not_there(rt: Runtime, wasm: Wasm, data: Path) -> None:
    result = rt.run(looking(wasm, data, "/nowhere"))
    assert result.rc != 0
    assert "/nowhere" in result.err
    assert result.err.count("\n") == 1


def test_a_wrong_value_is_refused_before_anything_is_made(rt: Runtime, wasm: Wasm, data: Path) -> None:
    result = rt.run(looking(wasm, data, "data"))
    assert result.rc == 1
    assert result.err.count("pyruntime.wasm.preopens") == 1
    assert rt.containers() == []


def test_appending(rt: Runtime, wasm: Wasm, tmp_path: Path) -> None:
    """Engines append by a call of their own, which the filter of system calls has to let through."""
    program = Program()
    program.say("open", program.open(0, "tmp/log", CREATE, READ | WRITE, mode=APPEND))
    program.say("first", program.write(0, "one"))
    program.say("second", program.write(0, "two"))
    bundle = wasm(program)
    result = rt.run(bundle)
    assert told(result.out) == {"open": 0, "first": 0, "second": 0}, result
    assert (bundle.rootfs / "tmp/log").read_text() == "onetwo"
