"""What a profile means, said plainly and slowly: the measure for our programs where libseccomp is none.

Rules about one call of one architecture: an unconditional one decides, the first if there are several. Else a rule
holds when all its conditions do; where an argument is named twice in an entry, each condition is a rule of its own. An
entry with the default's action says nothing. A call inside socketcall or ipc is meant by its name too.

What counts when rules with different actions hold at once is not stated here: `run` demands that they agree.
"""

from itertools import chain
from typing import Any

from tests.seccomp import newer
from tests.seccomp.compare import Disagreement
from tests.seccomp.libseccomp import Reference, value
from tests.seccomp.profiles import Profile, shorts

KILL = 0
MAX = (1 << 64) - 1
WIDE = ("X86_64", "AARCH64", "RISCV64", "PPC64LE", "S390X")
SOCKETCALL = (
    *("socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv"),
    *("sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg"),
    "sendmmsg",
)
IPC = {1: "semop", 2: "semget", 3: "semctl", 4: "semtimedop", 11: "msgsnd", 12: "msgrcv", 13: "msgget", 14: "msgctl"}
IPC |= {21: "shmat", 22: "shmdt", 23: "shmget", 24: "shmctl"}
CARRIED = {name: ("socketcall", number) for number, name in enumerate(SOCKETCALL, 1)}
CARRIED |= {name: ("ipc", number) for number, name in IPC.items()}
CARRIERS = ("X86", "PPC64LE", "S390", "S390X")


class Model:
    """Decides like a program for one machine."""

    def __init__(
        self, profile: Profile, machine: str, numbers: "dict[str, dict[str, int]]", reference: Reference
    ) -> None:
        self.profile = profile
        self.numbers = numbers
        self.big = machine == "s390x"
        self.listed = shorts(profile, machine)
        self.default = value(profile["defaultAction"], profile.get("defaultErrnoRet"))
        self.first = newer.rule(newer.highest(profile, machine, reference))

    def run(self, words: "list[int]") -> int:
        """The decision about one call. Raises Disagreement."""
        nr, token = words[:2]
        early = self.first(nr, token)
        if early is not None:
            return early
        if token == newer.AUDIT_X86_64 and nr == 0xFFFFFFFF and {"X86_64", "X32"} & set(self.listed):
            return self.default
        short = self.mode(nr, token)
        return self.decide(nr, short, self.arguments(words)) if short in self.listed else KILL

    def mode(self, nr: int, token: int) -> str:
        """The architecture that the filter proper takes a number for: on x86_64, everything from bit 30 up is x32."""
        above = token == newer.AUDIT_X86_64 and nr >= newer.X32
        return "X32" if above else newer.architecture(nr, token)

    def borders(self, words: "list[int]") -> "dict[int, set[tuple[int, int]]]":
        """For one call, what the profile compares words of its arguments with: (mask, constant) of each."""
        found: "dict[int, set[tuple[int, int]]]" = {}
        short = self.mode(*words[:2])
        for call in self.profile.get("syscalls") or [] if short in self.listed else []:
            for condition in chain.from_iterable(self.meant(call, words[0], short)):
                masked = condition["op"] == "SCMP_CMP_MASKED_EQ"
                mask = condition["value"] if masked else MAX
                constant = condition.get("valueTwo", 0) if masked else condition["value"]
                for upper in (0, 1):
                    word = 4 + 2 * condition["index"] + (upper ^ self.big)
                    part = (mask >> 32 * upper & 0xFFFFFFFF, constant >> 32 * upper & 0xFFFFFFFF)
                    found.setdefault(word, set()).add(part)
        return found

    def arguments(self, words: "list[int]") -> "list[int]":
        """The six arguments."""
        halves = words[4:]
        order = (0, 1) if self.big else (1, 0)
        return [halves[2 * n + order[0]] << 32 | halves[2 * n + order[1]] for n in range(6)]

    def decide(self, nr: int, short: str, args: "list[int]") -> int:
        """The decision of the filter proper."""
        mask = MAX if short in WIDE else 0xFFFFFFFF
        holding, unconditional = [], []
        for call in self.profile.get("syscalls") or []:
            action = value(call["action"], call.get("errnoRet"))
            for conditions in self.meant(call, nr, short) if action != self.default else []:
                telling = [each for each in conditions if not empty(each, mask)]
                if not telling:
                    unconditional.append(action)
                elif all(holds(each, args[each["index"]] & mask, mask) for each in telling):
                    holding.append(action)
        if unconditional:
            return unconditional[0]
        if len(set(holding)) > 1:
            raise Disagreement
        return holding[0] if holding else self.default

    def meant(self, call: "dict[str, Any]", nr: int, short: str) -> "list[list[dict[str, Any]]]":
        """The lists of conditions under which an entry speaks of this number."""
        args = call.get("args") or []
        lists = [[each] for each in args] if len({each["index"] for each in args}) < len(args) else [args]
        found: "list[list[dict[str, Any]]]" = []
        for name in call["names"]:
            if self.numbers[short].get(name) == nr:
                found += lists
            carrier, code = CARRIED.get(name, ("", 0))
            if carrier and short in CARRIERS and self.numbers[short][carrier] == nr:
                is_it = {"index": 0, "op": "SCMP_CMP_EQ", "value": code}
                found += [[is_it, *(each for each in conditions if each["index"])] for conditions in lists]
        return found


def empty(condition: "dict[str, Any]", mask: int) -> bool:
    """Whether it holds for everything, as its mask has no bit there."""
    return bool(condition["op"] == "SCMP_CMP_MASKED_EQ" and not condition["value"] & mask)


def holds(condition: "dict[str, Any]", arg: int, mask: int) -> bool:
    """Whether a condition holds for an argument of that width."""
    operand, second = condition["value"] & mask, condition.get("valueTwo", 0) & mask
    answers = {
        "NE": arg != operand,
        "LT": arg < operand,
        "LE": arg <= operand,
        "EQ": arg == operand,
        "GE": arg >= operand,
        "GT": arg > operand,
        "MASKED_EQ": arg & operand == second & operand,
    }
    return answers[condition["op"].removeprefix("SCMP_CMP_")]
