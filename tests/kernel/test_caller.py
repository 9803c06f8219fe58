"""Our command line, environment and name, overwritten: tried in processes of their own."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import posix, sys
sys.path.insert(0, sys.argv[1])
from pyruntime.kernel import caller, process
process.rename(process.command_line(), "\\0".join(sys.argv[2:]).encode())
caller.set_name(sys.argv[2].encode())
caller.forget_environment()
for name in ("cmdline", "environ", "comm"):
    sys.stdout.buffer.write(open(f"/proc/self/{name}", "rb").read().rstrip(b"\\0\\n") + b"|")
sys.stdout.write(repr(posix.environ))
"""
ROOT = Path(__file__).resolve().parents[2]


def become(*words: str, env: "dict[str, str] | None" = None) -> "tuple[str, ...]":
    command = [sys.executable, "-IS", "-c", SCRIPT, str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, env=env, text=True, check=True, timeout=60)
    return tuple(done.stdout.split("|"))


def test_the_words_are_shown_and_nothing_else() -> None:
    assert become("/bin/guest.wasm", "a b", "käse", env={"SECRET": "x", "LONG": "y" * 5000}) == (
        "/bin/guest.wasm\0a b\0käse", "", "guest.wasm", "{}",
    )  # fmt: skip


def test_without_an_environment() -> None:
    assert become("guest", env={})[:3] == ("guest", "", "guest")


def test_names_are_cut_as_the_kernel_does() -> None:
    assert become("/a/name-of-more-than-15-bytes")[2] == "name-of-more-th"
