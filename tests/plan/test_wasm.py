"""Plans of modules: what is loaded when, and the filter of system calls."""

from typing import Any

import pytest

from pyruntime.engine.select import Selection, detect_joined
from pyruntime.errors import ConfigError, Unsupported
from pyruntime.steps.base import Step
from pyruntime.steps.guestfilter import MakeGuestFilter
from tests.plan.made import EVERY, document, facts, names, namespaces, plan, request
from tests.plan.test_golden import open_program
from tests.plan.test_order import FULL, MAPS, RANK, key, with_linux

SWITCH = "pyruntime.wasm.seccomp"
LABELS = ("SetAppArmorProfile", "SetSELinuxLabel")
PROFILE = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}


def module(config: "dict[str, Any]", **asked: Any) -> "list[Step]":
    selection = Selection("", "/guest.wasm", b"\0asm\1\0\0\0", "process.args[0]")
    return plan(config, facts(module=selection, apparmor=True), request(**asked))


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        (FULL, {}), (FULL, {"barrier": False}), (with_linux(seccomp=PROFILE), {}),
        (with_linux(namespaces=namespaces("user", *EVERY), uidMappings=MAPS, gidMappings=MAPS), {"barrier": False}),
    ],
)  # fmt: skip
def test_steps_follow_the_table(config: "dict[str, Any]", asked: "dict[str, Any]") -> None:
    """But for labels, which a native program gets earlier: they wait for its execve."""
    keys = [name for name in map(key, module(config, **asked)) if name not in LABELS]
    ranks = [RANK[name] for name in keys]
    assert ranks == sorted(ranks), keys


def test_the_filter_comes_right_before_the_module_and_after_the_images_hooks() -> None:
    found = [key(step) for step in module(FULL)]
    assert found[-2:] == ["FilterGuest", "EnterModule"]
    assert found.index("hooks.startContainer") < found.index("SetAppArmorProfile") < found.index("FilterGuest")
    assert found.index("PrepareModule") < found.index("MakeGuestFilter") < found.index("Clone")


@pytest.mark.parametrize(
    ("more", "ours"),
    [
        ({}, True), ({"linux": {"seccomp": {}}}, True), ({"linux": {"seccomp": PROFILE}}, False),
        ({"annotations": {SWITCH: "unconfined"}}, False), ({"annotations": {SWITCH: ""}}, True),
    ],
)  # fmt: skip
def test_who_gets_a_filter_of_ours(more: "dict[str, Any]", ours: bool) -> None:
    found = names(module(document(**more)))
    assert ("FilterGuest" in found) == ("MakeGuestFilter" in found) == ours
    assert ("LoadSeccomp" in found) == bool(more.get("linux", {}).get("seccomp"))


def test_a_native_program_gets_none() -> None:
    found = names(plan(document()))
    assert not {"MakeGuestFilter", "FilterGuest", "HideCommand", "SetNoNewPrivs"} & set(found)


@pytest.mark.parametrize("asked", [True, False, None])
def test_no_new_privs_always(asked: "bool | None") -> None:
    steps = module(document(process={} if asked is None else {"noNewPrivileges": asked}))
    (found,) = [step for step in steps if type(step).__name__ == "SetNoNewPrivs"]
    assert found.because == ("process.noNewPrivileges" if asked else "rule: a Wasm module gains no rights")


def test_a_filter_of_the_configuration_needs_no_right() -> None:
    """It is loaded late, as no_new_privs is set whatever the configuration says."""
    found = [key(step) for step in module(document(linux={"seccomp": PROFILE}))]
    assert "LoadSeccomp (privileged)" not in found
    assert found.index("LoadSeccomp") > found.index("WaitForStart")


def test_another_word_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unconfined"):
        module(document(annotations={SWITCH: "off"}))


def test_the_filter_is_made_for_the_engine() -> None:
    (found,) = [step for step in module(document()) if isinstance(step, MakeGuestFilter)]
    assert not found.network
    assert found.make("wasmtime") != found.make("wasmer")
    assert len(found.make("wasmtime")) % 8 == 0


# What `exec` runs


class Process:
    """As much of one as selection looks at."""

    def __init__(self, program: str, **more: Any) -> None:
        self.args = [program]
        self.env: "list[str]" = more.get("env", [])
        self.cwd = "/"


@pytest.mark.parametrize(
    ("program", "annotations", "engine"),
    [
        ("/a.wasm", {}, ""), ("/a.wasm", {"run.oci.handler": "wasmtime"}, "wasmtime"),
        ("/a.wasm", {"run.oci.handler": "wasmtime-smart"}, "wasmtime"),
        ("/a.wasm", {"module.wasm.image/variant": "compat"}, ""),
        ("/bin/sh", {}, None), ("/bin/sh", {"run.oci.handler": "wasm"}, None),
        ("/bin/sh", {"module.wasm.image/variant": "compat"}, None),
        ("/a.wasm", {"io.kubernetes.cri.container-type": "sandbox"}, None),
    ],
)  # fmt: skip
def test_content_decides_and_annotations_name_the_engine(
    program: str, annotations: "dict[str, str]", engine: "str | None"
) -> None:
    found = detect_joined(Process(program), annotations, open_program)  # type: ignore[arg-type]
    assert (found.engine if found else None) == engine


def test_a_function_of_a_module() -> None:
    def known(path: str) -> int:
        if path != "/a.wasm":
            raise FileNotFoundError(path)
        return open_program(path)

    found = detect_joined(Process("/a.wasm#other"), {}, known)  # type: ignore[arg-type]
    assert found is not None
    assert (found.path, found.function) == ("/a.wasm", "other")


def test_a_missing_program_is_left_to_execve() -> None:
    def absent(path: str) -> int:
        raise FileNotFoundError(path)

    assert detect_joined(Process("/gone.wasm"), {"run.oci.handler": "wasm"}, absent) is None  # type: ignore[arg-type]


def test_a_handler_that_is_not_there() -> None:
    with pytest.raises(Unsupported):
        detect_joined(Process("/a.wasm"), {"run.oci.handler": "spin"}, open_program)  # type: ignore[arg-type]
