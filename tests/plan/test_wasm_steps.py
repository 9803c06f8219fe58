"""Where a plan prepares, loads, checks and enters a module, and what of the configuration its guest is given."""

from typing import Any

import pytest

from pyruntime.engine.base import Guest
from pyruntime.engine.select import Selection
from pyruntime.errors import ConfigError
from pyruntime.steps.base import HOST, INIT, Step
from pyruntime.steps.wasm import EnterModule
from tests.plan.made import EVERY, document, facts, names, namespaces, plan

OURS = ("PrepareModule", "Clone", "LoadModule", "ChangeRoot", "CheckModule", "SetUser", "EnterModule")


def of_module(function: str = "_start", **changes: Any) -> "list[Step]":
    module = Selection("", "/app/m.wasm", b"\0asm\1\0\0\0", "process.args[0]", function=function)
    changes.setdefault("process", {"args": ["/app/m.wasm#go" if function == "go" else "/app/m.wasm", "word"]})
    return plan(document(**changes), facts(module=module))


def guest_of(steps: "list[Step]") -> Guest:
    (entered,) = (step for step in steps if isinstance(step, EnterModule))
    return entered.guest


@pytest.mark.parametrize("kinds", [EVERY, (*EVERY, "user")])
def test_the_order(kinds: "tuple[str, ...]") -> None:
    maps = [{"containerID": 0, "hostID": 1000, "size": 1000}]
    linux: "dict[str, Any]" = {"namespaces": namespaces(*kinds)}
    linux.update({"uidMappings": maps, "gidMappings": maps} if "user" in kinds else {})
    steps = of_module(linux=linux)
    found = names(steps)
    assert [name for name in found if name in OURS] == list(OURS)
    lanes = {type(step).__name__: step.lane for step in steps}
    assert [lanes[name] for name in OURS] == [HOST, HOST, INIT, INIT, INIT, INIT, INIT]
    assert found[found.index("Clone") + 1] == "LoadModule"  # before an identity is taken that may not read the files
    assert not {"FindProgram", "EncodeArguments", "Execve"} & set(found)


def test_a_program_has_none_of_it() -> None:
    assert not {"PrepareModule", "LoadModule", "CheckModule", "EnterModule"} & set(names(plan(document())))


@pytest.mark.parametrize(
    ("limit", "asked", "expected"),
    [(None, None, None), (64 << 20, None, 64 << 20), (-1, None, None), (64 << 20, "1MiB", 1 << 20),
     (64 << 20, "1GiB", 64 << 20), (None, "1MiB", 1 << 20)],
)  # fmt: skip
def test_memory(limit: "int | None", asked: "str | None", expected: "int | None") -> None:
    linux = {"namespaces": namespaces(*EVERY)}
    changes: "dict[str, Any]" = {
        "linux": linux if limit is None else {**linux, "resources": {"memory": {"limit": limit}}}
    }
    changes["annotations"] = {} if asked is None else {"pyruntime.wasm.memory": asked}
    assert guest_of(of_module(**changes)).limits.memory == expected


def test_time_fuel_and_address_space() -> None:
    process = {"args": ["/app/m.wasm"], "rlimits": [{"type": "RLIMIT_AS", "soft": 1 << 30, "hard": 1 << 31}]}
    annotations = {"pyruntime.wasm.timeout": "2.5", "pyruntime.wasm.fuel": "1000"}
    limits = guest_of(of_module(process=process, annotations=annotations)).limits
    assert (limits.seconds, limits.fuel, limits.address_space) == (2.5, 1000, 1 << 30)


def test_a_bad_annotation_gives_no_plan() -> None:
    with pytest.raises(ConfigError, match="pyruntime.wasm.fuel"):
        of_module(annotations={"pyruntime.wasm.fuel": "x"})


def test_arguments_and_function() -> None:
    guest = guest_of(of_module("go"))
    assert (guest.function, guest.argv, guest.cwd) == ("go", ["/app/m.wasm", "word"], "/")
    assert guest_of(of_module()).function == "_start"
