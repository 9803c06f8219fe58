#!/usr/bin/env python3
"""Build the site: scripts/lib/site.py PYTHON FOLDER [PICTURES], where PYTHON has Sphinx.

The pages are copied first, and what is not written there is added: the coverage of config.json from spec/config.tsv,
the workshops, and the pictures that scripts/lib/pictures.py made in the folder PICTURES. A page says where one of them
goes by a comment, `<!-- picture: NAME: what it shows -->`, which nobody sees where there are none.
"""

import csv
import re
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


PICTURE = re.compile(r"^<!-- picture: ([\w-]+): (.+) -->$", re.MULTILINE)


def illustrate(pages: Path, pictures: Path) -> None:
    """Put the pictures where the pages want them."""
    shutil.copytree(pictures, pages / "pictures")
    made = {path.stem: path.name for path in pictures.iterdir() if path.suffix in (".svg", ".png")}
    for page in pages.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        shown = PICTURE.sub(lambda found: _figure(made, *found.groups()), text)
        if shown != text:
            page.write_text(shown, encoding="utf-8")


def _figure(made: "dict[str, str]", name: str, caption: str) -> str:
    if name not in made:
        return ""
    whole = ":target: ../trace.html\n" if name == "trace" else ""  # the page itself, which is alive
    return f":::{{figure}} /pictures/{made[name]}\n:alt: {caption}\n{whole}\n{caption}\n:::"


def workshops(pages: Path) -> None:
    """The workshops as pages; what they link to in the tree's other folders is plain text there."""
    folder = pages / "workshops"
    folder.mkdir()
    for page in (ROOT / "examples/workshops").glob("*.md"):
        text = page.read_text(encoding="utf-8").replace("](../../docs/", "](../")
        (folder / page.name).write_text(text, encoding="utf-8")
    index = pages / "index.md"
    index.write_text(
        index.read_text(encoding="utf-8").replace("](../examples/workshops/", "](workshops/"), encoding="utf-8"
    )


def build(python: str, target: Path, pictures: "Path | None" = None) -> int:
    """Sphinx's exit status; a warning makes it 1."""
    sys.path.insert(0, str(ROOT))
    from pyruntime.version import SPEC

    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "docs"
        shutil.copytree(ROOT / "docs", pages)
        (pages / "reference/config.md").write_text(coverage(SPEC), encoding="utf-8")
        workshops(pages)
        if pictures:
            illustrate(pages, pictures)
        shutil.copytree(ROOT / "pyruntime", Path(folder) / "pyruntime", ignore=shutil.ignore_patterns("__pycache__"))
        words = [python, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(pages), str(target)]
        status = subprocess.run(words, check=False).returncode
    if pictures and (pictures / "trace.html").exists():
        shutil.copy(pictures / "trace.html", target)
    return status


if __name__ == "__main__":
    sys.exit(build(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3:] else None))
