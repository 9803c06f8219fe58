"""The tables of system calls say what the kernel's headers and libseccomp say."""

import os
import re
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from pyruntime.seccomp import architectures
from pyruntime.seccomp.tables import known
from tests.seccomp.libseccomp import NAME, TOKENS, Reference
from tests.seccomp.proof import agreed, table

ROOT = Path(__file__).resolve().parent.parent.parent
INSTALLED = {  # where Debian puts the headers of an architecture, if its package is there
    "x86_64": "x86_64-linux-gnu/asm/unistd_64.h",
    "x86": "x86_64-linux-gnu/asm/unistd_32.h",
    "x32": "x86_64-linux-gnu/asm/unistd_x32.h",
    "aarch64": "aarch64-linux-gnu/asm/unistd_64.h",
    "arm": "arm-linux-gnueabihf/asm/unistd-eabi.h",
    "riscv64": "riscv64-linux-gnu/asm/unistd_64.h",
    "ppc64le": "powerpc64le-linux-gnu/asm/unistd_64.h",
    "s390": "s390x-linux-gnu/asm/unistd_32.h",
    "s390x": "s390x-linux-gnu/asm/unistd_64.h",
}
# libseccomp 2.5.4 has no number for these; the kernel has (arch/x86/entry/syscalls/syscall_64.tbl: `common` is x32 too,
# and arch/arm/include/uapi/asm/unistd.h: the same call by another name).
MISSING_THERE = {("map_shadow_stack", "X32"), ("sync_file_range2", "ARM")}


def generator() -> ModuleType:
    """scripts/gen-syscalls as a module."""
    loader = SourceFileLoader("gen_syscalls", str(ROOT / "scripts" / "gen-syscalls"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def version(text: str) -> "tuple[int, ...]":
    """7.3.4 as numbers."""
    return tuple(map(int, text.split(".")))


@pytest.mark.parametrize("architecture", INSTALLED)
def test_tables_are_what_installed_headers_say(architecture: str) -> None:
    """All of older headers' calls are in the table; of newer ones' calls, those it has have the same number."""
    header = Path("/usr/include") / INSTALLED[architecture]
    if not header.exists():
        pytest.skip(f"no headers of {architecture}: {header} is missing")
    gen = generator()
    installed = gen.parse([header.read_text()])
    assert "openat" in installed, "the header holds no calls"
    ours = table(architecture)
    assert {name: number for name, number in installed.items() if ours.get(name, number) != number} == {}
    if version(gen.newest([Path("/")])) <= version(known.KERNEL):
        assert set(installed) - set(ours) == set()


def test_tables_are_what_the_generator_writes() -> None:
    """With the very headers at hand, PYRUNTIME_HEADERS=ROOT:ROOT, byte for byte."""
    roots = [Path(word) for word in os.environ.get("PYRUNTIME_HEADERS", "").split(":") if word]
    if not roots:
        pytest.skip("PYRUNTIME_HEADERS names no trees of kernel headers")
    gen = generator()
    for architecture in gen.HEADERS:
        having = [root for root in roots if gen.read(root, architecture)]
        united = gen.unite([gen.read(root, architecture) for root in having], architecture)
        written = (gen.TABLES / f"{architecture}.py").read_text()
        assert gen.module(architecture, united, gen.newest(having)) == written


def test_the_generator_reads_every_form_of_a_header() -> None:
    text = (
        "#ifndef X\n#define __NR_read 0\n#define __NR_write\t(__X32_SYSCALL_BIT + 1)\n#define __NR_Linux 0\n"
        "#define __NR_arm_sync (__NR_SYSCALL_BASE + 341)\n#define __NR_syscalls 9\n#define __ARM_NR_BASE (0x0f0000)\n"
        "#define __ARM_NR_set_tls\t\t(__ARM_NR_BASE+5)\n#define __NR_other\t__NR_arm_sync\n"
    )
    assert generator().parse([text]) == {
        "read": 0,
        "write": 0x40000001,
        "arm_sync": 341,
        "set_tls": 0xF0005,
        "other": 341,
    }


def test_two_trees_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SystemExit, match="open is 5 in one tree and 6 in another"):
        generator().unite([{"open": 5}, {"open": 6}], "x86")


@pytest.mark.parametrize("short", TOKENS)
def test_libseccomp_has_the_same_numbers(short: str) -> None:
    if NAME is None:
        pytest.skip("libseccomp.so.2 is not installed")
    reference = Reference("x86_64")
    shared = {name for name in known.NAMES.split() if reference.knows(name)}
    assert len(shared) > 450
    wrong = {name for name in shared if not agreed(name, short, reference)}
    assert {(name, short) for name in wrong} <= MISSING_THERE


def test_the_list_of_names_is_that_of_all_tables() -> None:
    assert set(known.NAMES.split()) == {name for short in TOKENS for name in table(short)}
    assert re.fullmatch(r"\d+\.\d+\.\d+", known.KERNEL)


def test_every_architecture_has_a_table() -> None:
    for machine in ("x86_64", "aarch64", "riscv64", "ppc64le", "s390x", "armv7l", "i686"):
        assert architectures.wanted([], machine)[0].numbers["openat"] > 0
