"""What a hot verb may load: every module costs its callers on every poll. docs/design/start-up.md has the prices."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

INTERPRETER = ["/usr/bin/python3", "-IBSXutf8", "-X", "importtime"]
C_MODULES = {
    *("_ctypes", "_json", "_posixsubprocess", "_signal", "_socket", "_struct"),
    *("errno", "fcntl", "gc", "posix", "resource", "select", "sys", "time"),
}
LIFE = {"create", "start", "exec", "run", "delete"}
READERS = {"state", "kill"}  # they never load a plan
PLANNING = {"plan", "steps", "walk", "engine", "host"}
TRACING = {"pyruntime.cli.tracing", "pyruntime.report.traces", "pyruntime.walk.recorder"}
ROOT = Path(__file__).resolve().parent.parent
LINE = re.compile(rb"^import time: +\d+ \| +\d+ \| +(\S+)\r?$", re.MULTILINE)


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bin/pyruntime of a copy that has no packs: what comes from a pack, `-X importtime` does not see."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "pyruntime", tree / "pyruntime", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "bin", tree / "bin")
    return tree / "bin" / "pyruntime"


def names(stderr: bytes) -> "set[str]":
    return {name.decode() for name in LINE.findall(stderr)}


def bare() -> "set[str]":
    """What the interpreter loads for itself."""
    return names(subprocess.run([*INTERPRETER, "-c", "pass"], capture_output=True, check=True).stderr)


def loaded(program: Path, folder: Path, *words: str) -> "tuple[int, set[str]]":
    """The exit status of a command line, and the modules it and its forks loaded beyond the bare start.

    Read from a file: a container that goes on living would hold a pipe open.
    """
    report = folder / "stderr"
    with report.open("wb") as file:
        status = subprocess.run(
            [*INTERPRETER, str(program), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            check=False,
            timeout=60,
        ).returncode
    text = report.read_bytes()
    assert b"internal error" not in text
    assert b"cannot start" not in text
    return status, names(text) - bare()


def packages(modules: "set[str]") -> "set[str]":
    return {name.split(".")[1] for name in modules if name.startswith("pyruntime.")}


def assert_lean(verb: str, modules: "set[str]") -> None:
    foreign = {name for name in modules if name.split(".")[0] != "pyruntime"}
    assert foreign - C_MODULES == set(), f"{verb} loads what it must not"
    assert "look" not in packages(modules)
    assert not modules & TRACING, f"{verb} pays for a trace that nobody asked for"
    assert not any("systemd" in name for name in modules), f"{verb} loads what only --systemd-cgroup needs"
    if verb in READERS:
        assert packages(modules) & PLANNING == set()


def test_the_harness_sees_what_is_loaded(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("import fcntl, json\n")
    _, modules = loaded(program, tmp_path)
    assert {"fcntl", "json", "json.decoder", "re"} <= modules
    with pytest.raises(AssertionError):
        assert_lean("state", modules)


@pytest.mark.parametrize("verb", sorted(READERS | LIFE - {"run", "create"}))
def test_a_verb_for_an_unknown_container_is_lean(launcher: Path, tmp_path: Path, verb: str) -> None:
    extra = {"exec": ["true"], "kill": ["TERM"]}.get(verb, [])
    status, modules = loaded(launcher, tmp_path, "--root", str(tmp_path / "state"), verb, "nobody", *extra)
    assert status == (255 if verb == "exec" else 1)
    assert "pyruntime.cli.main" in modules
    assert_lean(verb, modules)


def test_a_page_of_a_trace_costs_no_more_than_its_own_modules(launcher: Path, tmp_path: Path) -> None:
    """html and pathlib were 12 ms of every traced command."""
    page = tmp_path / "page.html"
    _, modules = loaded(launcher, tmp_path, "--trace", str(page), "--root", str(tmp_path / "s"), "start", "nobody")
    assert page.read_text().startswith("<!doctype html>")
    ours = {name for name in modules if name.split(".")[0] == "pyruntime"}
    assert modules - ours - C_MODULES == set()
    assert ours & TRACING == TRACING
    assert {name for name in ours if ".look" in name} == {"pyruntime.look", "pyruntime.look.trace"}


@pytest.fixture
def bundle(launcher: Path, tmp_path: Path) -> Path:
    """What `spec` writes, over a root filesystem of one busybox; it sleeps."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    (tmp_path / "rootfs" / "bin").mkdir(parents=True)
    for name in ("sleep", "true"):
        shutil.copy(busybox, tmp_path / "rootfs" / "bin" / name)
    subprocess.run([launcher, "spec"], cwd=tmp_path, check=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["process"].update(terminal=False, args=["sleep", "600"])
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.fixture
def container(launcher: Path, bundle: Path) -> "Iterator[tuple[Path, str]]":
    """A state directory and an ID; whatever became of the container, it is gone afterwards."""
    root, name = bundle / "state", f"modules-{bundle.name}"
    yield root, name
    subprocess.run([launcher, "--root", str(root), "delete", "--force", name], check=False, capture_output=True)


@pytest.mark.root
def test_every_verb_of_a_life_is_lean(launcher: Path, bundle: Path, container: "tuple[Path, str]") -> None:
    root, name = container
    life = [
        ("create", ["--bundle", str(bundle), name]),
        ("state", [name]),
        ("start", [name]),
        ("exec", [name, "/bin/true"]),
        ("kill", [name, "KILL"]),
        ("delete", ["--force", name]),
    ]
    for verb, words in life:
        status, modules = loaded(launcher, bundle, "--root", str(root), verb, *words)
        assert status == 0, verb
        assert_lean(verb, modules)


WAT = b'(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))'


@pytest.mark.root
def test_a_module_is_as_lean(launcher: Path, bundle: Path, container: "tuple[Path, str]") -> None:
    """What is kept of it is loaded by what every interpreter has; compiling may take more."""
    if not has_wasmtime(launcher):
        pytest.skip("needs wasmtime, beside the launcher or in the system (docs/how-to/run-wasm.md)")
    root, name = container
    (bundle / "rootfs" / "loop.wat").write_bytes(WAT)
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["args"] = ["/loop.wat"]
    (bundle / "config.json").write_text(json.dumps(config))
    words = ["--bundle", str(bundle), name]
    seen = []
    for _ in range(2):
        status, modules = loaded(launcher, bundle, "--root", str(root), "create", *words)
        assert status == 0
        status, _ = loaded(launcher, bundle, "--root", str(root), "delete", "--force", name)
        assert status == 0
        seen.append(modules)
    assert_lean("create", seen[1] - {"_blake2"})
    assert "pyruntime.engine.wasmtime" in seen[1]
    assert {"pyruntime.engine.confine", "pyruntime.engine.component"} & seen[1] == set()


def has_wasmtime(launcher: Path) -> bool:
    """Whether the launcher of the copied tree finds it, there or where this tree has it."""
    if (ROOT / ".venv").is_dir() and not (launcher.parents[1] / ".venv").exists():
        (launcher.parents[1] / ".venv").symlink_to(ROOT / ".venv")
    done = subprocess.run([launcher, "features"], capture_output=True, check=True)
    return "pyruntime.wasm.wasmtime" in json.loads(done.stdout)["annotations"]


@pytest.mark.root
def test_systemd_is_asked_without_a_package(launcher: Path, tmp_path: Path) -> None:
    """What the driver needs is our own code and C modules; where no systemd answers, too."""
    (tmp_path / "rootfs").mkdir()
    subprocess.run([launcher, "spec"], cwd=tmp_path, check=True)
    words = ["--root", str(tmp_path / "state"), "--systemd-cgroup", "run", "--bundle", str(tmp_path), "box"]
    status, modules = loaded(launcher, tmp_path, *words)
    assert status == 1
    assert {"pyruntime.cgroup.systemd.manager", "pyruntime.cgroup.systemd.wire"} <= modules
    assert {name for name in modules if name.split(".")[0] != "pyruntime"} - C_MODULES == set()
