"""`delete --force` of what can't be loaded: all of the container goes, and nothing else."""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyruntime.cgroup import kill, members, tree
from pyruntime.cli.remains import clear
from pyruntime.errors import StateError
from pyruntime.kernel.procfs import boot_id, start_time
from pyruntime.state import store
from tests.cli.verbs.box import Box, alive

numbers = itertools.count()


def damages() -> "list[object]":
    """What may become of a state file: (name, from the good bytes to the bad; None removes it)."""
    cuts: "list[tuple[str, Callable[[bytes], bytes | None]]]" = [
        (f"cut at {percent} per cent", lambda text, percent=percent: text[: len(text) * percent // 100])  # type: ignore[misc]
        for percent in (0, 1, 30, 60, 90, 99)
    ]
    return [
        *(pytest.param(act, id=name) for name, act in cuts),
        pytest.param(lambda text: None, id="missing"),
        pytest.param(lambda text: b"\x00" * len(text), id="zeros"),
        pytest.param(lambda text: text.replace(b'"format":1', b'"format":99'), id="newer format"),
        pytest.param(
            lambda text: text.replace(b'"cgroup_paths":{', b'"cgroup_paths":[{').replace(b'},"name', b'}],"name'),
            id="wrong types",
        ),
    ]


@pytest.mark.root
@pytest.mark.parametrize("manager", ["cgroupfs", "disabled"])
@pytest.mark.parametrize("started", [False, True], ids=["created", "running"])
@pytest.mark.parametrize("damage", damages())
def test_a_damaged_state_file(
    host: Box, damage: "Callable[[bytes], bytes | None]", started: bool, manager: str
) -> None:
    host.configure(process__args=["sh", "-c", "sleep 600 & wait"])
    option = f"--cgroup-manager={manager}"
    name, other = (host.running(option) if started else host.create(option)), host.running()
    init, neighbour = host.state(name)["pid"], host.state(other)["pid"]
    cgroup = host.cgroup(name) if manager == "cgroupfs" else None
    text = damage(host.file(name).read_bytes())
    host.file(name).unlink()
    if text is not None:
        host.file(name).write_bytes(text)
    said = host.error("state", name)
    assert str(host.file(name)) in said or name in said
    assert "delete" in said or "format" in said
    assert host("delete", name).returncode == 1
    host.ok("delete", "--force", name)
    assert not (host.root / name).exists()
    assert not alive(init)
    assert cgroup is None or not cgroup.exists()
    assert alive(neighbour)
    assert host.state(other)["status"] == "running"
    host.ok("delete", "--force", name)


def made(root: Path, name: str = "x") -> Path:
    """A state directory with nothing in it."""
    (root / name).mkdir(parents=True)
    return root / name


OTHERS = [
    b'{"id":"x","init_process_pid":1}',
    b'{"id":"x","init_proc',
    b'{"other":',
    b"[]",
    b"{}",
    b'{"ociVersion":"1.0.2"}',
]


@pytest.mark.parametrize("text", OTHERS)
def test_another_runtimes_state_is_refused(box: Box, text: bytes) -> None:
    file = made(box.root) / "state.json"
    file.write_bytes(text)
    box.error("delete", "--force", "x")
    assert file.read_bytes() == text


def test_a_directory_with_strange_files_is_refused(box: Box) -> None:
    (made(box.root) / "status").write_text("{}")
    assert "status" in box.error("delete", "--force", "x")
    assert (box.root / "x" / "status").exists()


def test_an_empty_directory_is_removed(box: Box) -> None:
    made(box.root)
    box.error("delete", "x")
    box.ok("delete", "--force", "x")
    assert not (box.root / "x").exists()
    assert clear(str(box.root), "x", StateError("")) == 0


def test_a_link_is_not_followed(box: Box, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    box.root.mkdir()
    (box.root / "x").symlink_to(tmp_path / "precious")
    box.error("delete", "--force", "x")
    assert (tmp_path / "precious").is_dir()
    (box.root / "x").unlink()
    (tmp_path / "file").write_text('{"ociVersion":')
    (made(box.root) / "state.json").symlink_to(tmp_path / "file")
    box.error("state", "x")
    box.ok("delete", "--force", "x")
    assert (tmp_path / "file").exists()


@pytest.mark.root
def test_another_users_directory_is_left_alone(box: Box) -> None:
    os.chown(made(box.root), 65534, 65534)
    assert "another user" in box.error("state", "x")
    assert "another user" in box.error("delete", "--force", "x")
    assert (box.root / "x").is_dir()


class Fake:
    """A state directory with a claim, as `create` leaves it, around a process that only sleeps."""

    def __init__(self, root: Path) -> None:
        found = tree.read_tree()
        if os.geteuid() != 0 or not found.mount:
            pytest.skip("needs root and a cgroup2 mount")
        self.root = root
        self.cgroup = Path(found.mount, f"pyruntime-test-{os.getpid()}-{next(numbers)}")
        self.sleeper: "subprocess.Popen[bytes] | None" = None

    def make(self, stage: str = "running") -> bytes:
        """Make it all; what the state file holds."""
        self.cgroup.mkdir(exist_ok=True)
        self.sleeper = subprocess.Popen(["sleep", "600"])
        (self.cgroup / "cgroup.procs").write_text(str(self.sleeper.pid))
        container = store.reserve(str(self.root), "x")
        pid = self.sleeper.pid if stage == "running" else 0
        container.data.update(init_process_pid=pid, cgroup_paths={"": str(self.cgroup)}, config={"rootfs": "/"})
        container.data["init_process_start"] = start_time(pid)
        container.own.update(bootId=boot_id(), stage=stage)
        container.save()
        container.close()
        return (self.root / "x" / "state.json").read_bytes()

    def gone(self) -> bool:
        """Whether nothing is left."""
        assert self.sleeper is not None
        return self.sleeper.wait(10) == -9 and not self.cgroup.exists() and not (self.root / "x").exists()

    def end(self) -> None:
        """Leave nothing behind."""
        if self.sleeper is not None:
            self.sleeper.kill()
            self.sleeper.wait()
        kill.kill(str(self.cgroup))
        members.remove(str(self.cgroup))


@pytest.fixture
def fake(tmp_path: Path) -> "Iterator[Fake]":
    made = Fake(tmp_path / "state")
    yield made
    made.end()


@pytest.mark.root
def test_cut_at_every_byte(fake: Fake) -> None:
    offset, size = 0, 1
    while offset < size:
        size = len(fake.make())
        os.truncate(fake.root / "x" / "state.json", offset)
        with pytest.raises(StateError) as caught:
            store.load(str(fake.root), "x")
        assert "\n" not in str(caught.value)
        assert "delete -f x" in str(caught.value)
        assert clear(str(fake.root), "x", caught.value) == 0
        assert fake.gone(), offset
        offset += 1
    assert size > 200


@pytest.mark.root
def test_a_cgroup_that_is_only_named_is_nobodys_proof(fake: Fake, capfd: pytest.CaptureFixture[str]) -> None:
    """Killed before its own cgroup was made, and the one it wanted was in use: who is in there must live."""
    text = fake.make(stage="creating")
    (fake.root / "x" / "state.json").write_bytes(text[:-1])
    assert clear(str(fake.root), "x", StateError("")) == 0
    assert fake.sleeper is not None
    assert fake.sleeper.poll() is None
    assert f"processes still in it: {fake.sleeper.pid}" in capfd.readouterr().err
    assert not (fake.root / "x").exists()


@pytest.mark.root
def test_an_empty_cgroup_that_is_only_named_is_removed(fake: Fake) -> None:
    text = fake.make(stage="creating")
    assert fake.sleeper is not None
    fake.sleeper.kill()
    fake.sleeper.wait()
    (fake.root / "x" / "state.json").write_bytes(text[:-1])
    assert clear(str(fake.root), "x", StateError("")) == 0
    assert not fake.cgroup.exists()
    assert not (fake.root / "x").exists()


@pytest.mark.root
def test_a_claim_from_before_is_void(fake: Fake, tmp_path: Path) -> None:
    """A reused pid and a cgroup of the same name are somebody else's."""
    fake.make()
    claim = fake.root / "x" / "claim"
    boot, pid, start, inode, path = os.readlink(claim).split("/", 4)
    (fake.root / "x" / "state.json").unlink()
    for text in (
        f"{'0' * 36}/{pid}/{start}/{inode}/{path}",
        f"{boot}/{pid}/{int(start) + 1}/{int(inode) + 1}/{path}",
        "nonsense",
        f"{boot}/x/{start}/x/{path}",
    ):
        claim.parent.mkdir(exist_ok=True)
        claim.unlink(missing_ok=True)
        claim.symlink_to(text)
        assert clear(str(fake.root), "x", StateError("")) == 0
        assert fake.sleeper is not None
        assert fake.sleeper.poll() is None
        assert not claim.parent.exists()
