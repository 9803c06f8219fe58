"""What `explain` shows is what is done: a real container's steps, recorded in both processes, against the list."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TRACED = Path(__file__).with_name("traced.py")
ROOT = TRACED.parents[2]
INTERPRETER = ["/usr/bin/python3", "-IBSXutf8"]
LINUX: "dict[str, Any]" = {
    "maskedPaths": ["/proc/kcore", "/nowhere"],
    "readonlyPaths": ["/proc/sys"],
    "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
}
MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]
VARIANTS: "dict[str, dict[str, Any]]" = {
    "plain": LINUX,
    "sysctl": {**LINUX, "sysctl": {"net.ipv4.ip_forward": "1"}},
    "user namespace": {
        **LINUX, "namespaces": [{"type": "user"}, *LINUX["namespaces"]], "uidMappings": MAPS, "gidMappings": MAPS,
    },
    "stage process": {
        **LINUX, "namespaces": [*LINUX["namespaces"], {"type": "time"}], "timeOffsets": {"boottime": {"secs": 60}},
    },
}  # fmt: skip


def config(linux: "dict[str, Any]") -> "dict[str, Any]":
    hook = [{"path": "/bin/busybox", "args": ["busybox", "true"]}]
    return {
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "hostname": "traced",
        "process": {
            "cwd": "/",
            "args": ["/bin/busybox", "true"],
            "user": {"uid": 0, "gid": 0},
            "noNewPrivileges": True,
            "capabilities": {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]},
            "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
            "oomScoreAdj": 100,
        },
        "mounts": [
            {"destination": "/proc", "type": "proc"},
            {"destination": "/dev", "type": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/tmp", "type": "tmpfs", "options": ["ro"]},
        ],
        "linux": linux,
        "hooks": {kind: hook for kind in ("createRuntime", "createContainer", "startContainer")},
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    folder = tmp_path / f"proof-{tmp_path.name}"
    for name in ("bin", "proc", "dev", "tmp"):
        (folder / "rootfs" / name).mkdir(parents=True)
    shutil.copy(busybox, folder / "rootfs" / "bin" / "busybox")
    for each in (tmp_path, *tmp_path.parents):
        if each.stat().st_uid != 0 or each == Path("/tmp"):
            break
        each.chmod(0o755)  # a user namespace's root is nobody here
    return folder


@pytest.fixture
def command(launcher: Path, bundle: Path) -> "Iterator[list[str]]":
    """The words before the verb; whatever became of the container, it is gone afterwards."""
    words = ["--root", str(bundle.parent / "state")]
    yield words
    subprocess.run([launcher, *words, "delete", "--force", bundle.name], check=False, capture_output=True)


def explained(launcher: Path, words: "list[str]", bundle: Path) -> "list[dict[str, Any]]":
    text = subprocess.run([launcher, *words, "explain", "--json", bundle], check=True, capture_output=True).stdout
    steps: "list[dict[str, Any]]" = json.loads(text)["steps"]
    return steps


def create_and_start(launcher: Path, words: "list[str]", bundle: Path) -> str:
    """Both verbs, and everything written to standard error until the program has ended."""
    create = [*INTERPRETER, str(TRACED), str(ROOT), *words, "create", "--bundle", str(bundle), bundle.name]
    process = subprocess.Popen(create, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    with process.stderr as stderr:
        if process.wait(60) == 0:
            subprocess.run([launcher, *words, "start", bundle.name], check=True, timeout=60)
        text = stderr.read().decode()
    assert process.returncode == 0, text
    return text


@pytest.mark.root
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_steps_explained_are_the_steps_walked(
    launcher: Path, command: "list[str]", bundle: Path, variant: str
) -> None:
    (bundle / "config.json").write_text(json.dumps(config(VARIANTS[variant])))
    plan = explained(launcher, command, bundle)
    lines = create_and_start(launcher, command, bundle).splitlines()
    traced = [line.split()[1:] for line in lines if line.startswith("trace ")]
    assert [line for line in lines if not line.startswith("trace ")] == []

    # Every step once, in the order of the list, by the lane it is shown for.
    assert [(int(index) + 1, lane, name) for index, lane, _, name in traced] == [
        (step["n"], step["lane"], step["step"]) for step in plan
    ]
    # And the lanes are two processes (three with a stage process), the host's always the same one.
    pids = {lane: [pid for _, its, pid, _ in traced if its == lane] for lane in ("host", "init")}
    assert len(set(pids["host"])) == 1
    assert set(pids["host"]).isdisjoint(pids["init"])
    assert len(set(pids["init"])) == (2 if "ForkInit" in [step["step"] for step in plan] else 1)
    assert pids["init"][-1] == "1"
