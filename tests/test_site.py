"""The site builds, without a warning, and has every page."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sphinx", "furo", "myst_parser")),
    reason="Sphinx with furo and myst-parser is not installed: pip install '.[docs]'",
)
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts/lib/site.py"), sys.executable, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    index = (tmp_path / "index.html").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix(".html")
        if page.name not in ("README.md", "index.md"):
            assert (tmp_path / name).is_file()
            assert f'href="{name}"' in index
    assert "linux.resources.memory.limit" in (tmp_path / "reference/config.html").read_text()
