"""The filter of a Wasm module: what it decides, by the emulator, and that its page tells of nothing else."""

import re
from pathlib import Path

import pytest

from pyruntime.seccomp import wasm
from pyruntime.seccomp.architectures import wanted
from pyruntime.seccomp.compile import compile_profile
from tests.seccomp.emulator import Program, data

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/wasm-seccomp.md"
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50001, 0x50026
THREAD = 0x3D0F00  # the flags of pthread_create in glibc
MACHINES = ("x86_64", "aarch64")


def decide(name: str, *args: int, machine: str = "x86_64", engine: str = "wasmtime", network: bool = False) -> int:
    """What the filter returns for a call."""
    code = compile_profile(wasm.profile(engine, network, machine), machine).program
    own = wanted([], machine)[0]
    return Program(code).run(data(own.numbers[name], own.token, args))


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "args", "decision"),
    [
        ("read", (0, 1, 2), ALLOW), ("openat2", (), ALLOW), ("futex", (), ALLOW), ("exit_group", (), ALLOW),
        ("clone", (THREAD,), ALLOW), ("clone", (17,), EPERM), ("clone", (THREAD | 0x10000000,), EPERM),
        ("clone", (0x100,), EPERM), ("clone", (0x4000 | 17,), EPERM), ("clone3", (), ENOSYS),
        ("mmap", (0, 4096, 3), ALLOW), ("mmap", (0, 4096, 4), EPERM), ("mmap", (0, 4096, 7), EPERM),
        ("mprotect", (0, 4096, 5), EPERM), ("mprotect", (0, 4096, 1), ALLOW),
        ("ioctl", (0, 0x5401), ALLOW), ("ioctl", (0, 0x5412), EPERM), ("ioctl", (0, 0x541C), EPERM),
        ("fcntl", (0, 3), ALLOW), ("fcntl", (0, 8), EPERM), ("prctl", (15,), ALLOW), ("prctl", (22,), EPERM),
        ("tgkill", (1, 1, 6), ALLOW), ("tgkill", (1, 1, 9), EPERM), ("kill", (1, 9), EPERM),
        ("socket", (2, 1), EPERM), ("socket", (16, 3), EPERM), ("connect", (), EPERM), ("memfd_create", (), EPERM),
        ("setresuid", (), EPERM), ("chroot", (), EPERM), ("mknodat", (), EPERM), ("capset", (), EPERM),
        *((name, (), KILL) for name in wasm.KILLS),
    ],
)  # fmt: skip
def test_decisions(machine: str, name: str, args: "tuple[int, ...]", decision: int) -> None:
    assert decide(name, *args, machine=machine) == decision


def test_the_network_is_there_for_who_was_given_one() -> None:
    assert decide("socket", 2, 1, network=True) == ALLOW
    assert decide("socket", 10, 1, network=True) == ALLOW
    for family in (1, 16, 17, 38, 40):  # AF_UNIX, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK
        assert decide("socket", family, 1, network=True) == EPERM
    for name in ("accept4", "connect", "sendmmsg"):  # without the last glibc finds no name: EPERM is no ENOSYS to it
        assert decide(name, network=True) == ALLOW
        assert decide(name) == EPERM
        assert decide(name, engine="wasmedge") == ALLOW
    assert decide("ptrace", network=True) == KILL


def test_only_an_engine_with_a_child_may_fork() -> None:
    assert decide("clone", 17, engine="wasmer") == ALLOW
    assert decide("clone", THREAD, engine="wasmer") == ALLOW
    assert decide("clone", 0x10000000 | 17, engine="wasmer") == EPERM
    assert decide("wait4", engine="wasmer") == ALLOW
    assert decide("clone", 17, engine="of somebody else") == EPERM
    assert decide("execve", engine="wasmer") == KILL


@pytest.mark.parametrize(("engine", "name"), [(engine, name) for engine in wasm.MORE for name in wasm.MORE[engine]])
def test_what_one_engine_needs_is_not_for_another(engine: str, name: str) -> None:
    assert decide(name, engine=engine) == ALLOW
    assert decide(name, engine="wasmtime") != ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_every_name_is_a_system_call(machine: str) -> None:
    """Or one of the other machine."""
    for engine in wasm.MORE:
        filtered = compile_profile(wasm.profile(engine, True, machine), machine)
        assert filtered.unknown == []
        assert (filtered.flags, filtered.notify) == ([], False)


def test_another_architecture_kills() -> None:
    code = compile_profile(wasm.profile("wasmtime", False, "x86_64"), "x86_64").program
    assert Program(code).run(data(0, 0x40000003)) == 0


def rows() -> "list[tuple[str, str, str]]":
    """Name, group and condition of each row of the page's tables."""
    return re.findall(r"^\| `(\w+)` \| (\w+) \|\s*(.*?)\s*\| .+ \|$", PAGE.read_text(), re.MULTILINE)


def test_the_page_lists_every_call_and_no_other() -> None:
    groups = {**wasm.GROUPS, "network": wasm.NETWORK, **wasm.MORE}
    assert sorted((name, group) for name, group, _ in rows()) == sorted(
        (name, group) for group, names in groups.items() for name in names
    )
    conditional = {name for name, group, condition in rows() if condition and group not in wasm.MORE}
    assert conditional == set(wasm._ONE_OF) | set(wasm._MASKED)
    assert all(f"`{name}`" in PAGE.read_text() for name in (*wasm.KILLS, *wasm.ABSENT))
