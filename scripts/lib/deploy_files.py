#!/usr/bin/env python3
"""Write deploy/: the configuration that `setup` writes, for who copies files: scripts/lib/deploy_files.py"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "/usr/bin/pyruntime"


def files() -> "dict[str, str]":
    """Path below deploy/ → content."""
    sys.path.insert(0, str(ROOT))
    from pyruntime.look.setup import snippets

    return {
        "containerd/v2.toml": f"version = 2\n\n{snippets.containerd(PROGRAM, 2, with_runc=True)}",
        "containerd/v3.toml": f"version = 3\n\n{snippets.containerd(PROGRAM, 3)}",
        "crio/50-pyruntime.conf": snippets.crio(PROGRAM),
        "podman/50-pyruntime.conf": snippets.podman(PROGRAM),
        "docker/daemon.json": json.dumps({"runtimes": {"pyruntime": snippets.docker(PROGRAM)}}, indent=2) + "\n",
        "kubernetes/runtimeclass.yaml": snippets.RUNTIME_CLASS,
    }


if __name__ == "__main__":
    for name, text in files().items():
        (ROOT / "deploy" / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / "deploy" / name).write_text(text, encoding="utf-8")
