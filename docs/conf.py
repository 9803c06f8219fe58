"""The site: these pages, by Sphinx. scripts/docs builds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pyruntime.version import VERSION

project = "pyruntime"
author = "the pyruntime developers"
copyright = author
version = release = VERSION
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["README.md"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure"]  # tests/test_docs.py follows every link
html_theme = "furo"
html_title = f"pyruntime {VERSION}"
html_static_path = []
html_copy_source = False
html_show_sphinx = False
