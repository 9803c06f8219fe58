"""The numbers of one AUDIT_ARCH_* token as ranges that are decided alike.

Under a default action that denies, a call newer than any the profile names gets ENOSYS: its authors could not decide
about it, and C libraries fall back to older calls on ENOSYS only. "Newer" is a number above the highest one named.
"""

from pyruntime.seccomp.architectures import X32_BIT
from pyruntime.seccomp.bpf import ENOSYS, KILL_THREAD, RET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.seccomp.bpf import Pack
    from pyruntime.seccomp.decisions import Section

_X86_64_TOKEN = 0xC000003E
_HALF = 0x80000000
_MINUS_ONE = 0xFFFFFFFF
_PASSED_AS_ZERO = ("s390", "s390x")  # the kernel passes a number it does not know as 0, once setup(2)


def spans(sections: "list[Section]", default: int, newer: bool) -> "dict[int, int]":
    """What is returned for numbers without a decision: where each range starts, and the value.

    `newer`: whether calls newer than those named get ENOSYS.
    """
    last = {section.architecture.name: section.last if newer else 0 for section in sections}
    if sections[0].architecture.token == _X86_64_TOKEN:
        return _x86_64(last, default)
    name = sections[0].architecture.name
    if not last[name]:
        return {0: default}
    found = {0: default, last[name] + 1: ENOSYS}
    return found | {0: ENOSYS, 1: default} if name in _PASSED_AS_ZERO else found


def _x86_64(last: "dict[str, int]", default: int) -> "dict[int, int]":
    """x86_64 and x32 differ in bit 30 only. A mode that is not listed is another architecture.

    -1 is what a tracer sets to skip a call (seccomp(2)), so it is no x32 call.
    """
    newest, newest_x32 = last.get("x86_64", 0), last.get("x32", 0)
    below = default if "x86_64" in last else KILL_THREAD
    above = default if "x32" in last else KILL_THREAD
    found = {0: below, X32_BIT: above, _HALF: ENOSYS if newest else above}
    if newest:
        found[newest + 1] = ENOSYS
    if newest_x32:
        found[newest_x32 + 1] = ENOSYS
    return found | {_HALF | X32_BIT: ENOSYS if newest_x32 else above, _MINUS_ONE: ENOSYS if newest_x32 else default}


def heard(section: "Section", leaves: "dict[int, bytes]", newer: bool) -> "dict[int, bytes]":
    """The decisions that are left where calls newer than those named get ENOSYS.

    A call that a multiplexer carries does not count as named, so its own number may lie above.
    """
    if not newer or not section.last:
        return leaves
    first = 1 if section.architecture.name in _PASSED_AS_ZERO else 0
    return {number: code for number, code in leaves.items() if first <= number <= section.last}


def cover(
    pack: "Pack", leaves: "dict[int, bytes]", spans: "dict[int, int]", default: int
) -> "tuple[list[int], list[bytes]]":
    """Ranges without a gap: their first numbers, ascending from 0, and the code of each."""
    edges = dict.fromkeys([number + 1 for number in leaves], pack(RET, 0, 0, default))
    edges |= {start: pack(RET, 0, 0, value) for start, value in spans.items()}
    edges |= leaves
    starts: "list[int]" = []
    codes: "list[bytes]" = []
    for start in sorted(edges):
        code = edges[start]
        if not codes or code != codes[-1]:
            starts.append(start)
            codes.append(code)
    return starts, codes
