"""Profiles made by hypothesis."""

from typing import Any

from hypothesis import strategies as st

FOREIGN = {
    "x86_64": ("X86_64", "X86", "X32", "AARCH64", "ARM", "RISCV64", "PPC64LE"),
    "aarch64": ("AARCH64", "ARM", "X86_64", "X32"),
    "s390x": ("S390X", "S390"),
    "ppc64le": ("PPC64LE", "X86"),
    "i686": ("X86", "X32"),
}
NAMES = (
    *("read", "write", "open", "openat", "clone", "clone3", "personality", "execve", "exit_group", "faccessat2"),
    *("socket", "accept", "accept4", "send", "recvmmsg", "socketcall", "semop", "semtimedop", "shmat", "ipc"),
    *("set_tls", "s390_sthyi", "restart_syscall", "io_setup", "futex_waitv", "never_a_system_call"),
)
PLAIN = ("ALLOW", "KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP", "LOG")
WITH_DATA = ("ERRNO", "TRACE")

actions = st.one_of(
    st.fixed_dictionaries({"action": st.sampled_from([f"SCMP_ACT_{word}" for word in PLAIN])}),
    st.fixed_dictionaries(
        {"action": st.sampled_from([f"SCMP_ACT_{word}" for word in WITH_DATA])},
        optional={"errnoRet": st.sampled_from([0, 1, 22, 38, 4094])},
    ),
)
numbers = st.one_of(
    st.sampled_from([0, 1, 2, 5, 7, 16, 38, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 32) + 5, (1 << 64) - 1]),
    st.integers(0, (1 << 64) - 1),
)
conditions = st.fixed_dictionaries(
    {
        "index": st.sampled_from([0, 0, 0, 1, 1, 2, 5]),
        "op": st.sampled_from([f"SCMP_CMP_{word}" for word in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")]),
        "value": numbers,
    },
    optional={"valueTwo": numbers},
)


@st.composite
def profiles(draw: "Any", machine: str, of_one_action: bool) -> "dict[str, Any]":
    """A profile for a machine; beside the default, one action or whatever comes."""
    default = draw(actions)
    found: "dict[str, Any]" = {"defaultAction": default["action"]}
    if "errnoRet" in default:
        found["defaultErrnoRet"] = default["errnoRet"]
    listed = st.lists(st.sampled_from(FOREIGN[machine]), max_size=4, unique=True)
    found["architectures"] = [f"SCMP_ARCH_{short}" for short in draw(listed)]
    only = draw(actions)
    calls = []
    for _ in range(draw(st.integers(0, 7))):
        chosen = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
        args = draw(st.lists(conditions, max_size=3))
        calls.append({"names": chosen, "args": args} | (only if of_one_action else draw(actions)))
    return found | {"syscalls": calls}
