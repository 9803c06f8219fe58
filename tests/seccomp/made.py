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


def conditions(*operators: str) -> "st.SearchStrategy[dict[str, Any]]":
    """A condition."""
    return st.fixed_dictionaries(
        {
            "index": st.sampled_from([0, 0, 0, 1, 1, 2, 5]),
            "op": st.sampled_from([f"SCMP_CMP_{word}" for word in operators]),
            "value": numbers,
        },
        optional={"valueTwo": numbers},
    )


any_condition = conditions("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
small = st.one_of(st.sampled_from([0, 1, 2, 5, 7, 16]), st.integers(0, 40))


@st.composite
def profiles(draw: "Any", machine: str, of_one_action: bool) -> "dict[str, Any]":
    """A profile for a machine; beside the default, one action or whatever comes."""
    only = draw(actions)
    calls = []
    for _ in range(draw(st.integers(0, 7))):
        chosen = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
        args = draw(st.lists(any_condition, max_size=3))
        calls.append({"names": chosen, "args": args} | (only if of_one_action else draw(actions)))
    return draw(frames(machine)) | {"syscalls": calls}


@st.composite
def frames(draw: "Any", machine: str) -> "dict[str, Any]":
    """All of a profile but its calls."""
    default = draw(actions)
    listed = draw(st.lists(st.sampled_from(FOREIGN[machine]), max_size=4, unique=True))
    found = {"defaultAction": default["action"], "architectures": [f"SCMP_ARCH_{short}" for short in listed]}
    return found | ({"defaultErrnoRet": default["errnoRet"]} if "errnoRet" in default else {})


@st.composite
def overlapping(draw: "Any", machine: str) -> "dict[str, Any]":
    """Rules of one call with different actions, each about one range or value of one argument, so that many overlap.

    libseccomp's order of such rules is ours, but for values that differ in their upper halves, and for NE.
    """
    operators = ("LT", "LE", "EQ", "GE", "GT")
    one = st.builds(
        lambda index, op, value: [{"index": index, "op": f"SCMP_CMP_{op}", "value": value}],
        st.sampled_from([0, 0, 1, 4]),
        st.sampled_from(operators),
        small,
    )
    calls = [{"names": ["openat"], "args": draw(one)} | draw(actions) for _ in range(draw(st.integers(2, 7)))]
    return draw(frames(machine)) | {"syscalls": calls}
