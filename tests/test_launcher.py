"""bin/pyruntime under callers that mean harm or close their streams. A stand-in `main` says what reached it."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHEBANG = b"#!/usr/bin/python3 -IBSXutf8\n"
MAIN = """
import json, posix, sys

def main(argv):
    what = argv[1] if len(argv) > 1 else "tell"
    if what == "tell":
        told = {
            "argv": argv, "path": sys.path, "modules": sorted(sys.modules), "file": __file__, "json": json.__file__,
            "inheritable": [posix.get_inheritable(fd) for fd in (0, 1, 2)], "utf8": sys.flags.utf8_mode,
        }
        fd = posix.open(argv[2], posix.O_WRONLY | posix.O_CREAT, 0o600) if len(argv) > 2 else 1
        posix.write(fd, json.dumps(told).encode())
        return 0
    if what == "echo":
        posix.write(1, argv[2].encode("utf-8", "surrogateescape"))
        return 0
    if what == "status":
        return int(argv[2])
    if what == "exit":
        raise SystemExit({"none": None, "three": 3, "text": "no such verb"}[argv[2]])
    if what == "interrupt":
        raise KeyboardInterrupt
    raise RuntimeError("line one\\nline two")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with the real launcher and the stand-in main."""
    return checkout(tmp_path / "tree")


def checkout(root: Path, package: "Path | None" = None) -> Path:
    package = package or root / "pyruntime"
    (root / "bin").mkdir(parents=True)
    (package / "cli").mkdir(parents=True)
    shutil.copy(ROOT / "bin" / "pyruntime", root / "bin" / "pyruntime")
    for name in ("launch.py", "pack.py"):
        shutil.copy(ROOT / "pyruntime" / name, package / name)
    (package / "__init__.py").touch()
    (package / "cli" / "__init__.py").touch()
    (package / "cli" / "main.py").write_text(MAIN)
    return root


def run(program: "Path | str", *words: "str | bytes", **how: object) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([program, *words], capture_output=True, check=False, timeout=60, **how)  # type: ignore[call-overload,no-any-return]


def told(program: "Path | str", *words: str, **how: object) -> "dict[str, object]":
    result = run(program, *words, **how)
    assert (result.returncode, result.stderr) == (0, b"")
    answer: "dict[str, object]" = json.loads(result.stdout)
    return answer


def test_the_first_line_is_one_absolute_isolated_interpreter(launcher: Path) -> None:
    assert launcher.read_bytes().startswith(SHEBANG)
    assert launcher.stat().st_mode & stat.S_IXUSR


def test_a_folder_full_of_traps_is_not_looked_at(tree: Path, tmp_path: Path) -> None:
    trap = tmp_path / "bundle"
    (trap / "pyruntime" / "cli").mkdir(parents=True)
    for name in ("json", "posix", "os", "encodings", "sitecustomize", "usercustomize", "pyruntime/__init__", "site"):
        (trap / f"{name}.py").write_text("import posix; posix.abort()\n")
    answer = told(tree / "bin" / "pyruntime", cwd=trap, env={"PATH": f"{trap}:/usr/bin", "PYTHONPATH": str(trap)})
    assert str(trap) not in str(answer["path"])
    assert str(trap) not in str(answer["json"])


def test_a_neighbour_package_never_stands_in_for_the_standard_library(tree: Path) -> None:
    (tree / "json.py").write_text("import posix; posix.abort()\n")
    answer = told(tree / "bin" / "pyruntime")
    assert str(tree) not in str(answer["json"])


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent", "PYTHONSTARTUP": "/etc/passwd"},
        {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PYTHONINSPECT": "1", "PYTHONVERBOSE": "3"},
        {"PYTHONMALLOC": "nonsense", "PYTHONHASHSEED": "nonsense", "PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "LANG": "C"},
        {"LC_ALL": "en_US.ISO-8859-1", "LANG": "de_DE@euro"},
        {"HOME": "/nonexistent", "PATH": ""},
    ],
    ids=lambda environment: ",".join(environment) or "empty",
)
def test_no_environment_disturbs(tree: Path, environment: "dict[str, str]") -> None:
    answer = told(tree / "bin" / "pyruntime", env=environment, cwd="/")
    assert answer["utf8"] == 1
    assert "site" not in answer["modules"]  # type: ignore[operator]
    for word in ("Grüße 🐍".encode(), b"latin1 \xfc", b"lone \xed\xa0\x80"):
        assert run(tree / "bin" / "pyruntime", "echo", word, env=environment).stdout == word


def test_the_launcher_itself_loads_three_modules_of_ours(tree: Path) -> None:
    (tree / "pyruntime" / "cli" / "main.py").write_text(
        "import posix, sys\ndef main(argv):\n    posix.write(1, ' '.join(sys.modules).encode())\n    return 0\n"
    )
    bare = subprocess.run(
        ["/usr/bin/python3", "-IBSXutf8", "-c", "import sys; print(*sys.modules)"], capture_output=True, check=True
    ).stdout.split()
    loaded = set(run(tree / "bin" / "pyruntime").stdout.split()) - set(bare)
    ours = {b"pyruntime", b"pyruntime.launch", b"pyruntime.pack"}
    assert loaded == {b"gc", *ours, b"pyruntime.cli", b"pyruntime.cli.main"}


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)], ids=str)
def test_closed_streams_become_the_null_device(tree: Path, tmp_path: Path, closed: "tuple[int, ...]") -> None:
    report = tmp_path / "report"
    redirections = " ".join(f"{fd}>&-" for fd in closed)
    shell = f'exec "$0" tell "$1" {redirections}'
    result = run("/bin/sh", "-c", shell, str(tree / "bin" / "pyruntime"), str(report))
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert json.loads(report.read_bytes())["inheritable"] == [True, True, True]


def test_an_error_with_every_stream_closed_is_still_an_exit_status(tree: Path) -> None:
    result = run("/bin/sh", "-c", 'exec "$0" fail 0>&- 1>&- 2>&-', str(tree / "bin" / "pyruntime"))
    assert result.returncode == 1


def test_standard_error_may_be_full(tree: Path) -> None:
    with open("/dev/full", "wb") as full:
        status = subprocess.run([tree / "bin" / "pyruntime", "fail"], stderr=full, check=False).returncode
    assert status == 1


def test_found_through_links_of_every_kind(tree: Path, tmp_path: Path) -> None:
    away = tmp_path / "away" / "deep"
    away.mkdir(parents=True)
    (away / "absolute").symlink_to(tree / "bin" / "pyruntime")
    (away / "relative").symlink_to(os.path.relpath(tree / "bin" / "pyruntime", away))
    (tmp_path / "chain").symlink_to("away/deep/relative")
    (tmp_path / "folder").symlink_to(tree / "bin")
    for program in (away / "absolute", away / "relative", tmp_path / "chain", tmp_path / "folder" / "pyruntime"):
        assert Path(str(told(program)["file"])).resolve() == tree / "pyruntime" / "cli" / "main.py"


def test_found_by_relative_path_and_by_search(tree: Path) -> None:
    for words, folder in ((["./pyruntime"], "bin"), (["../bin/pyruntime"], "bin"), (["bin/pyruntime"], ".")):
        assert told(*words, cwd=tree / folder)["file"]
    found = run("/bin/sh", "-c", "pyruntime", env={"PATH": f"{tree}/bin"}, cwd="/")
    assert found.returncode == 0


@pytest.mark.parametrize(
    "folder",
    [
        "lib/python3.{minor}/site-packages",
        "lib/python3/dist-packages",
        "lib/python3.99/site-packages",
        "local/lib/python3.{minor}/dist-packages",
    ],
)
def test_found_where_installers_put_it(tmp_path: Path, folder: str) -> None:
    place = tmp_path / folder.format(minor=sys.version_info[1])
    checkout(tmp_path, place / "pyruntime")
    answer = told(tmp_path / "bin" / "pyruntime")
    assert Path(str(answer["file"])).resolve() == place / "pyruntime" / "cli" / "main.py"
    assert Path(str(answer["path"][-1])).resolve() == place  # type: ignore[index]


def test_the_package_of_this_python_is_preferred(tmp_path: Path) -> None:
    version = subprocess.run(["/usr/bin/python3", "-V"], capture_output=True, check=True, text=True).stdout
    minor = version.split(".")[1]
    checkout(tmp_path, tmp_path / f"lib/python3.{minor}/site-packages/pyruntime")
    (tmp_path / "lib/python3.0/site-packages/pyruntime").mkdir(parents=True)
    (tmp_path / "lib/python3.0/site-packages/pyruntime/launch.py").write_text("import posix; posix.abort()\n")
    assert told(tmp_path / "bin" / "pyruntime")["file"]


def test_without_a_package_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "bin" / "pyruntime", tmp_path / "bin")
    result = run(tmp_path / "bin" / "pyruntime")
    assert result.returncode == 1
    assert result.stderr.startswith(b"pyruntime: cannot start: no package in ")
    assert result.stderr.count(b"\n") == 1


def test_a_broken_package_gives_one_line(tree: Path) -> None:
    (tree / "pyruntime" / "launch.py").write_text("def launch(:\n")
    result = run(tree / "bin" / "pyruntime")
    assert result.returncode == 1
    assert result.stderr.startswith(b"pyruntime: cannot start: ")
    assert result.stderr.count(b"\n") == 1


def test_an_old_python_is_refused_in_one_line(tree: Path) -> None:
    program = "import sys; sys.version_info = (3, 9, 2); __file__ = sys.argv[1]; exec(open(__file__).read())"
    result = run("/usr/bin/python3", "-IBSXutf8", "-c", program, str(tree / "bin" / "pyruntime"))
    assert result.returncode == 1
    assert result.stderr.startswith(b"pyruntime: cannot start: needs Python 3.10 or newer, /usr/bin/python3")
    assert result.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["status", "0"], 0, b""),
        (["status", "42"], 42, b""),
        (["exit", "none"], 0, b""),
        (["exit", "three"], 3, b""),
        (["exit", "text"], 1, b"pyruntime: no such verb\n"),
        (["interrupt"], 130, b""),
    ],
)
def test_the_exit_status_is_mains(tree: Path, words: "list[str]", status: int, text: bytes) -> None:
    result = run(tree / "bin" / "pyruntime", *words)
    assert (result.returncode, result.stderr) == (status, text)


def test_what_escapes_main_is_one_line_with_its_origin(tree: Path) -> None:
    result = run(tree / "bin" / "pyruntime", "fail")
    line = MAIN[: MAIN.index("raise RuntimeError")].count("\n") + 1
    expected = f"pyruntime: internal error: RuntimeError: line one line two (cli/main.py:{line}); please report it\n"
    assert (result.returncode, result.stderr.decode()) == (1, expected)


def test_no_bytecode_is_written(tree: Path) -> None:
    told(tree / "bin" / "pyruntime")
    assert list(tree.rglob("*.pyc")) == []


@pytest.mark.parametrize(
    "words", [["--version"], ["--help"], [], ["no-such-verb"], ["state"], ["--bogus"]], ids=" ".join
)
def test_the_real_command_never_shows_a_traceback(launcher: Path, words: "list[str]") -> None:
    result = run(launcher, *words, env={}, cwd="/")
    assert b"Traceback" not in result.stdout + result.stderr
    assert b"internal error" not in result.stderr
    assert result.stdout + result.stderr != b""
