"""What is kept of compiled modules, and what is never taken from the cache."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyruntime.engine import cache as module
from pyruntime.engine.base import Limits
from pyruntime.engine.cache import SYSTEM, Cache, digest, digest_of, key_of, place
from pyruntime.errors import Error

KEY, OTHER = digest(b"one"), digest(b"two")
ABOUT = {"engine": "test", "program": "/program.wasm"}


def put(cache: Cache, key: str, content: bytes) -> None:
    source = os.memfd_create("artefact")
    os.write(source, content)
    kept = cache.put(key, source, ABOUT)
    assert kept is not None
    os.close(kept)
    os.close(source)


def found(cache: Cache, key: str) -> "bytes | None":
    fd = cache.find(key)
    if fd is None:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "below" / "wasm"


@pytest.fixture
def cache(folder: Path) -> Cache:
    return Cache(str(folder))


def test_what_was_put_is_found_by_its_key_alone(cache: Cache, folder: Path) -> None:
    put(cache, KEY, b"code")
    assert found(cache, KEY) == b"code"
    assert found(cache, OTHER) is None
    assert found(Cache(str(folder)), KEY) == b"code"


def test_nobody_else_may_look(cache: Cache, folder: Path) -> None:
    old = os.umask(0)
    try:
        put(cache, KEY, b"code")
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o7777 == 0o700
    assert {file.stat().st_mode & 0o7777 for file in folder.iterdir()} == {0o600}


def test_a_changed_artefact_is_removed_and_not_loaded(cache: Cache, folder: Path) -> None:
    put(cache, KEY, b"code")
    with (folder / KEY).open("r+b") as file:
        file.write(b"evil")
    assert found(cache, KEY) is None
    assert list(folder.iterdir()) == []


def test_a_cut_artefact_is_not_loaded(cache: Cache, folder: Path) -> None:
    put(cache, KEY, b"code")
    os.truncate(folder / KEY, 2)
    assert found(cache, KEY) is None


def test_a_changed_artefact_with_its_old_time_is_not_loaded(cache: Cache, folder: Path) -> None:
    put(cache, KEY, b"code")
    before = (folder / KEY).stat()
    time.sleep(0.02)  # a tick of the kernel's clock for files
    (folder / KEY).write_bytes(b"evil")
    os.utime(folder / KEY, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert found(cache, KEY) is None


def test_a_copied_cache_is_checked_by_content_and_taken(cache: Cache, folder: Path, tmp_path: Path) -> None:
    put(cache, KEY, b"code")
    shutil.copytree(folder, tmp_path / "copy" / "wasm")
    copy = Cache(str(tmp_path / "copy" / "wasm"))
    before = (tmp_path / "copy" / "wasm" / f"{KEY}.note").read_text()
    assert found(copy, KEY) == b"code"
    assert (tmp_path / "copy" / "wasm" / f"{KEY}.note").read_text() != before  # from now on by stat(2) alone


def test_an_artefact_of_a_matching_stat_is_not_read(
    cache: Cache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cache, KEY, b"code")
    monkeypatch.setattr(module, "digest_of", lambda fd: pytest.fail("it was read"))
    assert found(cache, KEY) == b"code"


@pytest.mark.parametrize("name", [KEY, f"{KEY}.note"])
@pytest.mark.parametrize("way", ["mode", "symlink", "hard link", "fifo", "directory", "absent"])
def test_what_is_foreign_is_never_loaded(cache: Cache, folder: Path, tmp_path: Path, name: str, way: str) -> None:
    put(cache, KEY, b"code")
    FOREIGN[way](folder / name, tmp_path / "elsewhere")
    assert found(cache, KEY) is None


def _linked(file: Path, elsewhere: Path) -> None:
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def _directory(file: Path, elsewhere: Path) -> None:
    file.unlink()
    file.mkdir()


def _fifo(file: Path, elsewhere: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


FOREIGN: "dict[str, Callable[[Path, Path], None]]" = {
    "mode": lambda file, _: file.chmod(0o640),
    "symlink": _linked,
    "hard link": lambda file, elsewhere: os.link(file, elsewhere),
    "fifo": _fifo,
    "directory": _directory,
    "absent": lambda file, _: file.unlink(),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_never_loaded(cache: Cache, folder: Path) -> None:
    put(cache, KEY, b"code")
    os.chown(folder / KEY, 1000, 1000)
    assert found(cache, KEY) is None
    put(cache, OTHER, b"more")
    os.chown(folder / f"{OTHER}.note", 1000, 1000)
    assert found(cache, OTHER) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_a_directory_of_somebody_else_is_refused(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    os.chown(folder, 1000, 1000)
    with pytest.raises(Error, match="belongs to uid 1000 and has mode 0700, expected uid 0 and 0700"):
        Cache(str(folder))


def test_a_directory_that_others_may_read_is_refused(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    with pytest.raises(Error, match="mode 0755"):
        Cache(str(folder))


def test_a_directory_below_one_that_everybody_writes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(Error, match="can be written by everybody"):
        Cache(str(tmp_path / "open" / "wasm"))


def test_a_link_in_the_place_of_the_directory_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.parent.mkdir()
    (tmp_path / "real").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "real")
    with pytest.raises(Error, match="cache of Wasm modules"):
        Cache(str(folder))


def test_the_least_recently_used_makes_room(folder: Path) -> None:
    cache = Cache(str(folder), bound=100)
    keys = [digest(bytes([index])) for index in range(4)]
    for index, key in enumerate(keys[:3]):
        put(cache, key, bytes(30))
        os.utime(folder / f"{key}.note", (index, index))
    assert found(cache, keys[0]) is not None  # used once more, and now the last to go
    put(cache, keys[3], bytes(30))
    assert {entry.key for entry in cache.entries()} == {keys[0], keys[2], keys[3]}


def test_what_is_larger_than_half_the_bound_is_not_kept(folder: Path) -> None:
    cache = Cache(str(folder), bound=100)
    source = os.memfd_create("artefact")
    os.write(source, bytes(51))
    assert cache.put(KEY, source, ABOUT) is None
    assert list(folder.iterdir()) == []


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 60), max_size=12))
def test_never_more_than_the_bound(sizes: "list[int]", tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bounded") / "wasm"
    cache = Cache(str(folder), bound=100)
    for index, size in enumerate(sizes):
        source = os.memfd_create("artefact")
        os.write(source, bytes(size))
        kept = cache.put(digest(bytes([index])), source, ABOUT)
        assert (kept is not None) == (size <= 50)
        for fd in (source, kept):
            if fd is not None:
                os.close(fd)
        assert sum(file.stat().st_size for file in folder.iterdir() if not file.name.endswith(".note")) <= 100
    cache.close()


def test_pruning_removes_what_killed_writers_left(cache: Cache, folder: Path) -> None:
    put(cache, KEY, b"code")
    (folder / f".{OTHER}.4711").write_bytes(b"half")
    (folder / f"{OTHER}.note").write_text("engine test\n")
    assert cache.prune(1000) == []
    assert {file.name for file in folder.iterdir()} == {KEY, f"{KEY}.note"}
    assert [entry.key for entry in cache.prune(0)] == [KEY]
    assert list(folder.iterdir()) == []


def test_a_writer_does_not_wait_for_another_that_hangs(cache: Cache, folder: Path) -> None:
    other = Cache(str(folder))
    other.lock()
    source = os.memfd_create("artefact")
    os.write(source, b"code")
    began = time.monotonic()
    assert cache.put(KEY, source, ABOUT) is None
    assert time.monotonic() - began < 2
    assert list(folder.iterdir()) == []


WRITER = """
import os, sys
from pyruntime.engine.cache import Cache
cache = Cache(sys.argv[1])
for _ in range(20):
    source = os.memfd_create("artefact")
    os.write(source, sys.argv[3].encode() * 4096)
    for fd in (cache.put(sys.argv[2], source, {"engine": "test"}), source, cache.find(sys.argv[2])):
        if fd is not None:
            assert len(set(os.pread(fd, 1 << 20, 0))) == 1, "a mixture of two"
            os.close(fd)
