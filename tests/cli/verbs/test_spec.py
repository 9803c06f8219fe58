"""`spec`, and how what it writes compares with the default of a runc that is installed."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pyruntime.cli.defaultspec import document
from pyruntime.config.load import read_config
from pyruntime.config.validate import validate
from tests.cli.verbs.box import Box

# Where ours differs on purpose, and why.
DIFFERENCES = {
    "ociVersion": "the version of the specification this is written to",
    "hostname": "our own name",
    "process.capabilities.ambient": "newer ones leave it out too: it needs inheritable ones, which there are none of",
    "linux.namespaces": "a cgroup namespace too, whichever way the host mounts cgroup2",
}


def differences(ours: object, theirs: object, path: str = "") -> "set[str]":
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found: "set[str]" = set()
        for key in ours.keys() | theirs.keys():
            found |= differences(ours.get(key), theirs.get(key), f"{path}.{key}".lstrip("."))
        return found
    return set() if ours == theirs else {path}


@pytest.mark.parametrize("options", [[], ["--rootless"]])
def test_against_the_runc_of_the_host(options: "list[str]", tmp_path: Path) -> None:
    runc = shutil.which("runc")
    if runc is None:
        pytest.skip("no runc here to compare with")
    subprocess.run(
        [runc, "spec", *options], cwd=tmp_path, check=True, env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    )
    theirs = json.loads((tmp_path / "config.json").read_text())
    ours = document(rootless=bool(options))
    assert differences(ours, theirs) <= set(DIFFERENCES)
    kinds = [[entry["type"] for entry in each["linux"]["namespaces"]] for each in (ours, theirs)]
    assert set(kinds[0]) == {*kinds[1], "cgroup"}


@pytest.mark.parametrize("rootless", [False, True])
def test_what_is_written_is_valid_and_supported(rootless: bool) -> None:
    config = read_config(json.dumps(document(rootless)).encode())
    validate(config)
    assert config.process is not None
    assert config.process.noNewPrivileges


def test_rootless() -> None:
    found = document(rootless=True)
    kinds = [entry["type"] for entry in found["linux"]["namespaces"]]
    assert "user" in kinds
    assert "network" not in kinds
    assert "resources" not in found["linux"]
    assert found["linux"]["uidMappings"] == [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
    assert not [
        word for entry in found["mounts"] for word in entry.get("options", []) if word.startswith(("uid=", "gid="))
    ]
    system = next(entry for entry in found["mounts"] if entry["destination"] == "/sys")
    assert (system["source"], system["options"][0]) == ("/sys", "rbind")


def written(path: Path) -> "Any":
    return json.loads(path.read_text())


def test_it_writes_into_the_bundle_and_never_over_a_file(box: Box, tmp_path: Path) -> None:
    assert box.ok("spec", "--bundle", str(tmp_path)) == ""
    text = (tmp_path / "config.json").read_text()
    assert json.loads(text) == document()
    assert text.startswith('{\n\t"ociVersion": ')
    assert text.endswith("}")
    assert box.error("spec", "--bundle", str(tmp_path)) == "File config.json exists. Remove it first"
    assert (tmp_path / "config.json").read_text() == text
    box.ok("spec", "-b", str(tmp_path), "-f", "other.json", "--rootless")
    assert written(tmp_path / "other.json") == document(rootless=True)
    box.ok("spec", "--file", str(tmp_path / "third.json"))
    assert written(tmp_path / "third.json") == document()
    assert str(tmp_path / "nowhere") in box.error("spec", "-b", str(tmp_path / "nowhere"))


def test_a_full_disk_leaves_no_half_file(box: Box, tmp_path: Path) -> None:
    target = tmp_path / "config.json"
    command = f"ulimit -f 0; exec {box.launcher} spec -b {tmp_path}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert not target.exists()
