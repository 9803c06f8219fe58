"""`features`. For the schema give its folder in the environment variable PYRUNTIME_SPEC_SCHEMA."""

import json
import os
from pathlib import Path

import pytest

from pyruntime.cli.verbs.features import document
from pyruntime.config.linux import MemoryPolicy
from pyruntime.config.seccomp import Seccomp
from pyruntime.config.spec import Config
from pyruntime.config.validate import validate
from pyruntime.engine import engines
from pyruntime.engine.base import Abilities
from pyruntime.kernel.mempolicy import FLAGS, MODES
from pyruntime.kernel.seccomp import FLAGS as KERNEL_FLAGS
from tests.cli.verbs.box import Box

FOLDER = Path(os.environ.get("PYRUNTIME_SPEC_SCHEMA") or "/nonexistent")


def test_json_on_stdout_and_nothing_else(box: Box, tmp_path: Path) -> None:
    done = box.plain("features", env={})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith('{\n    "ociVersionMin": "1.0.0",\n    "ociVersionMax": "1.3.0"')
    assert done.stdout.endswith("}\n")
    assert json.loads(done.stdout) == document()


@pytest.mark.skipif(not (FOLDER / "features-schema.json").is_file(), reason="PYRUNTIME_SPEC_SCHEMA names no folder")
def test_the_specification_agrees() -> None:
    from jsonschema import Draft4Validator
    from referencing import Registry
    from referencing.jsonschema import DRAFT4

    registry = Registry().with_resources(
        (path.name, DRAFT4.create_resource(json.loads(path.read_text()))) for path in FOLDER.glob("*.json")
    )
    schema = {"id": "features-schema.json", **json.loads((FOLDER / "features-schema.json").read_text())}
    Draft4Validator(schema, registry=registry).validate(document())


def test_filters_of_system_calls() -> None:
    found = document()["linux"]["seccomp"]
    assert found["enabled"] is True
    assert {"SCMP_ACT_NOTIFY", "SCMP_ACT_ERRNO"} <= set(found["actions"])
    assert {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"} <= set(found["archs"])
    for action in found["actions"]:
        Seccomp.read({"defaultAction": action}, "")
    for flag in found["supportedFlags"]:
        assert flag in KERNEL_FLAGS


TAKEN = {
    "intelRdt": {"intelRdt": {"closID": "x", "schemata": ["L3:0=f"], "enableMonitoring": True}},
    "netDevices": {"netDevices": {"eth0": {"name": "eth1"}}},
    "selinux": {"mountLabel": "x"},
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_on_is_taken_in_a_configuration(name: str) -> None:
    assert document()["linux"][name]["enabled"] is True
    linux = {"namespaces": [{"type": kind} for kind in ("mount", "network")], **TAKEN[name]}
    process = {"cwd": "/", "args": ["true"]}
    validate(Config.read({"ociVersion": "1.3.0", "root": {"path": "rootfs"}, "process": process, "linux": linux}, ""))


@pytest.mark.parametrize("flag", ["", *document()["linux"]["memoryPolicy"]["flags"]])
@pytest.mark.parametrize("mode", document()["linux"]["memoryPolicy"]["modes"])
def test_every_memory_policy_that_is_told_is_taken(mode: str, flag: str) -> None:
    policy = MemoryPolicy.read({"mode": mode, "flags": [flag] if flag else []}, "linux.memoryPolicy")
    assert policy.mode in MODES
    assert set(policy.flags) <= set(FLAGS)


def test_engines_look_for_these() -> None:
    found = document()
    assert "rro" in found["mountOptions"]
    assert {"idmap", "ridmap"} <= set(found["mountOptions"])
    assert found["linux"]["mountExtensions"] == {"idmap": {"enabled": True}}
    assert found["linux"]["cgroup"]["v2"] is True
    assert found["annotations"]["org.opencontainers.runc.checkpoint.enabled"] == "false"


ABLE = engines.Answer("wasmtime", "1", Abilities(("wat",), ("0.1",), (), ("fuel",), artefacts=True))
ABSENT = engines.Answer("wasmtime", "", None, "engine wasmtime: not there")


@pytest.mark.parametrize(("answer", "announced"), [(ABLE, True), (ABSENT, False)])
def test_wasm_is_announced_when_an_engine_can_run(
    monkeypatch: pytest.MonkeyPatch, answer: engines.Answer, announced: bool
) -> None:
    monkeypatch.setattr(engines, "survey", lambda: [answer])
    found = document()["annotations"]
    assert (found.get("run.oci.crun.wasm") == "true") is announced
    assert found.get("pyruntime.wasm.wasmtime.limits") == ("fuel" if announced else None)
    assert found.get("pyruntime.wasm.wasmtime.absent") == (None if announced else "engine wasmtime: not there")