"""


def test_many_writers_at_once_leave_one_whole_artefact(cache: Cache, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder), KEY, letter], env=environment)
        for letter in "abcdef"
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 6
    content = found(cache, KEY)
    assert content is not None
    assert len(content) == 4096
    assert len(set(content)) == 1
    assert {file.name for file in folder.iterdir()} == {KEY, f"{KEY}.note"}


class Keyed:
    name = "test"
    settings = "1"

    def cache_key(self, limits: Limits) -> str:
        return self.settings and f"{self.settings} {limits.fuel}"


def test_the_key_depends_on_everything_that_code_depends_on() -> None:
    engine, older, other = Keyed(), Keyed(), Keyed()
    older.settings, other.name = "0", "other"
    keys = [
        key_of(digest(b"one"), engine, Limits()),  # type: ignore[arg-type]
        key_of(digest(b"two"), engine, Limits()),  # type: ignore[arg-type]
        key_of(digest(b"one"), engine, Limits(fuel=1)),  # type: ignore[arg-type]
        key_of(digest(b"one"), older, Limits()),  # type: ignore[arg-type]
        key_of(digest(b"one"), other, Limits()),  # type: ignore[arg-type]
    ]
    assert len(set(keys)) == len(keys)
    older.settings = ""
    assert key_of(digest(b"one"), older, Limits()) == ""  # type: ignore[arg-type]


def test_a_file_and_its_bytes_have_one_digest(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as file:
        assert digest_of(file.fileno()) == digest(content)


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert place() == SYSTEM
    for name, value, expected in (
        (b"XDG_CACHE_HOME", b"/x", "/x/pyruntime/wasm"),
        (b"XDG_CACHE_HOME", b"relative", "/home/me/.cache/pyruntime/wasm"),
        (b"XDG_CACHE_HOME", b"", "/home/me/.cache/pyruntime/wasm"),
    ):
        monkeypatch.setattr(module.os, "environ", {b"HOME": b"/home/me", name: value})
        assert place(in_user_namespace=True) == expected
    monkeypatch.setattr(module.os, "environ", {})
    assert place(in_user_namespace=True) == ""
