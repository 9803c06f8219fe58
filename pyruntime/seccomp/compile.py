"""A seccomp profile as a program for seccomp(2). Pure; docs/design/seccomp.md has the rules.

What a program decides is what runc with libseccomp loads for the same profile, but for newer system calls that
libseccomp may not know by name.
"""

from pyruntime.errors import ConfigError
from pyruntime.seccomp import architectures, bpf, ranges
from pyruntime.seccomp.decisions import Entry, Section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.seccomp import Seccomp
    from pyruntime.seccomp.architectures import Architecture
    from pyruntime.seccomp.bpf import Pack

_ACTIONS = {  # SECCOMP_RET_* of <linux/seccomp.h>
    "KILL": 0x00000000, "KILL_THREAD": 0x00000000, "KILL_PROCESS": 0x80000000, "TRAP": 0x00030000, "ERRNO": 0x00050000,
    "TRACE": 0x7FF00000, "NOTIFY": 0x7FC00000, "LOG": 0x7FFC0000, "ALLOW": 0x7FFF0000,
}  # fmt: skip
_LARGEST = {"ERRNO": 4094, "TRACE": 0xFFFF}  # actions that carry a number; libseccomp stops below MAX_ERRNO
_PERMISSIVE = ("ALLOW", "LOG", "TRACE")
_EPERM = 1


class Filter:
    """A program, and what its loader has to know.

    `program` is an array of struct sock_filter in the machine's byte order. `flags` are the profile's. `notify`: some
    action is SCMP_ACT_NOTIFY, so the filter needs a listener. `unknown`: names that no architecture's table has; they
    are without effect. `summary` is one line about the program.
    """

    __slots__ = ("flags", "notify", "program", "summary", "unknown")

    def __init__(self, program: bytes, flags: "list[str]", notify: bool, unknown: "list[str]", summary: str) -> None:
        self.program = program
        self.flags = flags
        self.notify = notify
        self.unknown = unknown
        self.summary = summary


def compile_profile(profile: "Seccomp", machine: str) -> Filter:
    """The filter of a profile (config-linux.md, "Seccomp") on a machine, as uname(2) names it.

    Raises ConfigError for a number that no action can carry, for rules that contradict each other, for an architecture
    of another byte order and for a program that is too long; Unsupported where there is no table.
    """
    default = _value(profile.defaultAction, profile.defaultErrnoRet, "linux.seccomp.defaultErrnoRet")
    entries = [
        Entry(
            index,
            call.names,
            _value(call.action, call.errnoRet, f"linux.seccomp.syscalls[{index}].errnoRet"),
            call.args,
        )
        for index, call in enumerate(profile.syscalls)
    ]
    listed = architectures.wanted(profile.architectures, machine)
    pack = bpf.packer(listed[0].big)
    newer = profile.defaultAction.removeprefix("SCMP_ACT_") not in _PERMISSIVE
    sections = [Section(architecture, entries, default) for architecture in listed]
    program = bpf.program(pack, [_body(pack, group, default, newer) for group in _by_token(sections)])
    return Filter(
        program,
        list(profile.flags),
        any(call.action == "SCMP_ACT_NOTIFY" for call in profile.syscalls),
        _unknown(entries, listed),
        _summary(program, listed),
    )


def _value(action: str, data: "int | None", path: str) -> int:
    """What the program returns for an action. Other actions than ERRNO and TRACE leave the number aside."""
    word = action.removeprefix("SCMP_ACT_")
    if word not in _LARGEST:
        return _ACTIONS[word]
    data = _EPERM if data is None else data
    if data > _LARGEST[word]:
        raise ConfigError(path, f"expected a number from 0 to {_LARGEST[word]} for {action}, got {data}")
    return _ACTIONS[word] | data


def _by_token(sections: "list[Section]") -> "list[list[Section]]":
    """Sections that share an AUDIT_ARCH_* token together: x86_64 and x32."""
    groups: "dict[int, list[Section]]" = {}
    for section in sections:
        groups.setdefault(section.architecture.token, []).append(section)
    return list(groups.values())


def _body(pack: "Pack", sections: "list[Section]", default: int, newer: bool) -> bytes:
    """The code of one token: a search for the number among ranges that are decided alike."""
    leaves: "dict[int, bytes]" = {}
    for section in sections:
        leaves |= ranges.heard(section, section.leaves(pack, default), newer)
    starts, codes = ranges.cover(pack, leaves, ranges.spans(sections, default, newer), default)
    return bpf.section(pack, sections[0].architecture.token, bpf.search(pack, starts, codes))


def _unknown(entries: "list[Entry]", listed: "list[Architecture]") -> "list[str]":
    missing = {name for entry in entries for name in entry.names}.difference(*(each.numbers for each in listed))
    if not missing:
        return []
    from pyruntime.seccomp.tables.known import NAMES

    return sorted(missing.difference(NAMES.split(), architectures.CARRIED))


def _summary(program: bytes, listed: "list[Architecture]") -> str:
    names = ", ".join(architecture.name for architecture in listed)
    return f"{len(program) // bpf.SIZE} instructions for {names}"
