"""The site builds, without a warning, and has every page and picture."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLACE = re.compile(r"^<!-- picture: ([\w-]+): .+ -->$", re.MULTILINE)
SHOWN = {
    "explain": "pivot_root into box/rootfs",
    "explain-step": "ChangeRoot, by init",
    "step": "quitting: what was made is taken back",
    "doctor": "namespaces: mnt uts ipc net pid user cgroup",
    "check": "did you mean CAP_KILL?",
    "inspect": "errno: keyctl ptrace",
}


site = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sphinx", "furo", "myst_parser")),
    reason="Sphinx with furo and myst-parser is not installed: pip install '.[docs]'",
)


def build(*words: Path) -> None:
    """Make the site; not a word may be said."""
    command = [sys.executable, ROOT / "scripts/lib/site.py", sys.executable, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


@site
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    build(tmp_path)
    index = (tmp_path / "index.html").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix(".html")
        if page.name not in ("README.md", "index.md"):
            assert (tmp_path / name).is_file()
            assert f'href="{name}"' in index
    assert "linux.resources.memory.limit" in (tmp_path / "reference/config.html").read_text()
    workshop = (tmp_path / "workshops/wasm.html").read_text()
    assert 'href="../how-to/wasm-images.html"' in workshop
    assert 'href="namespaces.html"' in workshop
    assert "<figure" not in index


@site
def test_every_picture_has_a_place(tmp_path: Path) -> None:
    """Those that the maker makes are those that the pages ask for, each with a caption."""
    wanted = {name for page in (ROOT / "docs").rglob("*.md") for name in PLACE.findall(page.read_text())}
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in wanted:
        (pictures / f"{name}.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')
    (pictures / "trace.html").write_text("a trace")
    build(tmp_path / "site", pictures)
    assert {path.stem for path in (tmp_path / "site/_images").iterdir()} == wanted
    assert (tmp_path / "site/trace.html").read_text() == "a trace"
    assert "<figcaption>" in (tmp_path / "site/how-to/find-out-why.html").read_text()
    maker = (ROOT / "scripts/lib/pictures.py").read_text()
    assert {name for name in wanted if f'"{name}": ([' in maker} == wanted - {"trace"}


@pytest.mark.root
@pytest.mark.skipif(importlib.util.find_spec("rich") is None, reason="rich is not installed: pip install '.[docs]'")
@pytest.mark.skipif(shutil.which("busybox") is None, reason="needs a static busybox")
def test_the_pictures_show_what_they_are_to_show(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "scripts/lib/pictures.py", tmp_path]
    subprocess.run(command, capture_output=True, check=True, timeout=300)
    for name, words in SHOWN.items():
        text = (tmp_path / f"{name}.svg").read_text().replace("&#160;", " ")
        assert words in text, name
        assert "/tmp/" not in text
        assert "internal error" not in text
    assert "<!doctype html>" in (tmp_path / "trace.html").read_text()
    if shutil.which("chromium"):
        assert (tmp_path / "trace.png").read_bytes().startswith(b"\x89PNG")
