"""Our program of a profile against libseccomp's, and against runc's where its program can be had.

libseccomp may be older than our tables. A name it does not know is taken out of the profile for both sides; a name it
knows, but on an architecture of the profile without the number the kernel has, likewise. Both are counted.
"""

import json
import struct
import subprocess
from contextlib import suppress
from itertools import product
from typing import Any

from pyruntime.config.seccomp import Seccomp
from pyruntime.errors import Error
from pyruntime.seccomp.architectures import CARRIED
from pyruntime.seccomp.compile import compile_profile
from tests.seccomp import newer
from tests.seccomp.compare import Disagreement, Tally, ask, calls, compare
from tests.seccomp.emulator import RET, Program, data, steps
from tests.seccomp.libseccomp import TOKENS, Reference, Refused, value
from tests.seccomp.model import Model
from tests.seccomp.profiles import Profile, names, shorts, without

EVERY = {*range(600), *(0x40000000 + number for number in range(600)), *range(0xF0000, 0xF0010)}
MULTIPLEXING = ("X86", "PPC64LE", "S390", "S390X")
STRANGERS = (0, 0xC000003D, 0x40000009, 0xFFFFFFFF)  # tokens of no architecture here


def ours(profile: Profile, machine: str) -> bytes:
    """Our program. Raises Error."""
    return compile_profile(Seccomp.read(profile, "linux.seccomp"), machine).program


def table(short: str) -> "dict[str, int]":
    """Our table of an architecture."""
    name = short.lower()
    found: "dict[str, int]" = __import__(f"pyruntime.seccomp.tables.{name}", fromlist=("NUMBERS",)).NUMBERS
    return found


def agreed(name: str, short: str, reference: Reference) -> bool:
    """Whether libseccomp and our table have the same number, or none, for a call on an architecture."""
    theirs, own = reference.number(name, short), table(short).get(name)
    if theirs is None or theirs >= 0:
        return own == theirs and theirs is not None
    return own is None or (name in CARRIED and short in MULTIPLEXING)


def disputed(profile: Profile, machine: str, reference: Reference) -> "set[str]":
    """Names of a profile that libseccomp does not know, or with another number on one of its architectures."""
    listed = shorts(profile, machine)
    return {name for name in names(profile) if not all(agreed(name, short, reference) for short in listed)}


def tokens(profile: Profile, machine: str) -> "list[int]":
    """Those of the profile, another architecture's, and some of nobody."""
    listed = {newer.AUDIT_X86_64 if short == "X32" else TOKENS[short] for short in shorts(profile, machine)}
    return [*listed, *({TOKENS["ARM"]} - listed), *STRANGERS]


def against_libseccomp(profile: Profile, machine: str, every: bool = True) -> "tuple[Tally, set[str]]":
    """What was compared, and the names that were left out. Raises Refused or Error when one side does not take it."""
    reference = Reference(machine)
    left_out = disputed(profile, machine, reference)
    common = without(profile, left_out)
    big = machine == "s390x"
    theirs = Program(straight(reference.program(common), common) if big else reference.program(common), big)
    above = newer.highest(common, machine, reference)
    borders = set(above.values()) | (EVERY if every else set())
    mine = Program(ours(common, machine), big)
    referee = stated(common, machine, reference)
    return compare(mine, theirs, tokens(common, machine), newer.rule(above), borders, referee), left_out


def stated(profile: Profile, machine: str, reference: Reference) -> Model:
    """The plain statement of a profile."""
    return Model(profile, machine, {short: table(short) for short in shorts(profile, machine)}, reference)


def against_model(profile: Profile, machine: str, every: bool = True) -> Tally:
    """Our program against the plain statement; where rules with different actions hold at once it says nothing."""
    reference = Reference(machine)
    common = without(profile, disputed(profile, machine, reference))
    mine = Program(ours(common, machine), machine == "s390x")
    model = stated(common, machine, reference)
    tally = Tally()
    tally.profiles = 1
    for token, nr in product(tokens(common, machine), steps(mine.numbers() | (EVERY if every else set()))):
        base = data(nr, token, big=mine.big)
        for words in calls([mine.explore(nr, token).borders, model.borders(base)], base, tally):
            with suppress(Disagreement):
                ask(mine, model, [words], tally)
    return tally


def straight(code: bytes, profile: Profile) -> bytes:
    """libseccomp's program for s390x, as s390x itself would have made it.

    Made on a little-endian machine, the returns that libseccomp copies nearer to a far jump have their value swapped
    twice; where the host has the program's own order nothing is swapped.
    """
    values = {value(call["action"], call.get("errnoRet")) for call in profile.get("syscalls") or []}
    values |= {0, value(profile["defaultAction"], profile.get("defaultErrnoRet"))}
    swapped = {int.from_bytes(each.to_bytes(4, "little"), "big"): each for each in values}
    return b"".join(
        struct.pack(">HBBI", op, jt, jf, swapped.get(k, k) if op == RET and k not in values else k)
        for op, jt, jf, k in struct.iter_unpack(">HBBI", code)
    )


class Runc:
    """A program that reads profiles, one JSON text a line, and answers each with what runc would load on this machine:
    the filter in hexadecimal, or "error" and a text."""

    def __init__(self, path: str) -> None:
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def program(self, profile: Profile) -> bytes:
        """Raises Refused."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(profile) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise Refused(answer or "the program ended")
        return bytes.fromhex(answer)

    def close(self) -> None:
        """End it."""
        self.process.communicate(timeout=10)


def against_runc(profile: Profile, machine: str, runc: Runc, every: bool = True) -> "tuple[Tally, set[str]]":
    """As against libseccomp, with runc's own ENOSYS stub in its program. For x86_64."""
    reference = Reference(machine)
    left_out = disputed(profile, machine, reference)
    common = without(profile, left_out)
    theirs = Program(runc.program(common))
    mine = Program(ours(common, machine))
    referee, borders = stated(common, machine, reference), EVERY if every else set()
    return compare(mine, theirs, tokens(common, machine), lambda nr, token: None, borders, referee), left_out


def outcome(make: Any, *arguments: Any) -> "bytes | str":
    """A program, or why there is none."""
    try:
        result: bytes = make(*arguments)
        return result
    except (Error, Refused) as error:
        return str(error)
