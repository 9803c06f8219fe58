"""`explain`: what it prints, for whom, and that it leaves nothing behind."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pyruntime.errors import UsageError
from pyruntime.look.explain import arguments
from pyruntime.look.lines import WIDTH, cut
from pyruntime.report.paint import Paint
from tests.plan.made import EVERY, document, namespaces

NOBODY = 65534


def write(folder: Path, config: "dict[str, Any]", rootfs: bool = True) -> Path:
    folder.mkdir()
    if rootfs:
        (folder / "rootfs").mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return write(tmp_path / "box", document(hostname="box", mounts=[{"destination": "/proc", "type": "proc"}]))


def run(launcher: Path, *words: "str | Path", **options: Any) -> "subprocess.CompletedProcess[str]":
    command = ["/usr/bin/python3", "-IBSXutf8", str(launcher), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


def test_the_list(launcher: Path, box: Path) -> None:
    found = run(launcher, "explain", box)
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0].startswith("box: ")
    assert lines[1].split() == ["#", "who", "does", "because"]
    assert max(map(len, lines)) <= WIDTH
    assert "\x1b" not in found.stdout
    last = next(line for line in reversed(lines) if not line.startswith((" !", "   ")))
    assert last.split()[1:] == ["init", "execve", "/bin/true", "process.args"]
    assert any("pivot_root into box/rootfs" in line for line in lines)


def test_verbose_cuts_nothing_and_names_the_calls(launcher: Path, box: Path) -> None:
    text = run(launcher, "explain", "-v", box).stdout
    assert f"pivot_root into {box}/rootfs, detach the old root" in text
    assert "because rule: nothing of the caller clings to init" in text
    assert "calls clone3" in text
    assert "…" not in text


def test_json_has_its_keys(launcher: Path, box: Path) -> None:
    found = json.loads(run(launcher, "explain", "--json", box).stdout)
    assert set(found) == {"steps", "warnings"}
    assert [step["n"] for step in found["steps"]] == list(range(1, len(found["steps"]) + 1))
    for step in found["steps"]:
        assert set(step) == {"n", "lane", "step", "does", "because"}
        assert step["lane"] in ("host", "init")


def test_every_page_can_be_read(launcher: Path, box: Path) -> None:
    steps = json.loads(run(launcher, "explain", "--json", box).stdout)["steps"]
    number = next(step["n"] for step in steps if step["step"] == "ChangeRoot")
    page = run(launcher, "explain", box, str(number)).stdout
    assert page.startswith(f"step {number} of {len(steps)}: ChangeRoot, by init")
    assert max(map(len, page.splitlines())) <= WIDTH
    labels = [line.partition("  ")[0] for line in page.splitlines() if not line.startswith(" ")]
    assert labels[1:] == ["does", "because", "why", "calls", "needs", "fails", "see it", "man"]
    assert "(BindRoot)" in page
    value = json.loads(run(launcher, "explain", "--json", box, str(number)).stdout)
    assert set(value) == {"n", "lane", "step", "does", "because", "why", "calls", "fails", "see", "man"}


@pytest.mark.parametrize("number", ["0", "999"])
def test_a_step_that_is_not_there(launcher: Path, box: Path, number: str) -> None:
    found = run(launcher, "explain", box, number)
    assert found.returncode == 1
    assert f"there is no step {number}" in found.stderr


def test_the_bundle_by_flag_or_by_default(launcher: Path, box: Path) -> None:
    named = run(launcher, "explain", box).stdout
    assert run(launcher, "explain", "-b", box).stdout == named
    assert run(launcher, "explain", cwd=box).stdout == named
    assert run(launcher, "explain", "-b", box, "1").stdout == run(launcher, "explain", "1", cwd=box).stdout


def test_what_is_wrong_with_the_config_is_refused_as_by_create(launcher: Path, tmp_path: Path) -> None:
    linux = {"namespaces": namespaces(*EVERY), "seccomp": {"defaultAction": "SCMP_ACT_NOTIFY"}}
    unsupported = write(tmp_path / "a", document(linux=linux))
    found = run(launcher, "explain", unsupported)
    assert (found.returncode, found.stdout) == (1, "")
    wrong = write(tmp_path / "b", document(process={"cwd": "x"}))
    for verb in (["explain", wrong], ["--root", tmp_path / "state", "create", "-b", wrong, "b"]):
        told = run(launcher, *verb)
        assert told.returncode == 1
        assert "process.cwd" in told.stderr or "Cwd" in told.stderr


def test_no_bundle(launcher: Path, tmp_path: Path) -> None:
    found = run(launcher, "explain", tmp_path / "nowhere")
    assert found.returncode == 1
    assert "config.json" in found.stderr


def test_a_missing_rootfs_is_a_warning(launcher: Path, tmp_path: Path) -> None:
    bare = write(tmp_path / "bare", document(), rootfs=False)
    found = run(launcher, "explain", "--json", bare)
    assert found.returncode == 0
    assert any("root.path" in text and "no such file" in text for text in json.loads(found.stdout)["warnings"])
    listed = run(launcher, "explain", bare).stdout
    assert " ! create would be refused here: root.path" in listed
    assert max(map(len, listed.splitlines())) <= WIDTH


def test_a_missing_bind_source_is_a_warning(launcher: Path, tmp_path: Path) -> None:
    mount = {"destination": "/data", "source": "/nowhere/at/all", "options": ["bind"]}
    found = json.loads(run(launcher, "explain", "--json", write(tmp_path / "box", document(mounts=[mount]))).stdout)
    assert any(text.startswith("mounts[0].source /nowhere/at/all") for text in found["warnings"])


def test_limits_are_planned_even_where_their_controllers_are_missing(launcher: Path, tmp_path: Path) -> None:
    limits = {"memory": {"limit": 1 << 26}, "pids": {"limit": 20}}
    box = write(tmp_path / "box", document(linux={"namespaces": namespaces(*EVERY), "resources": limits}))
    found = json.loads(run(launcher, "explain", "--json", box).stdout)
    does = [step["does"] for step in found["steps"] if step["step"] == "ApplyLimits"]
    assert does == ["pids.max = 20, memory.max = 67108864"]


def test_settings_without_effect_are_told(launcher: Path, tmp_path: Path) -> None:
    limits = {"memory": {"swappiness": 10}}
    box = write(tmp_path / "box", document(linux={"namespaces": namespaces(*EVERY), "resources": limits}))
    warnings = json.loads(run(launcher, "explain", "--json", box).stdout)["warnings"]
    assert any(text.startswith("linux.resources.memory.swappiness: ignored") for text in warnings)


def test_a_module_is_recognised(launcher: Path, tmp_path: Path) -> None:
    box = write(tmp_path / "box", document(process={"args": ["/m.wasm"]}))
    (box / "rootfs" / "m.wasm").write_bytes(b"\0asm\1\0\0\0")
    names = [step["step"] for step in json.loads(run(launcher, "explain", "--json", box).stdout)["steps"]]
    assert names[-1] == "EnterModule"
    assert "LoadModule" in names


def test_control_characters_do_not_reach_the_terminal(launcher: Path, tmp_path: Path) -> None:
    box = write(tmp_path / "box", document(process={"args": ["/bin/true", "\x1b[31mred\n"]}))
    for words in ([], ["-v"]):
        text = run(launcher, "explain", *words, box).stdout
        assert "\x1b" not in text
        assert "\\x1b[31mred\\n" in text


def test_nothing_is_left_behind(launcher: Path, box: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert run(launcher, "--root", tmp_path / "state", "explain", box).returncode == 0
    assert sorted(tmp_path.rglob("*")) == before


def reachable(launcher: Path, box: Path) -> Path:
    """Let everybody into the bundle; returns a launcher that everybody may run, wherever the checkout is kept."""
    for folder in (box, *box.parents):
        if folder == Path("/tmp") or folder.stat().st_uid != 0:
            break
        folder.chmod(0o755)
    tree = box.parent / "tree"
    for name in ("bin", "pyruntime"):
        shutil.copytree(launcher.parents[1] / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tree / "bin" / "pyruntime"


@pytest.mark.root
def test_it_needs_no_root(launcher: Path, box: Path) -> None:
    launcher = reachable(launcher, box)
    found = run(launcher, "explain", "--json", box, user=NOBODY, group=NOBODY, extra_groups=[], env={})
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout)["steps"][-1]["step"] == "Execve"


@pytest.mark.root
def test_a_program_one_may_not_read_is_a_warning(launcher: Path, box: Path) -> None:
    (box / "rootfs" / "bin").mkdir()
    (box / "rootfs" / "bin" / "true").touch(mode=0o600)
    launcher = reachable(launcher, box)
    found = run(launcher, "explain", "--json", box, user=NOBODY, group=NOBODY, extra_groups=[])
    assert any("not readable for you" in text for text in json.loads(found.stdout)["warnings"])


@pytest.mark.parametrize(
    ("words", "bundle", "found"),
    [
        ([], None, (".", None)),
        (["box"], None, ("box", None)),
        (["12"], None, (".", 12)),
        (["box", "3"], None, ("box", 3)),
        (["3"], "box", ("box", 3)),
        ([], "box", ("box", None)),
        (["/", "3"], None, ("/", 3)),
    ],
)
def test_arguments(words: "list[str]", bundle: "str | None", found: "tuple[str, int | None]") -> None:
    assert arguments(words, bundle) == found


def test_a_folder_named_like_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "7").mkdir()
    monkeypatch.chdir(tmp_path)
    assert arguments(["7"], None) == ("7", None)
    assert arguments(["8"], None) == (".", 8)


@pytest.mark.parametrize(
    ("words", "bundle"), [(["box", "x"], None), (["x"], "box"), (["1", "2"], "box"), (["²"], "box")]
)
def test_arguments_that_are_no_step(words: "list[str]", bundle: "str | None") -> None:
    with pytest.raises(UsageError):
        arguments(words, bundle)


def test_cut() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert cut("a\nb", 9) == "a\\nb"


@pytest.mark.parametrize(
    ("environ", "on"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals_that_want_it(environ: "dict[str, str]", on: bool) -> None:
    program = "from pyruntime.report.paint import Paint\nimport sys\nsys.exit(Paint()('init', 'x') != 'x')"
    master, slave = os.openpty()
    root = Path(__file__).resolve().parents[2]
    status = subprocess.run(
        ["/usr/bin/python3", "-c", program], stdout=slave, env=environ, cwd=root, check=False
    ).returncode
    os.close(master)
    os.close(slave)
    assert status == int(on)


def test_a_pipe_gets_no_colour() -> None:
    source, sink = os.pipe()
    assert Paint(sink)("init", "x") == "x"
    os.close(source)
    os.close(sink)
