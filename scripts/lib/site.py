#!/usr/bin/env python3
"""Build the site: scripts/lib/site.py PYTHON FOLDER, where PYTHON has Sphinx.

The pages are copied first, and those made from tables are added: the coverage of config.json from spec/config.tsv.
"""

import csv
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

HEAD = """# Every key of config.json

What pyruntime does with each path of runtime-spec {version}: which steps carry it out, and which tests look at it.
`a[].b` is in each element of a list, `a{{}}.b` in each value of a map. *ignored*: taken, without effect.

| path | status | steps | tests | note |
|---|---|---|---|---|
"""


def coverage(version: str) -> str:
    """The page of spec/config.tsv."""
    with (ROOT / "spec/config.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    lines = [
        f"| `{row['path']}` | {row['status']} | {row['steps']} | `{row['test']}` | {row['note'].replace('|', '/')} |"
        for row in rows
    ]
    return HEAD.format(version=version) + "\n".join(lines) + "\n"


def build(python: str, target: Path) -> int:
    """Sphinx's exit status; a warning makes it 1."""
    sys.path.insert(0, str(ROOT))
    from pyruntime.version import SPEC

    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "docs"
        shutil.copytree(ROOT / "docs", pages)
        (pages / "reference/config.md").write_text(coverage(SPEC), encoding="utf-8")
        shutil.copytree(ROOT / "pyruntime", Path(folder) / "pyruntime", ignore=shutil.ignore_patterns("__pycache__"))
        words = [python, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(pages), str(target)]
        return subprocess.run(words, check=False).returncode


if __name__ == "__main__":
    sys.exit(build(sys.argv[1], Path(sys.argv[2])))
