"""`linux.seccomp`: the system call filter as config.json words it (config-linux.md, "Seccomp")."""

from pyruntime.config.checks import listed, nonempty, one_of, string, uint32, uint64, wrong
from pyruntime.config.record import Record, many, maybe, need, otherwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.checks import Check

ACTIONS = ("KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG", "NOTIFY")
_ARCHITECTURES = (
    "X86", "X86_64", "X32", "ARM", "AARCH64", "LOONGARCH64", "M68K", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL",
    "MIPSEL64", "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "SH", "SHEB", "PARISC", "PARISC64",
    "RISCV64",
)  # fmt: skip
FLAGS = ("TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV")
OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")


def _prefixed(prefix: str, names: "tuple[str, ...]") -> "Check[str]":
    return one_of(*(prefix + name for name in names))


_action = _prefixed("SCMP_ACT_", ACTIONS)
_names = listed(nonempty)


def _action_or_empty(value: object, path: str) -> str:
    # Engines written in Go write an unused profile with an empty default action.
    return "" if value == "" else _action(value, path)


def _some_names(value: object, path: str) -> "list[str]":
    names = _names(value, path)
    if not names:
        raise wrong("the name of at least one system call", value, path)
    return names


class SyscallArg(Record):
    """A condition on argument `index`; `valueTwo` is the comparand of MASKED_EQ, whose mask is `value`."""

    index: int = need(uint32)
    value: int = need(uint64)
    valueTwo: int = otherwise(uint64, 0)
    op: str = need(_prefixed("SCMP_CMP_", OPERATORS))


class Syscall(Record):
    """What happens to some system calls, when every condition holds."""

    names: "list[str]" = need(_some_names)
    action: str = need(_action)
    errnoRet: "int | None" = maybe(uint32)
    args: "list[SyscallArg]" = many(SyscallArg.read)


class Seccomp(Record):
    """The profile; neither default action nor system calls is no profile (`empty`)."""

    defaultAction: str = otherwise(_action_or_empty, "")
    defaultErrnoRet: "int | None" = maybe(uint32)
    architectures: "list[str]" = many(_prefixed("SCMP_ARCH_", _ARCHITECTURES))
    flags: "list[str]" = many(_prefixed("SECCOMP_FILTER_FLAG_", FLAGS))
    listenerPath: str = otherwise(string, "")
    listenerMetadata: str = otherwise(string, "")
    syscalls: "list[Syscall]" = many(Syscall.read)

    def empty(self) -> bool:
        """Whether there is nothing to filter."""
        return not self.defaultAction and not self.syscalls
