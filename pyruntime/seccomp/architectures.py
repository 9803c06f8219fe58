"""The architectures we hold tables for: what config.json calls them, and how the kernel tells and passes calls."""

from pyruntime.errors import ConfigError, Unsupported

X32_BIT = 0x40000000  # __X32_SYSCALL_BIT: x32 shares AUDIT_ARCH_X86_64
MULTIPLEXED = {  # the first argument of socketcall (<linux/net.h>) and ipc (<linux/ipc.h>) for each call they carry
    "socketcall": {
        "socket": 1, "bind": 2, "connect": 3, "listen": 4, "accept": 5, "getsockname": 6, "getpeername": 7,
        "socketpair": 8, "send": 9, "recv": 10, "sendto": 11, "recvfrom": 12, "shutdown": 13, "setsockopt": 14,
        "getsockopt": 15, "sendmsg": 16, "recvmsg": 17, "accept4": 18, "recvmmsg": 19, "sendmmsg": 20,
    },
    "ipc": {
        "semop": 1, "semget": 2, "semctl": 3, "semtimedop": 4, "msgsnd": 11, "msgrcv": 12, "msgget": 13, "msgctl": 14,
        "shmat": 21, "shmdt": 22, "shmget": 23, "shmctl": 24,
    },
}  # fmt: skip
CARRIED = {name: (carrier, code) for carrier, codes in MULTIPLEXED.items() for name, code in codes.items()}


class Architecture:
    """One way into the kernel: its AUDIT_ARCH_* token, the width and byte order of arguments, its multiplexers."""

    __slots__ = ("big", "carries", "name", "numbers", "token", "wide")

    def __init__(self, name: str, token: int, traits: str) -> None:
        self.name = name
        self.token = token
        self.wide = "wide" in traits
        self.big = "big" in traits
        self.carries = "carries" in traits
        self.numbers: "dict[str, int]" = {}

    def low(self, argument: int) -> int:
        """The offset of an argument's lower half in struct seccomp_data; the upper is `4 - low` further or nearer."""
        return 16 + 8 * argument + (4 if self.big else 0)

    def high(self, argument: int) -> int:
        """The offset of an argument's upper half."""
        return 16 + 8 * argument + (0 if self.big else 4)


_KNOWN = {  # after SCMP_ARCH_; the tokens are of <linux/audit.h>
    "X86_64": ("x86_64", 0xC000003E, "wide"),
    "X86": ("x86", 0x40000003, "carries"),
    "X32": ("x32", 0xC000003E, ""),
    "AARCH64": ("aarch64", 0xC00000B7, "wide"),
    "ARM": ("arm", 0x40000028, ""),
    "RISCV64": ("riscv64", 0xC00000F3, "wide"),
    "PPC64LE": ("ppc64le", 0xC0000015, "wide carries"),
    "S390": ("s390", 0x00000016, "big carries"),
    "S390X": ("s390x", 0x80000016, "wide big carries"),
}
ARCHITECTURES = tuple(_KNOWN)
_MACHINES = {
    "x86_64": "X86_64", "i386": "X86", "i486": "X86", "i586": "X86", "i686": "X86", "aarch64": "AARCH64",
    "armv6l": "ARM", "armv7l": "ARM", "armv8l": "ARM", "riscv64": "RISCV64", "ppc64le": "PPC64LE", "s390x": "S390X",
}  # fmt: skip


def wanted(names: "list[str]", machine: str) -> "list[Architecture]":
    """The machine's own architecture, and then those config.json lists, with their tables.

    Raises Unsupported for a machine or architecture without a table, ConfigError for one of another byte order.
    """
    if machine not in _MACHINES:
        raise Unsupported("linux.seccomp", f"there is no table of system calls for a {machine}; remove the filter")
    short = _MACHINES[machine]
    found = {short: _load(short)}
    for index, name in enumerate(names):
        short = name.removeprefix("SCMP_ARCH_")
        if short not in found:
            found[short] = _listed(short, f"linux.seccomp.architectures[{index}]", machine)
    return list(found.values())


def _listed(short: str, path: str, machine: str) -> Architecture:
    if short not in _KNOWN:
        raise Unsupported(path, f"there is no table of system calls for SCMP_ARCH_{short}; remove it")
    native = _KNOWN[_MACHINES[machine]]
    if ("big" in _KNOWN[short][2]) != ("big" in native[2]):
        raise ConfigError(path, f"SCMP_ARCH_{short} has another byte order than this {machine}; remove it")
    return _load(short)


def _load(short: str) -> Architecture:
    architecture = Architecture(*_KNOWN[short])
    table = __import__(f"pyruntime.seccomp.tables.{architecture.name}", fromlist=("NUMBERS",))
    architecture.numbers = table.NUMBERS
    return architecture
