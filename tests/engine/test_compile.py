"""The process that compiles: what it can still do, and what becomes of it when it fails."""

import ctypes
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyruntime.engine import engines
from pyruntime.engine.base import Limits
from pyruntime.engine.compile import compiled
from pyruntime.engine.confine import CALLS, limit
from pyruntime.engine.engines import make, prepare
from pyruntime.engine.select import Selection
from pyruntime.errors import Error, Unsupported
from pyruntime.seccomp.tables import x86_64


class Fake:
    """An engine that does something else than to compile."""

    name = "fake"
    kinds = ("wasm-module",)
    limits = ("fuel",)
    writes_files = False

    def __init__(self, act: "Callable[[], object]", absent: str = "") -> None:
        self.act = act
        self.absent = absent

    def probe(self) -> str:
        if self.absent:
            raise Error(self.absent)
        return "1"

    def cache_key(self, limits: Limits) -> str:
        return "1"

    def compile(self, wasm: bytes, limits: Limits) -> bytes:
        return repr(self.act()).encode()


def result(act: "Callable[[], object]") -> str:
    """What `act` returns in the compiler's process."""
    fd = compiled(Fake(act), b"", Limits())  # type: ignore[arg-type]
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(fd, "rb") as file:
        return file.read().decode()


def refused(act: "Callable[[], object]") -> str:
    """How `act` fails there."""
    with pytest.raises(Error) as caught:
        compiled(Fake(act), b"", Limits())  # type: ignore[arg-type]
    return caught.value.text


def test_the_result_can_be_changed_by_nobody() -> None:
    fd = compiled(Fake(lambda: 1), b"", Limits())  # type: ignore[arg-type]
    with pytest.raises(PermissionError):
        os.write(fd, b"x")
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)


SECRET = Path(__file__)


@pytest.mark.parametrize(
    "act",
    [
        lambda: SECRET.read_bytes(),
        lambda: os.open("/", os.O_PATH),
        lambda: os.stat("/"),
        lambda: os.readlink("/proc/self/exe"),
        lambda: os.listdir("/"),
        lambda: os.mkdir("/here"),
        lambda: socket.socket(),
        lambda: socket.socket(socket.AF_UNIX),
        lambda: os.fork(),
        lambda: os.execv("/bin/true", ["true"]),
        lambda: os.kill(os.getppid(), 0),
        lambda: os.memfd_create("x"),
        lambda: os.pipe(),
        lambda: os.setuid(0),
        lambda: os.uname(),
    ],
)
def test_it_can_do_nothing_to_others(act: "Callable[[], object]") -> None:
    assert "Operation not permitted" in refused(act)


def test_it_has_two_descriptors_and_streams_that_lead_nowhere() -> None:
    reader, writer = os.pipe()  # to be closed there, whatever their numbers

    def look() -> object:
        return [fd for fd in range(3, 64) if _is_open(fd)], os.read(0, 1)

    found = result(look)
    os.close(reader)
    os.close(writer)
    descriptors, _, stdin = found.strip("()").rpartition(", ")
    assert len(descriptors.strip("[]").split(",")) == 2
    assert stdin == "b''"


def _is_open(fd: int) -> bool:
    for use in (lambda: os.read(fd, 0), lambda: os.write(fd, b"")):
        try:
            use()
        except OSError:
            continue
        return True
    return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_it_is_nobody_and_has_no_rights() -> None:
    parent = os.getpid()

    def wait() -> object:
        time.sleep(0.5)
        return 1

    watcher = os.fork()
    if watcher == 0:
        time.sleep(0.25)
        seen = [child for child in _children(parent) if child != os.getpid()]
        status = Path(f"/proc/{seen[0]}/status").read_text() if seen else ""
        wanted = ("Uid:\t65534\t65534\t65534\t65534", "Groups:\t \n", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1",
                  "Seccomp:\t2", "CapPrm:\t0000000000000000")  # fmt: skip
        os._exit(sum(word not in status for word in wanted) if status else 99)
    assert result(wait) == "1"
    assert os.waitstatus_to_exitcode(os.waitpid(watcher, 0)[1]) == 0


def _children(pid: int) -> "list[int]":
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_compilers_words_are_the_error() -> None:
    def fail() -> object:
        raise RuntimeError("not a\nmodule")

    assert refused(fail) == "not a module"


def test_an_engine_that_cannot_be_loaded_is_absent() -> None:
    with pytest.raises(Unsupported, match="engine fake: no library"):
        compiled(Fake(int, "engine fake: no library"), b"", Limits())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: os._exit(3), "ended without an answer"),
        (lambda: ctypes.string_at(0), "was ended by signal 11"),
    ],
)
def test_a_compiler_that_dies_is_told(act: "Callable[[], object]", words: str) -> None:
    assert words in refused(act)


