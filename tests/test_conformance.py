"""scripts/lib/conformance.py: reading what bats says, and not waiting for ever."""

import importlib.util
import subprocess
import time
from pathlib import Path
from types import ModuleType

import pytest

LIB = Path(__file__).resolve().parent.parent / "scripts" / "lib"


@pytest.fixture(scope="module")
def conformance() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance", LIB / "conformance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ok 1 run [tty]", ("ok", "run [tty]", None)),
        ("not ok 12 it's #1", ("not ok", "it's #1", None)),
        ("ok 3 limits # skip test requires cgroups_v1", ("ok", "limits", "test requires cgroups_v1")),
        ("ok 3 limits # skip", ("ok", "limits", "")),
        ("ok 7 slow in 1204ms", ("ok", "slow", None)),
        ("1..18", None),
        ("# ok 1 of another", None),
    ],
)
def test_a_line_of_bats(conformance: ModuleType, line: str, found: "tuple[str | None, ...] | None") -> None:
    match = conformance.RESULT.match(line)
    assert (match and match.groups()) == found


def test_the_tests_of_a_file_in_order(conformance: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "a.bats"
    file.write_text('load helpers\n@test "b [x]" {\n}\n# @test "no" {\n@test "a \\"quoted\\" $one" {\n}\n')
    assert conformance.names_in(file) == ["b [x]", 'a "quoted" $one']


@pytest.mark.parametrize("name", ["a [b] (c)", 'with "quotes" and $x', "a.b|c*", "uid=0 --flag, /dev/x: y"])
def test_a_name_is_found_by_its_pattern(conformance: ModuleType, name: str) -> None:
    found = subprocess.run(["bash", "-c", "[[ $1 =~ ^($2)$ ]]", "-", name, conformance.pattern(name)], check=False)
    assert found.returncode == 0


def test_silence_ends_the_command(conformance: ModuleType) -> None:
    began = time.monotonic()
    with subprocess.Popen(["sh", "-c", "echo one; exec sleep 60"], stdout=subprocess.PIPE) as process:
        assert list(conformance.lines_of(process, 1)) == ["one", None]
    assert process.returncode == -15
    assert time.monotonic() - began < 30
