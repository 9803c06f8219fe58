"""`check`: what it says of good, doubtful and broken documents and bundles.

Configurations that container engines made are read from the folder in PYRUNTIME_ENGINE_CONFIGS, one a file, as
scripts/keep-configs collects them; the specification's own samples from the folder `schema` of its repository in
PYRUNTIME_SPEC_SCHEMA.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from pyruntime.config.load import read_config
from pyruntime.config.near import nearest
from pyruntime.config.validate import validate
from pyruntime.errors import ConfigError
from pyruntime.look.lint import lint, show
from pyruntime.look.lint.places import line_of, lines
from tests import strategies
from tests.config.documents import TYPICAL
from tests.plan.made import document

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "examples" / "bundles").glob("*/config.json"))
MADE = sorted(Path(os.environ.get("PYRUNTIME_ENGINE_CONFIGS") or "/nonexistent").glob("*.json"))
SAMPLES = Path(os.environ.get("PYRUNTIME_SPEC_SCHEMA") or "/nonexistent") / "test" / "config" / "good"


def found(value: "dict[str, Any]", tmp_path: Path) -> "dict[str, str]":
    file = tmp_path / "config.json"
    file.write_text(json.dumps(value))
    return {item.path: f"{item.level}: {item.problem}" for item in lint.document(str(file)).found}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_the_examples_are_clean(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "config.json"
    copy.write_text(file.read_text().replace("@BUNDLE@", "/bundle"))
    assert lint.document(str(copy)).found == []


@pytest.mark.skipif(not MADE, reason="PYRUNTIME_ENGINE_CONFIGS names no folder with configurations of engines")
def test_no_alarm_on_what_engines_write() -> None:
    alarms = {file.name: [i for i in lint.document(str(file)).found if i.level != "note"] for file in MADE}
    assert {name: items for name, items in alarms.items() if items} == {}
    assert len(alarms) >= 30


@pytest.mark.parametrize("words", ["spec", "spec --rootless"])
@pytest.mark.parametrize("peer", ["runc", "crun"])
def test_no_alarm_on_what_other_runtimes_write(peer: str, words: str, tmp_path: Path) -> None:
    """crun leaves it to itself to map the ids of a user who is not root; here that has to be said."""
    program = shutil.which(peer)
    if program is None:
        pytest.skip(f"{peer} is not installed")
    subprocess.run([program, *words.split()], cwd=tmp_path, check=True, timeout=20)
    alarms = [item for item in lint.document(str(tmp_path / "config.json")).found if item.level != "note"]
    if (peer, words) == ("crun", "spec --rootless"):
        assert [item.path for item in alarms] == ["linux.uidMappings"]
    else:
        assert alarms == []


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="PYRUNTIME_SPEC_SCHEMA names no folder with the spec's samples")
def test_nothing_but_the_truth_about_the_specs_samples() -> None:
    """Those for other systems aside: three have no process, one is of an old version with a key that is no more."""
    told = {
        file.name: [f"{item.path}: {item.problem}" for item in lint.document(str(file)).found if item.level != "note"]
        for file in SAMPLES.glob("*.json")
        if not file.name.startswith(("freebsd", "zos"))
    }
    none = "process: process property must not be empty"
    lonely = "network devices are moved into a network namespace"
    assert told.pop("linux-netdevice.json")[1].startswith(f'linux.netDevices["eth0"]: {lonely}')
    assert told == {
        "minimal.json": [none],
        "linux-rdma.json": [none],
        "minimal-for-start.json": [],
        "spec-example.json": [
            "linux.resources.oomScoreAdj: unknown key, it has no effect; it belongs to process",
            'ociVersion: expected 1.x, such as "1.3.0", got "0.5.0-dev"',
        ],
    }


@settings(max_examples=150, deadline=None)
@given(strategies.configs)
def test_an_error_is_what_create_refuses(value: "dict[str, Any]") -> None:
    refused = ""
    try:
        validate(read_config(json.dumps(value).encode()))
    except ConfigError as error:
        refused = error.text
    levels = {item.level for item in lint.of(value)}
    assert ("error" in levels) == bool(refused)


DOUBTS = [
    ({"process": {"args": ["sh -c ls"]}}, "process.args[0]", '["sh", "-c", "ls"]'),
    ({"process": {"args": ["sh"]}}, "process.env", "note: no PATH"),
    ({"linux": {"namespaces": []}}, "linux.namespaces", "note: none"),
    ({"linux": {"namespaces": [{"type": "pid"}]}}, "linux.namespaces", "mounted on the host"),
    ({"linux": {"resources": {"memory": {"limit": 512}}}}, "linux.resources.memory.limit", "536870912"),
    (
        {"linux": {"resources": {"devices": [{"allow": False, "access": "rwa"}]}}},
        "linux.resources.devices[0].access",
        'denies all of them, as "rwm" does',
    ),
    ({"mounts": [{"destination": "/d", "type": "bind", "source": "/s"}]}, "mounts[0].options", "other runtimes"),
    (
        {"mounts": [{"destination": "/d", "type": "bind", "source": "/s", "options": ["bind", "ro", "rw"]}]},
        "mounts[0].options",
        "the last one counts",
    ),
    (
        {"mounts": [{"destination": "/dev/shm", "type": "tmpfs"}, {"destination": "/dev", "type": "tmpfs"}]},
        "mounts[1].destination",
        "hides mounts[0], /dev/shm",
    ),
    ({"annotations": {"run.oci.handlers": "wasm"}}, 'annotations["run.oci.handlers"]', "run.oci.handler?"),
    ({"process": {"capabilities": {"ambient": ["CAP_KILL"]}}}, "process.capabilities.ambient[0]", "not permitted"),
]


@pytest.mark.parametrize(("part", "path", "said"), DOUBTS, ids=[path for _, path, _ in DOUBTS])
def test_a_doubt(part: "dict[str, Any]", path: str, said: str, tmp_path: Path) -> None:
    told = found(document(**part), tmp_path)
    assert said in told[path]
    assert not told[path].startswith("error")


def test_every_error_is_told_and_not_the_first_alone(tmp_path: Path) -> None:
    value = document(process={"cwd": "here", "env": ["novalue"], "oomScoreAdj": 5})
    assert {"process.cwd", "process.env[0]"} <= found(value, tmp_path).keys()
    wrong = document(process={"cwd": 1, "oomScoreAdj": 5000, "user": {"uid": -1, "gid": 0}})
    assert {"process.cwd", "process.oomScoreAdj", "process.user.uid"} == found(wrong, tmp_path).keys()


def run(launcher: Path, *words: "str | Path", **options: Any) -> "subprocess.CompletedProcess[str]":
    command = ["/usr/bin/python3", "-IBSXutf8", str(launcher), "check", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


def test_the_verb_on_a_bundle(launcher: Path, tmp_path: Path) -> None:
    (tmp_path / "rootfs").mkdir()
    file = tmp_path / "config.json"
    file.write_text(json.dumps(document(hostame="x"), indent=1))
    told = run(launcher, tmp_path)
    assert (told.returncode, told.stderr) == (1, "")
    number = file.read_text().splitlines().index(' "hostame": "x"') + 1
    assert told.stdout.startswith(f"{file}:{number}  warning  hostame: ")
    assert told.stdout.splitlines()[-1].startswith(f"{file}: 1 warning")
    assert run(launcher, cwd=tmp_path).returncode == 1
    assert json.loads(run(launcher, "--json", "-b", tmp_path).stdout)["findings"][0] == {
        "level": "warning",
        "path": "hostame",
        "line": number,
        "problem": "unknown key, it has no effect; did you mean hostname?",
    }


def test_a_missing_rootfs_is_an_error_of_the_bundle_alone(launcher: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(document()))
    assert run(launcher, "--config", file).stdout == f"{file}: nothing to complain about\n"
    told = run(launcher, tmp_path)
    assert told.returncode == 1
    assert "error    root.path: invalid rootfs: " in told.stdout


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1, "a": 2}', "nonsense"])
def test_a_file_that_is_no_document(launcher: Path, tmp_path: Path, content: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    told = run(launcher, "-f", file)
    assert (told.returncode, told.stderr) == (1, "")
    assert told.stdout.splitlines()[-1] == f"{file}: 1 error"


def test_wrong_uses(launcher: Path, tmp_path: Path) -> None:
    assert "no such file or directory; name a bundle" in run(launcher, tmp_path / "none").stderr
    assert "expected one of" in run(launcher, tmp_path, "--config", tmp_path / "config.json").stderr


def test_lines_of_a_text() -> None:
    text = '{\n"a": [1,\n {"b": "}\\"]"}],\n\n"m": {"x.y": [true]}, "n": -1.5e3}'
    places = lines(text)
    assert {path: places[path] for path in ("a", "a[0]", "a[1]", "a[1].b", "m", 'm["x.y"]', "n")} == {
        "a": 2, "a[0]": 2, "a[1]": 3, "a[1].b": 3, "m": 5, 'm["x.y"]': 5, "n": 5,
    }  # fmt: skip
    assert line_of("a[1].c", places) == 3
    assert line_of("z", places) is None


def test_nearest() -> None:
    assert nearest("Hostname", ["hostname", "domainname"]) == "hostname"
    assert nearest("memmory", ["memory", "pids"]) == "memory"
    assert nearest("frobnicate", ["memory", "pids"]) is None
    assert nearest("ro", ["rw", "ro"]) is None


def test_the_typical_document_is_sound(tmp_path: Path) -> None:
    assert not [said for said in found(TYPICAL, tmp_path).values() if said.startswith("error")]


def test_what_it_prints_has_a_last_line() -> None:
    assert show.summary(lint.Report("f", [], {})) == "f: nothing to complain about\n"


@pytest.mark.parametrize("words", [["run", "-b", "BOX"], ["--debug", "create", "--bundle=BOX"], ["create"]])
def test_the_runtime_that_keeps_configurations(words: "list[str]", tmp_path: Path) -> None:
    """It is the one that is called, and what it is given stays; here it refuses, so that nothing is started."""
    (tmp_path / "box").mkdir()
    (tmp_path / "box/config.json").write_text('{"ociVersion": "9.9.9"}')
    subprocess.run([ROOT / "scripts/keep-configs", tmp_path / "kept"], check=True, capture_output=True, timeout=30)
    command = [tmp_path / "kept/runtime", *(word.replace("BOX", str(tmp_path / "box")) for word in words), "x1"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path / "box", timeout=60)
    assert (told.returncode, "ociVersion" in told.stderr) == (1, True)
    (kept,) = (tmp_path / "kept").glob("*.json")
    assert kept.read_text() == '{"ociVersion": "9.9.9"}'
