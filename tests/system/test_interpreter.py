"""The interpreter as part of what is attacked: what it would load, open or repeat on behalf of a hostile folder."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system import leaks
from tests.system.harness import ROOT, Bundle, Runtime, new_id

NAMES = (
    "os", "posixpath", "json", "re", "traceback", "codecs", "socket", "signal", "struct", "site", "sitecustomize",
    "usercustomize", "gc", "fcntl", "select", "time", "resource", "subprocess", "ctypes", "_ctypes", "typing", "enum",
    "encodings/__init__", "encodings/idna", "encodings/utf_8", "pyruntime/__init__", "pyruntime/launch",
)  # fmt: skip


def hostile(folder: Path, marker: Path) -> None:
    """Modules of every name that could be imported, which leave a mark when they are."""
    for name in NAMES:
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"import posix; posix.close(posix.open({str(marker)!r}, posix.O_CREAT | posix.O_WRONLY))\n")


def test_every_command_from_a_hostile_folder(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """The caller's folder is often a bundle; Python's variables may be anybody's."""
    bundle, name = make("sleep", "60"), new_id()
    marker = bundle.path / "marker"
    hostile(bundle.path, marker)
    here = str(bundle.path)
    environment = {
        "PATH": f"{here}:/usr/bin:/bin", "PYTHONPATH": here, "PYTHONHOME": here, "PYTHONSTARTUP": f"{here}/os.py",
        "PYTHONINSPECT": "1", "PYTHONPLATLIBDIR": here, "PYTHONUSERBASE": here, "HOME": here,
    }  # fmt: skip
    how = {"cwd": bundle.path, "env": environment}
    assert rt.create(bundle, id=name, **how).rc == 0
    for words in (
        ["state", name], ["start", name], ["ps", name], ["list"], ["exec", name, "true"], ["features"],
        ["events", "--stats", name], ["pause", name], ["resume", name], ["update", "--pids-limit", "-1", name],
        ["explain"], ["spec", "--bundle", str(rt.folder)], ["kill", name, "KILL"], ["delete", "--force", name],
        ["run", name], ["--help"], ["--version"],
    ):  # fmt: skip
        if words[0] == "run":
            bundle.sh("true").write()
        result = rt(*words, **how)
        assert result.rc == 0 or words[0] in ("update", "events"), result
        assert not marker.exists(), words


def test_a_rootfs_that_looks_like_the_interpreters_own(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """Late failures inside: what reports them is loaded before the root changes, though its names lie there too."""
    bundle = make("true")
    marker = bundle.rootfs / "marker"
    for folder in {path for path in sys.path if path.startswith("/usr")} | {f"/usr/lib/{_python()}", "/work"}:
        hostile(bundle.rootfs / folder[1:], Path("/marker"))
    wrong = {
        "args": ["no-such"], "cwd": "/etc/passwd", "rlimits": [{"type": "RLIMIT_AS", "soft": 1, "hard": 1}],
        "user": {"uid": 0, "gid": 0, "additionalGids": [4294967295]},
    }  # fmt: skip
    for key, value in wrong.items():
        before = bundle.process.get(key)
        bundle.process[key] = value
        result = rt.run(bundle)
        assert result.rc != 0, key
        assert result.err.count("\n") <= 1, result
        assert "Traceback" not in result.err
        bundle.process[key] = before
        assert not marker.exists(), key


def _python() -> str:
    return f"python3.{sys.version_info[1]}"


TWICE = """
import atexit, os, sys
sys.path.insert(0, {root!r})
from pyruntime.cli.main import main

def mark(what):
    with open({marks!r}, "a") as file:
        file.write(f"{{what}} {{os.getpid() == me}}\\n")

class Late:
    def __init__(self):
        self.me = self  # only the collector frees it
    def __del__(self):
        mark("del")

me = os.getpid()
atexit.register(mark, "atexit")
late = Late()
del late
other = Late()
print("buffered before", end=" ")
status = main(["pyruntime", "--root", {state!r}, "run", "--bundle", {bundle!r}, {name!r}])
print("and after")
sys.exit(status)
"""


@pytest.mark.parametrize("program", ["true", "no-such"])
def test_nothing_of_the_command_happens_again_in_init(rt: Runtime, make: "Callable[..., Bundle]", program: str) -> None:
    """Finalizers, exit handlers and buffers are the command's: init leaves by execve or _exit, and collects nothing."""
    bundle, marks = make(program).write(), rt.folder / "marks"
    text = TWICE.format(root=str(ROOT), marks=str(marks), state=str(rt.root), bundle=str(bundle.path), name=new_id())
    done = subprocess.run(
        ["/usr/bin/python3", "-IB", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == (0 if program == "true" else 1), done.stderr
    assert done.stdout == "buffered before and after\n"
    lines = marks.read_text().splitlines()
    assert lines.count("atexit True") == 1
    assert set(lines) == {"atexit True", "del True"}


@pytest.mark.parametrize("mebibytes", [4, 6, 8, 16])
def test_small_memory_limits(rt: Runtime, make: "Callable[..., Bundle]", mebibytes: int) -> None:
    """What init itself uses is charged to the container."""
    controllers = Path(leaks.cgroup2_mount(), "cgroup.controllers").read_text().split()
    if "memory" not in controllers:
        pytest.skip("needs the memory controller in the cgroup v2 tree")
    bundle = make("true")
    bundle.linux["resources"]["memory"] = {"limit": mebibytes << 20}
    result = rt.run(bundle)
    assert result.rc == 0, result


def test_nothing_asks_the_c_library_for_names() -> None:
    """They load code and read files of whatever root there is; ids are numbers from config.json."""
    modules = {"pwd", "grp", "locale", "ctypes", "spwd", "nis", "getpass"}
    names = {"getgrouplist", "initgroups", "getaddrinfo", "gethostbyname", "find_library", "expanduser", "setlocale"}
    package = ROOT / "pyruntime"
    host_only = {package / "cli/verbs/list_.py", *package.glob("look/doctor/*.py")}  # nothing is forked there
    # The guest's own question, asked with its rights and under its filter, which lets no library be mapped.
    of_guest = {package / "engine/wasi/sockets.py", package / "engine/wasi/outgoing.py"}
    for path in set(package.rglob("*.py")) - host_only - of_guest:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not modules & {alias.name.partition(".")[0] for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in modules, path
            elif isinstance(node, ast.Attribute):
                assert node.attr not in names, f"{path}:{node.lineno}"
            elif isinstance(node, ast.Name):
                assert node.id not in names, f"{path}:{node.lineno}"
