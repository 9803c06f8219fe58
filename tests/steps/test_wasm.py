"""The check that a container shows the module that was compiled, where it shows something else."""

from pathlib import Path

import pytest

from pyruntime.engine.cache import digest, digest_of
from pyruntime.engine.select import Selection, identity
from pyruntime.errors import Error
from pyruntime.steps.wasm import CheckModule
from pyruntime.walk.walker import Walker

WASM = b"\0asm\1\0\0\0"


def selection(file: Path, shown: str) -> Selection:
    """What was read from `file`, and is at `shown` in the container."""
    file.write_bytes(WASM)
    found = Selection("", shown, WASM, "process.args[0]", file=identity(file.stat()))
    found.digest = digest(WASM)
    return found


def check(chosen: Selection) -> None:
    CheckModule("rule", chosen, digest_of).run(Walker.__new__(Walker))


def test_the_same_file_and_a_copy_of_it(tmp_path: Path) -> None:
    check(selection(tmp_path / "a", str(tmp_path / "a")))
    (tmp_path / "b").write_bytes(WASM)
    check(selection(tmp_path / "a", str(tmp_path / "b")))


def test_another_file_of_the_same_size(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\0" * len(WASM))
    with pytest.raises(Error, match="is another file there"):
        check(selection(tmp_path / "a", str(tmp_path / "b")))


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    """/dev is made over a rootfs that has a module as /dev/zero; a file may be sparse and of any size."""
    with (tmp_path / "b").open("wb") as file:
        file.truncate(1 << 42)

    def read(fd: int) -> str:
        pytest.fail("it is read")

    for shown in ("/dev/zero", str(tmp_path / "b"), str(tmp_path)):
        with pytest.raises(Error, match="is another file there"):
            CheckModule("rule", selection(tmp_path / "a", shown), read).run(Walker.__new__(Walker))
