"""Tests against the real kernel: as root, in a mount namespace of their own, with a look at what is left behind."""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyruntime.engine.cache import SYSTEM
from tests.system import harness, leaks
from tests.system.harness import Bundle, Runtime, emptied
from tests.system.remounted import remounted  # noqa: F401 - a fixture
from tests.system.users import readable_tree
from tests.system.wasm import alive, wasm  # noqa: F401 - fixtures

_CLONE_NEWNS, _MS_REC, _MS_PRIVATE, _MS_SHARED = 0x20000, 1 << 14, 1 << 18, 1 << 20
HERE = Path(__file__).parent
CACHES = Path(SYSTEM).parent


def pytest_collection_modifyitems(items: "list[pytest.Item]") -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.root)


def _why_not() -> str:
    if os.geteuid():
        return "needs root: makes namespaces, mounts and cgroups"
    if not leaks.cgroup2_mount():
        return "needs a cgroup2 tree"
    if not harness.BUSYBOX.exists():
        return f"needs a static {harness.BUSYBOX} (Debian: busybox-static)"
    return ""


def _libc(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), name)


@pytest.fixture(scope="session", autouse=True)
def own_mounts() -> "Iterator[None]":
    """A mount namespace whose mounts are shared among themselves, as systemd leaves them, and with nobody else.

    So a mount that gets out of a container is seen, and those of other programs are not.
    """
    if _why_not():
        yield
        return
    before, cwd = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC), os.getcwd()
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _libc("unshare", _CLONE_NEWNS)
    _libc("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    _libc("mount", None, b"/", None, _MS_REC | _MS_SHARED, None)
    # What is compiled for tests is theirs, and what others have compiled is not looked at.
    CACHES.mkdir(parents=True, exist_ok=True)
    _libc("mount", b"tmpfs", bytes(CACHES), b"tmpfs", 0, b"mode=755")
    leaks.become_subreaper()
    yield
    _libc("setns", before, _CLONE_NEWNS)
    os.fchdir(root)  # setns leads to the root of the mount namespace, which in a chroot is not ours
    os.chroot(".")
    os.close(root)
    os.close(before)
    os.chdir(cwd)


@pytest.fixture(scope="session")
def ground() -> "Iterator[Path]":
    """A folder that a container's user may pass through, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix=harness.PREFIX) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def tmp_path(ground: Path) -> "Iterator[Path]":
    """A folder of the test's own in there, gone afterwards."""
    folder = ground / str(next(harness.numbers))
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def busybox(ground: Path) -> Path:
    """A copy of busybox that every rootfs links to."""
    return harness.copy_busybox(ground)


@pytest.fixture(scope="session")
def readable(ground: Path) -> Path:
    """The launcher of this tree, where every user may read it."""
    folder = ground / "tree"
    folder.mkdir()
    return readable_tree(folder)


@pytest.fixture(autouse=True)
def no_leaks(own_mounts: None) -> "Iterator[None]":
    """What was there before a test is there after it, and nothing else."""
    if reason := _why_not():
        pytest.skip(reason)
    before = leaks.snapshot()
    yield
    try:
        leaks.assert_nothing_left(before)
    finally:
        leaks.kill_leftovers(before["processes"])


@pytest.fixture
def rt(launcher: Path, tmp_path: Path) -> "Iterator[Runtime]":
    """pyruntime of this tree; no container may be left under its state root."""
    yield from emptied(Runtime(launcher, tmp_path / "rt"))


@pytest.fixture
def make(tmp_path: Path, busybox: Path) -> "Callable[..., Bundle]":
    """A function that makes bundles: `make("sh", "-c", "echo hi")`."""

    def make_bundle(*command: str, name: str = "") -> Bundle:
        return Bundle(tmp_path / (name or f"bundle{next(harness.numbers)}"), busybox, *command)

    return make_bundle


@pytest.fixture
def bundle(make: "Callable[..., Bundle]") -> Bundle:
    """One bundle that runs `true`."""
    return make()
