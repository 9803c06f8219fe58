"""The rule about system calls newer than a profile, stated once more: runc answers them with ENOSYS.

patchbpf in runc puts this in front of libseccomp's program. A default action that permits (ALLOW, LOG, TRACE) has no
such rule. "Newer" is above the highest number that libseccomp finds, on that architecture, for any name of the profile;
pseudo numbers (negative) do not count, and where the highest is 0 there is no rule. x32 and x86_64 are told apart by
bit 30 of the number. On s390 and s390x number 0 is what the kernel makes of a number it does not know.
"""

from collections.abc import Callable

from tests.seccomp.libseccomp import TOKENS, Reference
from tests.seccomp.profiles import Profile, names, shorts

ENOSYS = 0x00050026
X32 = 1 << 30
AUDIT_X86_64 = 0xC000003E
PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")


def highest(profile: Profile, machine: str, reference: Reference) -> "dict[str, int]":
    """The highest number named on each architecture that has one above 0."""
    if profile["defaultAction"] in PERMISSIVE:
        return {}
    found = {
        short: max((reference.number(name, short) or 0 for name in names(profile)), default=0)
        for short in shorts(profile, machine)
    }
    return {short: number for short, number in found.items() if number > 0}


def rule(above: "dict[str, int]") -> "Callable[[int, int], int | None]":
    """What is decided about a number of an AUDIT_ARCH_* token before the filter is asked; None: nothing."""

    def decide(nr: int, token: int) -> "int | None":
        short = architecture(nr, token)
        if short not in above:
            return None
        if short in ("S390", "S390X") and nr == 0:
            return ENOSYS
        return ENOSYS if nr > above[short] else None

    return decide


def architecture(nr: int, token: int) -> str:
    """Whose number it is, after SCMP_ARCH_."""
    if token == AUDIT_X86_64:
        return "X32" if nr & X32 else "X86_64"
    return next((short for short, its in TOKENS.items() if its == token), "")
