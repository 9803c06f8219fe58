"""Classic BPF as the kernel runs it for seccomp: seccomp_check_filter in kernel/seccomp.c says what there is.

A machine of our own, for programs of whoever: what it does not know is an error, never a guess.
"""

import struct

LD, AND, RET, JA = 0x20, 0x54, 0x06, 0x05
JEQ, JGT, JGE, JSET = 0x15, 0x25, 0x35, 0x45
JUMPS = {
    JEQ: lambda a, k: a == k,
    JGT: lambda a, k: a > k,
    JGE: lambda a, k: a >= k,
    JSET: lambda a, k: bool(a & k),
}
LOW = 0xFFFFFFFF
Way = tuple[int, int, int]  # the next instruction; the word in the accumulator, and what of it was masked
FIRST_ARGUMENT = 4  # the word of struct seccomp_data


def data(nr: int, token: int, args: "tuple[int, ...]" = (), big: bool = False) -> "list[int]":
    """struct seccomp_data as words: number, token, instruction pointer, and each argument's halves as they lie."""
    words = [nr & LOW, token & LOW, 0, 0]
    for arg in [*args, 0, 0, 0, 0, 0, 0][:6]:
        halves = [arg >> 32 & LOW, arg & LOW]
        words += halves if big else halves[::-1]
    return words


class Program:
    """A program that was checked as the kernel checks it, and can be run."""

    def __init__(self, code: bytes, big: bool = False) -> None:
        layout = struct.Struct(">HBBI" if big else "<HBBI")
        assert code, "an empty program"
        assert len(code) % layout.size == 0, "half an instruction"
        self.instructions = list(layout.iter_unpack(code))
        self.big = big
        self._check()

    def _check(self) -> None:
        size = len(self.instructions)
        assert size <= 4096, "longer than BPF_MAXINSNS"
        assert self.instructions[-1][0] == RET, "the last instruction is no return"
        for place, (code, jt, jf, k) in enumerate(self.instructions):
            left = size - place - 1
            assert code in (LD, AND, RET, JA, *JUMPS), f"instruction {code:#x}"
            assert code != LD or (k % 4 == 0 and k < 64), f"load from {k}"
            assert code != JA or k < left, "a jump beyond the end"
            assert code not in JUMPS or max(jt, jf) < left, "a jump beyond the end"

    def run(self, words: "list[int]") -> int:
        """What the program returns for one call."""
        place, accumulator = 0, 0
        while True:
            code, jt, jf, k = self.instructions[place]
            place += 1
            if code == LD:
                accumulator = words[k // 4]
            elif code == RET:
                return k
            elif code == JA:
                place += k
            elif code == AND:
                accumulator &= k
            else:
                place += jt if JUMPS[code](accumulator, k) else jf

    def numbers(self) -> "set[int]":
        """All constants that anything is compared with: borders between system call numbers are among them."""
        return {k for code, _, _, k in self.instructions if code in JUMPS}

    def blind(self, token: int) -> bool:
        """Whether the token is taken for a system call number: nothing is loaded between the two comparisons.

        libseccomp (read up to 2.6.1) writes this for an architecture, other than x86_64 and x32, whose first call of a
        short filter has no number there. Such a program decides about no call of it by its number.
        """
        place = 1
        while self.instructions[place][0] in (JEQ, JA):
            code, jt, jf, k = self.instructions[place]
            matched = code == JEQ and k == token
            place += 1 + (k if code == JA else jt if matched else jf)
            if matched:
                return self._after_jumps(place)[0] in (JEQ, JGT, JGE)
        return False

    def _after_jumps(self, place: int) -> "tuple[int, int, int, int]":
        while self.instructions[place][0] == JA:
            place += 1 + self.instructions[place][3]
        found: "tuple[int, int, int, int]" = self.instructions[place]
        return found

    def explore(self, nr: int, token: int) -> "Explored":
        """Every way through the program for one call, whatever its arguments are."""
        found = Explored()
        words = data(nr, token, big=self.big)
        seen: "set[Way]" = set()
        ways: "list[Way]" = [(0, -1, LOW)]
        while ways:
            way = ways.pop()
            if way not in seen:
                seen.add(way)
                ways += self._ahead(way, words, found)
        return found

    def _ahead(self, way: "Way", words: "list[int]", found: "Explored") -> "list[Way]":
        place, word, mask = way
        code, jt, jf, k = self.instructions[place]
        after = place + 1
        if code == RET:
            return []
        if code == LD:
            return [(after, k // 4, LOW)]
        if code == AND:
            return [(after, word, mask & k)]
        if code == JA:
            return [(after + k, word, mask)]
        found.compares(place, word, mask, k)
        if word < FIRST_ARGUMENT:
            return [(after + (jt if JUMPS[code](words[word] & mask, k) else jf), word, mask)]
        return [(after + jt, word, mask), (after + jf, word, mask)]


class Explored:
    """What a program compares for one call: for each word of an argument, the masks and constants.

    `stale`: some comparison is reached with different words loaded, so on one of the ways it is of the wrong one.
    libseccomp (2.5.4) writes this where rules of one call differ in the upper halves of one argument.
    """

    def __init__(self) -> None:
        self.borders: "dict[int, set[tuple[int, int]]]" = {}
        self.stale = False
        self._loaded: "dict[int, tuple[int, int]]" = {}

    def compares(self, place: int, word: int, mask: int, k: int) -> None:
        self.stale |= self._loaded.setdefault(place, (word, mask)) != (word, mask)
        if word >= FIRST_ARGUMENT:
            self.borders.setdefault(word, set()).add((mask, k))


def steps(borders: "set[int]") -> "list[int]":
    """Numbers on both sides of every border, so that no comparison tells apart what lies between two of them.

    `borders` are the constants of comparisons; a test of a single bit has its borders at multiples of it.
    """
    found = {0, LOW, *borders, *(k - 1 for k in borders), *(k + 1 for k in borders)}
    found |= {(part << 30) + offset for part in range(1, 4) for offset in (-1, 0, 1)}
    return sorted(number for number in found if 0 <= number <= LOW)


def values(borders: "set[tuple[int, int]]") -> "list[int]":
    """Values of a word of an argument on both sides of every border, and with bits that a mask leaves out."""
    found = {0, LOW}
    for mask, k in borders:
        lowest, rest = mask & -mask, ~mask & LOW
        found |= {k - 1, k, k + 1, k | rest, k ^ lowest, (k ^ lowest) | rest}
    return sorted(value for value in found if 0 <= value <= LOW)
