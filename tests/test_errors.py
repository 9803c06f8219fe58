"""The wording of errors."""

import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pyruntime.errors import one_line

ROOT = Path(__file__).resolve().parents[1]


@given(st.text())
def test_one_line_escapes_as_the_codec_does(text: str) -> None:
    wanted = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    assert one_line(text) == wanted
    assert wanted.isprintable()


def test_one_line_needs_no_import() -> None:
    """Init says why it fails after its root has become the container's."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pyruntime.errors import one_line\n"
        "from pyruntime.kernel.imports import lock_imports\n"
        "lock_imports()\n"
        r"print(one_line('a\x1b\n\u2028\U000e0001\udc80'))"
    )
    found = subprocess.run([sys.executable, "-ISB", "-c", program], capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("a\\x1b\\n\\u2028\\U000e0001\\udc80\n", "")