def test_memory_is_bounded() -> None:
    assert refused(lambda: len(bytearray(8 << 30))) == "MemoryError"


def test_processor_time_is_bounded_by_the_modules_size() -> None:
    before = {name: resource.getrlimit(name) for name in (resource.RLIMIT_CPU, resource.RLIMIT_AS)}
    child = os.fork()
    if child == 0:
        limit(10 << 20)
        good = resource.getrlimit(resource.RLIMIT_CPU) == (160, 160)
        os._exit(0 if good and resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert before == {name: resource.getrlimit(name) for name in before}


def test_nothing_stays_behind_when_the_command_is_interrupted() -> None:
    class Interrupted(Exception):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    old = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(Interrupted):
            compiled(Fake(lambda: time.sleep(60)), b"", Limits())  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGALRM, old)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_nothing_stays_behind_when_the_command_is_killed() -> None:
    """Root's compiler becomes somebody else, and the kernel forgets then what was to end it."""
    command = os.fork()
    if command == 0:
        compiled(Fake(_busy), b"", Limits())  # type: ignore[arg-type]
        os._exit(0)
    time.sleep(0.5)
    (compiler,) = _children(command)
    pidfd = os.pidfd_open(compiler)
    os.kill(command, signal.SIGKILL)
    os.waitpid(command, 0)
    ended = select.select([pidfd], [], [], 10)[0]
    if not ended:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)
    assert ended


def _busy() -> None:
    while True:
        pass


def test_the_calls_have_numbers() -> None:
    assert set(CALLS) <= set(x86_64.NUMBERS)


# The way from a selection to an artefact

WAT = b'(module (func (export "_start")))'


def selection(wasm: bytes = WAT, engine: str = "wasmtime", kind: str = "wat") -> Selection:
    return Selection(engine, "/program", wasm, "the test", kind)


@pytest.fixture
def wasmtime() -> None:
    try:
        make("wasmtime").probe()
    except Error as error:
        pytest.skip(f"wasmtime cannot run here: {error}")


@pytest.mark.usefixtures("wasmtime")
def test_the_second_time_it_is_in_the_cache(tmp_path: Path) -> None:
    place = str(tmp_path / "wasm")
    first, second = (prepare(selection(), Limits(), place) for _ in range(2))
    assert (first.cached, second.cached) == (False, True)
    assert prepare(selection(), Limits(fuel=5), place).cached is False
    assert prepare(selection(), Limits(fuel=7), place).cached is True  # how much of it does not change the code
    assert prepare(selection(), Limits(memory=1 << 20), place).cached is True
    assert prepare(selection(WAT + b" "), Limits(), place).cached is False
    for prepared in (first, second):
        assert prepared.load() is not None


@pytest.mark.usefixtures("wasmtime")
def test_another_version_of_the_engine_compiles_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyruntime.engine.wasmtime import Wasmtime

    place = str(tmp_path / "wasm")
    prepare(selection(), Limits(), place)
    key = Wasmtime.cache_key
    monkeypatch.setattr(Wasmtime, "cache_key", lambda self, limits: "another " + key(self, limits))
    assert prepare(selection(), Limits(), place).cached is False


@pytest.mark.usefixtures("wasmtime")
def test_an_unusable_cache_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "wasm").mkdir(mode=0o755)
    (tmp_path / "wasm").chmod(0o755)
    prepared = prepare(selection(), Limits(), str(tmp_path / "wasm"))
    assert prepared.cached is False
    assert prepared.load() is not None
    assert list((tmp_path / "wasm").iterdir()) == []


@pytest.mark.usefixtures("wasmtime")
def test_nothing_of_an_artefact_stays_open(tmp_path: Path) -> None:
    """Whoever can open it in a container could write what other containers are started from."""
    prepared = prepare(selection(), Limits(), str(tmp_path / "wasm"))
    prepared.load()
    opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in _descriptors()]
    held = [path for path in opened if path.startswith(str(tmp_path))]
    assert len(held) <= 1  # the engine's own, which it does not use any more: init closes it with all others


def _descriptors() -> "list[str]":
    return [name for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")]


def test_a_component_is_refused_by_engines_that_run_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "make", lambda name: Fake(int))
    with pytest.raises(Unsupported, match="engine fake: /program is a component, which it does not run; build a core"):
        prepare(selection(kind="wasm-component"), Limits())


def test_a_limit_that_an_engine_does_not_keep_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "make", lambda name: Fake(int))
    with pytest.raises(Unsupported, match="engine fake: keeps no limit of seconds; remove the annotation"):
        prepare(selection(kind="wasm-module"), Limits(), "", ("fuel", "seconds"))
    assert prepare(selection(kind="wasm-module"), Limits(), "", ("fuel",)).fd >= 0
