"""What a wheel brings besides the package: manual pages and completions, made from the option table as it is built."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))

COMPLETIONS = {
    "bash": "share/bash-completion/completions/pyruntime",
    "zsh": "share/zsh/site-functions/_pyruntime",
    "fish": "share/fish/vendor_completions.d/pyruntime.fish",
}


class Hook(BuildHookInterface):  # type: ignore[misc]
    """hatchling's way to add files that are made while building."""

    def initialize(self, version: str, build_data: "dict[str, Any]") -> None:
        """Called by hatchling before the archive is written."""
        from completions import SHELLS
        from manual import pages

        files = {f"share/man/man1/{name}": text for name, text in pages().items()}
        files |= {place: SHELLS[shell]() for shell, place in COMPLETIONS.items()}
        folder = Path(tempfile.mkdtemp())
        for number, (place, text) in enumerate(files.items()):
            made = folder / str(number)
            made.write_text(text, encoding="utf-8")
            build_data["shared_data"][str(made)] = place

    def finalize(self, version: str, build_data: "dict[str, Any]", artifact: str) -> None:
        """Called when the archive is written."""
        for made in build_data["shared_data"]:
            path = Path(made)
            if path.parent.parent == Path(tempfile.gettempdir()):
                path.unlink()
