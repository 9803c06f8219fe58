"""Files of procfs by a handle: what lies on top of it, or leads out of it, is not followed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyruntime.kernel import procmount
from pyruntime.kernel.procmount import O_PATH, open_in, open_private, read_in, write_in


@pytest.fixture(params=["openat2", "without openat2"])
def look(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of opening a file."""
    if request.param != "openat2":
        real = procmount.syscall

        def refused(name: str, *words: object, **more: object) -> int:
            if name == "openat2":
                raise OSError(38, "no openat2")
            return real(name, *words, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(procmount, "syscall", refused)
    return str(request.param)


@pytest.fixture
def proc() -> "Iterator[int]":
    fd = open_private()
    yield fd
    os.close(fd)


@pytest.fixture
def folder(tmp_path: Path) -> "Iterator[int]":
    """A folder that is no procfs."""
    (tmp_path / "comm").write_text("forged")
    fd = os.open(tmp_path, O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_a_process_finds_itself(proc: int, look: str) -> None:
    assert read_in(proc, "self/stat").split(" ")[0] == str(os.getpid())
    write_in(proc, "thread-self/comm", "renamed")
    assert read_in(proc, "thread-self/comm") == "renamed\n"


def test_magic_links_lead_nowhere(proc: int, look: str) -> None:
    with pytest.raises(OSError, match="/proc/self/(cwd|exe)"):
        open_in(proc, "self/exe", os.O_RDONLY)
    if look == "openat2":
        with pytest.raises(OSError, match="/proc/self/root/etc/passwd"):
            open_in(proc, "self/root/etc/passwd", os.O_RDONLY)
        with pytest.raises(OSError, match=r"/proc/\.\./etc/passwd"):
            open_in(proc, "../etc/passwd", os.O_RDONLY)


def test_without_openat2_what_is_found_must_be_procfs(proc: int, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert procmount._open_checked(proc, "self/comm", os.O_RDONLY) > 2
    with pytest.raises(OSError, match="is not procfs"):
        procmount._open_checked(folder, "comm", os.O_RDONLY)
    with pytest.raises(OSError, match="is not procfs"):
        procmount._open_checked(proc, "self/root/etc/passwd", os.O_RDONLY)


@pytest.mark.root
def test_processes_alone_can_be_had() -> None:
    fd = open_private(processes_only=True)
    try:
        assert read_in(fd, "self/stat").split(" ")[0] == str(os.getpid())
        with pytest.raises(FileNotFoundError):
            read_in(fd, "sys/kernel/hostname")
    finally:
        os.close(fd)


@pytest.mark.root
def test_a_cover_is_not_written_to(tmp_path: Path) -> None:
    """A file bound over one of procfs's, in a mount namespace of its own."""
    cover = tmp_path / "cover"
    cover.write_text("untouched")
    pid = os.fork()
    if pid == 0:
        status = 3
        try:
            from pyruntime.kernel import mounts, ns

            ns.unshare(["mount"])
            mounts.set_attributes(
                mounts.AT_FDCWD, 0, propagation=mounts.PROPAGATION["private"], recursive=True, path="/"
            )
            over = mounts.open_tree(str(cover), recursive=False)
            target = os.open(f"/proc/{os.getpid()}/oom_score_adj", O_PATH)
            mounts.attach(over, target)
            fd = os.open("/proc", O_PATH | os.O_DIRECTORY)
            try:
                write_in(fd, "self/oom_score_adj", "500")
            except OSError as error:
                status = 0 if error.errno == 18 else error.errno or 4  # EXDEV
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert cover.read_text() == "untouched"
