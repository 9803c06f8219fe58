"""Small profiles of our own, one for each thing a profile can do."""

from typing import Any

from tests.seccomp.profiles import NATIVE, Profile

COMPANIONS = {"x86_64": ("X86", "X32"), "aarch64": ("ARM",), "s390x": ("S390",)}


def on(machine: str, profile: Profile) -> Profile:
    """A profile with the architectures an engine lists for a machine."""
    listed = [NATIVE[machine], *COMPANIONS.get(machine, ())]
    return {"architectures": [f"SCMP_ARCH_{short}" for short in listed]} | profile


def rule(action: str, names: str, *args: "dict[str, Any]", **more: Any) -> "dict[str, Any]":
    """An entry of `syscalls`."""
    return {"names": names.split(), "action": f"SCMP_ACT_{action}", "args": list(args)} | more


def arg(index: int, op: str, value: int, two: int = 0) -> "dict[str, Any]":
    """A condition."""
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": two}


def deny(*rules: "dict[str, Any]", **more: Any) -> Profile:
    """All but the rules is an error."""
    return {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(rules)} | more


def permit(*rules: "dict[str, Any]", **more: Any) -> Profile:
    """All but the rules is allowed."""
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules)} | more


OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT")
SOCKETS = "socket bind connect listen accept accept4 send recv sendto recvfrom recvmmsg sendmmsg socketpair shutdown"
PROFILES = {
    "nothing": deny(),
    "nothing denied": permit(),
    "one call": deny(rule("ALLOW", "openat")),
    "only the first call": deny(rule("ALLOW", "io_setup"), rule("ALLOW", "read"), rule("ALLOW", "restart_syscall")),
    "the native architecture only": deny(rule("ALLOW", "openat read write exit_group"), architectures=[]),
    "every action": permit(
        *(rule(a, n) for a, n in (("KILL", "fork"), ("KILL_THREAD", "clone"), ("KILL_PROCESS", "clone3"))),
        *(rule(a, n) for a, n in (("TRAP", "kill"), ("LOG", "getpid"), ("NOTIFY", "mkdirat"), ("ERRNO", "read"))),
        rule("ERRNO", "openat", errnoRet=38),
        rule("TRACE", "execve", errnoRet=7),
        rule("TRACE", "execveat"),
    ),
    "the default's own action": deny(
        rule("ERRNO", "read"), rule("ERRNO", "write", errnoRet=2), rule("ALLOW", "openat")
    ),
    "an errno of its own by default": deny(rule("ALLOW", "read write"), defaultErrnoRet=38),
    "death by default": {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [rule("ALLOW", "read write openat")]},
    "traced by default": {
        "defaultAction": "SCMP_ACT_TRACE",
        "defaultErrnoRet": 9,
        "syscalls": [rule("ALLOW", "openat")],
    },
    "logged by default": {"defaultAction": "SCMP_ACT_LOG", "syscalls": [rule("ALLOW", "openat")]},
    "arguments": deny(
        *(
            rule("ALLOW", name, arg(0, op, 5))
            for name, op in zip(("read", "write", "openat", "close", "dup", "lseek"), OPERATORS, strict=True)
        ),
        *(
            rule("ALLOW", n, arg(5, op, (7 << 32) + 9))
            for n, op in zip(("mmap", "ioctl", "fcntl", "fchdir", "flock", "fsync"), OPERATORS, strict=True)
        ),
        rule("ALLOW", "clone", arg(0, "MASKED_EQ", 0x7E020000)),
        rule("ALLOW", "personality", arg(0, "MASKED_EQ", (3 << 32) + 6, (1 << 32) + 2)),
        rule("ALLOW", "sync_file_range", arg(1, "MASKED_EQ", 0xFFFFFFFF00000000, 5 << 32)),
        rule("ALLOW", "prctl", arg(0, "EQ", 4), arg(1, "LE", 1), arg(3, "NE", 0)),
    ),
    "one of some values": deny(
        rule("ALLOW", "personality", *(arg(0, "EQ", value) for value in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF))),
        rule("ALLOW", "ioctl", arg(1, "EQ", 0x5401), arg(1, "EQ", 0x5413), arg(2, "NE", 0)),
    ),
    "conditions that always hold": deny(
        rule("ALLOW", "read", arg(0, "MASKED_EQ", 0, 5)),
        rule("ALLOW", "write", arg(0, "MASKED_EQ", 0xFF << 32, 1 << 32)),
        rule("ALLOW", "openat", arg(0, "GE", 0)),
    ),
    "unconditional beside conditional": deny(
        rule("ALLOW", "read", arg(0, "EQ", 1)),
        rule("ERRNO", "read", errnoRet=5),
        rule("ALLOW", "read"),
        rule("KILL", "read", arg(0, "EQ", 7)),
    ),
    "sockets": deny(rule("ALLOW", SOCKETS), rule("ALLOW", "semop semget semctl semtimedop msgget shmat shmdt")),
    "sockets by their first argument": deny(
        rule("ALLOW", "socket", arg(0, "LT", 38)),
        rule("ALLOW", "socket", arg(0, "EQ", 39)),
        rule("ALLOW", "socket", arg(0, "GT", 40)),
    ),
    "sockets by their third argument": deny(
        rule("ALLOW", "socket", arg(2, "EQ", 6)), rule("ALLOW", "semop", arg(1, "NE", 0))
    ),
    "the multiplexers themselves": deny(
        rule("ALLOW", "socketcall ipc"), rule("KILL", "socket shmat"), rule("ALLOW", "bind")
    ),
    "audit sockets": deny(
        rule("ERRNO", "socket", arg(0, "EQ", 16), arg(2, "EQ", 9), errnoRet=22),
        rule("ALLOW", "socket", arg(2, "NE", 9)),
        rule("ALLOW", "read"),
    ),
    "several actions for one call": permit(
        rule("ERRNO", "openat", arg(2, "EQ", 0), errnoRet=2),
        rule("KILL", "openat", arg(2, "GT", 5)),
        rule("TRAP", "openat", arg(2, "GT", 50)),
        rule("LOG", "openat", arg(0, "EQ", 3)),
        rule("TRACE", "openat", arg(0, "EQ", 3), arg(1, "EQ", 4)),
    ),
    "names from elsewhere": deny(rule("ALLOW", "arch_prctl set_tls s390_sthyi riscv_flush_icache never_a_call open")),
}
