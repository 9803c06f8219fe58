"""The state directory: who owns an id, what may be read, what is removed."""

import fcntl
import json
import os
import stat
from pathlib import Path

import pytest

from pyruntime.errors import Error, StateError
from pyruntime.state import store
from pyruntime.state.store import Container


@pytest.fixture
def container(tmp_path: Path) -> Container:
    """A container that was reserved and saved."""
    made = store.reserve(str(tmp_path / "root"), "x")
    made.data.update(cgroup_paths={}, config={"rootfs": "/r"}, init_process_pid=0)
    made.save()
    return made


def refused(container: Container) -> str:
    with pytest.raises(StateError) as caught:
        store.load(container.root, container.id)
    assert "\n" not in caught.value.text
    return caught.value.text


def test_a_directory_that_can_not_be_locked_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        store.reserve(str(tmp_path / "root"), "x")
    assert os.listdir(tmp_path / "root") == []


def test_what_is_saved_is_loaded(container: Container) -> None:
    container.own["bundle"] = "/b\u00e4\udcff"
    container.save()
    found = store.load(container.root, "x")
    assert found.data == container.data
    assert (found.path, found.pid, found.cgroup) == (f"{container.root}/x", 0, "")
    assert sorted(os.listdir(container.path)) == ["state.json"]


def test_only_the_owner_may_look(container: Container) -> None:
    assert stat.S_IMODE(os.stat(container.root).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(container.path).st_mode) == 0o711
    assert stat.S_IMODE(os.stat(f"{container.path}/state.json").st_mode) == 0o600


def test_an_id_is_taken_once(container: Container) -> None:
    with pytest.raises(StateError, match="container with given ID already exists: x"):
        store.reserve(container.root, "x")


def test_who_reserves_holds_the_lock(container: Container) -> None:
    other = store.load(container.root, "x")
    assert other.locked_by_other()
    container.close()
    assert not other.locked_by_other()
    with pytest.raises(BlockingIOError):
        fcntl.flock(store.open_directory(container.root, "x"), fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_removed_while_open(container: Container) -> None:
    other = store.load(container.root, "x")
    assert not other.gone()
    container.remove()
    assert other.gone()
    container.remove()
    assert "does not exist" in refused(container)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "unreadable"),
        (b"{", "unreadable"),
        (b"\xff", "unreadable"),
        (b"[" * 100_000, "unreadable"),
        (b"[]", "another runtime"),
        (b"{}", "another runtime"),
        (b'{"id":"x","pyruntime":1}', "another runtime"),
        (b'{"pyruntime":{"format":2}}', "format 2, this version reads 1"),
        (b'{"pyruntime":{"format":1}}', "id: expected str"),
    ],
)
def test_unusable_content(container: Container, text: bytes, said: str) -> None:
    Path(container.path, "state.json").write_bytes(text)
    assert said in refused(container)
    assert "\n" not in refused(container)


@pytest.mark.parametrize("name", ["id", "ociVersion", "cgroup_paths", "config", "init_process_pid"])
def test_a_member_of_another_type(container: Container, name: str) -> None:
    Path(container.path, "state.json").write_text(json.dumps({**container.data, name: [1]}))
    assert f"{name}: expected" in refused(container)


def test_links_are_refused(container: Container, tmp_path: Path) -> None:
    file = Path(container.path, "state.json")
    os.link(file, tmp_path / "second")
    assert "2 links" in refused(container)
    file.unlink()
    file.symlink_to(tmp_path / "second")
    assert "half made" in refused(container)
    file.unlink()
    os.mkfifo(file)
    assert "unreadable" in refused(container)
    Path(container.root, "y").symlink_to(container.path)
    with pytest.raises(StateError, match="cannot open the state directory"):
        store.load(container.root, "y")


def test_a_missing_file_and_a_missing_directory(container: Container) -> None:
    os.unlink(f"{container.path}/state.json")
    assert "has no state.json" in refused(container)
    assert "delete -f x" in refused(container)
    with pytest.raises(StateError, match="container does not exist: nobody"):
        store.load(container.root, "nobody")


@pytest.mark.root
def test_another_users_directory(container: Container) -> None:
    os.chown(container.path, 65534, -1)
    assert "another user" in refused(container)
    os.chown(container.path, 0, -1)
    os.chown(f"{container.path}/state.json", 65534, -1)
    assert "uid 65534" in refused(container)


def test_names(container: Container) -> None:
    Path(container.root, "file").touch()
    Path(container.root, ".hidden").mkdir()
    Path(container.root, "a").mkdir()
    assert store.names(container.root) == [".hidden", "a", "x"]
    with pytest.raises(FileNotFoundError):
        store.names(f"{container.root}/nowhere")


def test_removing_follows_nothing(container: Container, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    folder = Path(container.path, "notify")
    folder.mkdir()
    (folder / "link").symlink_to(precious)
    os.mkfifo(folder / "fifo")
    container.remove()
    assert not os.path.exists(container.path)
    assert (precious / "file").read_text() == "x"


def test_saving_replaces_whole_files_only(container: Container) -> None:
    before = os.stat(f"{container.path}/state.json").st_ino
    container.save()
    assert os.stat(f"{container.path}/state.json").st_ino != before
    assert json.loads(Path(container.path, "state.json").read_text())["id"] == "x"


def test_a_root_of_another_user_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, mode: int) -> None:
        raise PermissionError(13, os.strerror(13), path) if path.endswith("/x") else FileExistsError

    monkeypatch.setattr(store.os, "mkdir", refuse)
    with pytest.raises(Error) as caught:
        store.reserve(str(tmp_path), "x")
    assert caught.value.text.endswith("/x: permission denied; name one of your own with --root, or set XDG_RUNTIME_DIR")
