"""The device program in the real kernel."""

import errno
import os
import resource
import time
from collections.abc import Iterator

import pytest

from pyruntime.cgroup import devices, tree
from pyruntime.cgroup.devices import ANY, CHAR, EVERY_ACCESS, READ, Rule
from pyruntime.cgroup.files import CgroupError
from pyruntime.cgroup.guard import guard
from pyruntime.kernel import bpf

pytestmark = pytest.mark.root
EVERYTHING = Rule(True, ANY, None, None, EVERY_ACCESS)


@pytest.fixture
def place() -> Iterator[str]:
    """A new cgroup's directory."""
    if os.geteuid() != 0:
        pytest.skip("loading a program and making a cgroup need root")
    mount = tree.read_tree().mount
    if not mount or not os.access(mount, os.W_OK):
        pytest.skip("no writable cgroup2 mount here")
    directory = f"{mount}/pyruntime-bpf-{os.getpid()}-{time.monotonic_ns()}"
    os.mkdir(directory)
    yield directory
    os.rmdir(directory)


@pytest.fixture
def cgroup(place: str) -> Iterator[int]:
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        program = bpf.load_device_program(devices.program([]))
    except OSError as error:
        os.close(fd)
        pytest.skip(f"this kernel or host does not let us load device programs: {error}")
    os.close(program)
    yield fd
    os.close(fd)


def opens(place: str, path: str, flags: int = os.O_RDONLY) -> int:
    """The errno with which a process in the cgroup opens a device; 0 if it can."""
    pid = os.fork()
    if not pid:
        try:
            with open(f"{place}/cgroup.procs", "w") as procs:
                procs.write("0")
            os.open(path, flags)
        except OSError as error:
            os._exit(error.errno or 255)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def count(cgroup: int) -> int:
    programs = bpf.attached(cgroup)
    for program in programs:
        os.close(program)
    return len(programs)


def test_denied_and_allowed(place: str, cgroup: int) -> None:
    assert opens(place, "/dev/kmsg") == 0
    guard(cgroup, devices.program(devices.DEFAULTS))
    assert opens(place, "/dev/kmsg") == errno.EPERM
    assert opens(place, "/dev/null", os.O_RDWR) == 0
    assert opens(place, "/dev/urandom") == 0


def test_part_of_the_access(place: str, cgroup: int) -> None:
    guard(cgroup, devices.program([EVERYTHING, Rule(False, CHAR, 1, 3, READ)]))
    assert opens(place, "/dev/null", os.O_RDONLY) == errno.EPERM
    assert opens(place, "/dev/null", os.O_RDWR) == errno.EPERM
    assert opens(place, "/dev/null", os.O_WRONLY) == 0
    assert opens(place, "/dev/zero") == 0


def test_replaced_and_not_piled_up(place: str, cgroup: int) -> None:
    guard(cgroup, devices.program([]))
    assert opens(place, "/dev/null") == errno.EPERM
    guard(cgroup, devices.program([EVERYTHING]))
    assert opens(place, "/dev/null") == 0
    assert count(cgroup) == 1


def test_several_old_ones_go(place: str, cgroup: int) -> None:
    for rules in ([], [EVERYTHING]):
        program = bpf.load_device_program(devices.program(rules))
        bpf.attach(program, cgroup)
        os.close(program)
    assert count(cgroup) == 2
    guard(cgroup, devices.program([EVERYTHING]))
    assert count(cgroup) == 1
    assert opens(place, "/dev/null") == 0


def test_many_rules_pass_the_verifier(cgroup: int) -> None:
    rules = [Rule(minor % 3 > 0, minor % 3, 1 + minor % 5, minor, 1 + minor % 7) for minor in range(300)]
    os.close(bpf.load_device_program(devices.program(rules), "many"))


def test_the_verifier_has_the_word(cgroup: int) -> None:
    with pytest.raises(bpf.VerifierError) as caught:
        bpf.load_device_program(bytes(8))
    assert caught.value.log
    with pytest.raises(CgroupError, match=r"^linux\.resources\.devices: cannot load the device program: .*verifier: "):
        guard(cgroup, bytes(8))
    assert count(cgroup) == 0


def test_memlock_is_left_alone(cgroup: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    os.close(bpf.load_device_program(devices.program(devices.DEFAULTS)))
    assert resource.getrlimit(resource.RLIMIT_MEMLOCK) == before


def test_a_forbidden_access_is_the_verifiers_word_too(cgroup: int) -> None:
    """EACCES, which Python knows as PermissionError as well as EPERM."""
    beyond = devices._instruction(0x61, 0x10, 64) + devices._return(0)
    with pytest.raises(bpf.VerifierError) as caught:
        bpf.load_device_program(beyond)
    assert caught.value.errno == errno.EACCES
    assert "invalid bpf_context access" in caught.value.log


@pytest.mark.parametrize("second", [True, False])
def test_memlock_is_raised_for_a_second_try_only(monkeypatch: pytest.MonkeyPatch, second: bool) -> None:
    tries, limits = [], []

    def load(instructions: bytes, name: str) -> int:
        tries.append(name)
        if len(tries) == 1 or not second:
            raise PermissionError(errno.EPERM, "no")
        return 77

    monkeypatch.setattr(bpf, "_load", load)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 128))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))
    if second:
        assert bpf.load_device_program(b"", "x") == 77
    else:
        with pytest.raises(PermissionError):
            bpf.load_device_program(b"", "x")
    assert limits == [(128, 128), (64, 128)]
    assert tries == ["x", "x"]
