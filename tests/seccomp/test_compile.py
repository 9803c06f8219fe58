"""What is refused, what is told about a program, and the shape of programs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.config.seccomp import Seccomp
from pyruntime.errors import ConfigError, Unsupported
from pyruntime.seccomp import bpf
from pyruntime.seccomp.compile import Filter, compile_profile
from tests.seccomp.emulator import Program, data
from tests.seccomp.own import arg, deny, permit, rule

X86_64 = 0xC000003E
ALLOW, EPERM = 0x7FFF0000, 0x00050001


def compiled(profile: "dict[str, Any]", machine: str = "x86_64") -> Filter:
    return compile_profile(Seccomp.read(profile, "linux.seccomp"), machine)


def decision(profile: "dict[str, Any]", nr: int, *args: int) -> int:
    return Program(compiled(profile).program).run(data(nr, X86_64, args))


def refused(profile: "dict[str, Any]", kind: "type[Exception]", machine: str = "x86_64") -> str:
    with pytest.raises(kind) as caught:
        compiled(profile, machine)
    return str(caught.value)


def test_a_machine_without_a_table() -> None:
    text = refused(deny(), Unsupported, "mips64")
    assert text == "linux.seccomp: there is no table of system calls for a mips64; remove the filter"


def test_an_architecture_without_a_table_is_refused_by_name() -> None:
    text = refused(deny(architectures=["SCMP_ARCH_X86", "SCMP_ARCH_MIPSEL"]), Unsupported)
    assert text.startswith("linux.seccomp.architectures[1]: there is no table of system calls for SCMP_ARCH_MIPSEL")


def test_an_architecture_of_another_byte_order() -> None:
    text = refused(deny(architectures=["SCMP_ARCH_S390X"]), ConfigError)
    assert text.startswith("linux.seccomp.architectures[0]: SCMP_ARCH_S390X has another byte order than this x86_64")
    assert refused(deny(architectures=["SCMP_ARCH_X86"]), ConfigError, "s390x")


@pytest.mark.parametrize(("action", "largest"), [("ERRNO", 4094), ("TRACE", 65535)])
def test_a_number_that_an_action_cannot_carry(action: str, largest: int) -> None:
    expected = f"expected a number from 0 to {largest} for SCMP_ACT_{action}, got {largest + 1}"
    text = refused(permit(rule("KILL", "read"), rule(action, "write", errnoRet=largest + 1)), ConfigError)
    assert text == f"linux.seccomp.syscalls[1].errnoRet: {expected}"
    profile = {"defaultAction": f"SCMP_ACT_{action}", "defaultErrnoRet": largest + 1}
    assert refused(profile, ConfigError) == f"linux.seccomp.defaultErrnoRet: {expected}"
    assert decision(permit(rule(action, "write", errnoRet=largest)), 1) & 0xFFFF == largest
    assert decision(permit(rule("KILL", "write", errnoRet=largest + 1)), 1) == 0, "an action without a number"


def test_a_program_that_is_too_long() -> None:
    args = [arg(0, "EQ", number) for number in range(900)]
    text = refused(deny(rule("ALLOW", "read", *args)), ConfigError)
    assert text.startswith("linux.seccomp.syscalls: takes 4")
    assert "4096 (BPF_MAXINSNS)" in text


def test_rules_that_contradict_each_other() -> None:
    same = arg(0, "EQ", 5)
    text = refused(permit(rule("KILL", "read", same), rule("TRAP", "write read", same)), ConfigError)
    assert text.startswith('linux.seccomp.syscalls[1]: "read" is decided differently by syscalls[0]')
    shorter_first = permit(rule("KILL", "read", same), rule("TRAP", "read", same, arg(1, "EQ", 1)))
    assert decision(shorter_first, 0, 5, 1) == 0
    assert refused(permit(*reversed(shorter_first["syscalls"])), ConfigError)


def test_what_the_loader_is_told() -> None:
    profile = deny(rule("ALLOW", "read never_a_call"), rule("NOTIFY", "mkdirat"), flags=["SECCOMP_FILTER_FLAG_LOG"])
    found = compiled(profile | {"architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]})
    assert (found.flags, found.notify, found.unknown) == (["SECCOMP_FILTER_FLAG_LOG"], True, ["never_a_call"])
    assert found.summary == f"{len(found.program) // 8} instructions for x86_64, x86"
    assert not compiled(deny(rule("ALLOW", "read"))).notify


def test_a_name_of_another_architecture_is_not_unknown() -> None:
    assert compiled(deny(rule("ALLOW", "s390_sthyi set_tls send read"))).unknown == []


def test_newer_calls_are_not_there_under_a_default_that_denies() -> None:
    assert decision(deny(rule("ALLOW", "openat2")), 437) == ALLOW
    assert decision(deny(rule("ALLOW", "openat2")), 436) == EPERM
    assert decision(deny(rule("ALLOW", "openat2")), 438) == bpf.ENOSYS
    assert decision(permit(rule("ERRNO", "openat2")), 438) == ALLOW
    assert decision(deny(), 438) == EPERM, "nothing is named, so nothing is newer"


def test_the_program_is_in_the_byte_order_of_the_machine() -> None:
    little, big = compiled(deny()).program, compiled(deny(), "s390x").program
    assert little[:8] == b"\x20\0\0\0\x04\0\0\0"
    assert big[:8] == b"\0\x20\0\0\0\0\0\x04"


@given(st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=700, unique=True))
def test_the_search_finds_every_range(borders: "list[int]") -> None:
    """At any size: jumps over more than 255 instructions are made of two."""
    pack = bpf.packer(False)
    starts = sorted({0, *borders})
    leaves = [pack(bpf.RET, 0, 0, place) for place in range(len(starts))]
    body = bpf.section(pack, X86_64, bpf.search(pack, starts, leaves))
    whole = Program(bpf.program(pack, [body]))
    for place, start in enumerate(starts):
        end = starts[place + 1] - 1 if place + 1 < len(starts) else 0xFFFFFFFF
        assert whole.run(data(start, X86_64)) == whole.run(data(end, X86_64)) == place
    assert whole.run(data(0, X86_64 + 1)) == bpf.KILL_THREAD
