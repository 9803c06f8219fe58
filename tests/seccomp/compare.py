"""Two programs are asked about the same calls, at every border that either of them has.

Between two borders neither program can tell calls apart, so where all words were combined the comparison is complete
for that number; where the combinations are too many, some are drawn, always the same ones.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from math import prod
from typing import Protocol

from tests.seccomp.emulator import Program, data, steps, values

MOST = 1500  # combinations of arguments for one number
First = Callable[[int, int], "int | None"]


class Decider(Protocol):
    """What answers for calls; a program, or a statement of what one should do."""

    def run(self, words: "list[int]") -> int: ...


class Tally:
    """What was compared, and what was left out as libseccomp's program is no measure there (emulator.py)."""

    def __init__(self) -> None:
        self.profiles = self.decisions = self.sampled = self.blind = self.stale = 0
        self.different: "list[str]" = []

    def add(self, other: "Tally") -> None:
        for name in ("profiles", "decisions", "sampled", "blind", "stale"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.different += other.different

    def __str__(self) -> str:
        left_out = f"{self.blind} architectures, {self.stale} calls" if self.blind or self.stale else "nothing"
        return (
            f"{self.profiles} profiles, {self.decisions} decisions compared, differences={len(self.different)}"
            f" (arguments sampled for {self.sampled} calls; broken in libseccomp's program: {left_out})"
        )


def calls(borders: "list[dict[int, set[tuple[int, int]]]]", base: "list[int]", tally: Tally) -> "Iterator[list[int]]":
    """One call for every combination of argument words that could matter."""
    words: "dict[int, set[tuple[int, int]]]" = {}
    for each in borders:
        for word, found in each.items():
            words.setdefault(word, set()).update(found)
    for combination in _some([values(words[word]) for word in words], tally):
        call = base.copy()
        for word, value in zip(words, combination, strict=True):
            call[word] = value
        yield call


def _some(choices: "list[list[int]]", tally: Tally) -> "Iterator[tuple[int, ...]]":
    size = prod(map(len, choices))
    if size <= MOST:
        yield from product(*choices)
        return
    tally.sampled += 1
    draw = random.Random(size)
    yield from (tuple(map(draw.choice, choices)) for _ in range(MOST))


def compare(ours: Program, theirs: Program, tokens: "list[int]", first: First, borders: "set[int]") -> Tally:
    """Ask both about every call. `first` is asked before `theirs`, and `borders` are where its answer changes."""
    tally = Tally()
    tally.profiles = 1
    tally.blind = sum(map(theirs.blind, tokens))
    numbers = steps(ours.numbers() | theirs.numbers() | borders)
    for token, nr in product([token for token in tokens if not theirs.blind(token)], numbers):
        explored = [ours.explore(nr, token), theirs.explore(nr, token)]
        stub = first(nr, token)
        if stub is None and explored[1].stale:
            tally.stale += 1
            continue
        wanted = theirs if stub is None else Always(stub)
        ask(ours, wanted, calls([each.borders for each in explored], data(nr, token, big=ours.big), tally), tally)
    return tally


def ask(ours: Decider, theirs: Decider, calls: "Iterable[list[int]]", tally: Tally) -> None:
    """Compare two answers for some calls."""
    for words in calls:
        got, wanted = ours.run(words), theirs.run(words)
        tally.decisions += 1
        if got != wanted:
            tally.different.append(f"{words[1]:#x} {words[0]}: {got:#x}, expected {wanted:#x}, words {words[4:]}")


class Always:
    """One answer for every call."""

    def __init__(self, value: int) -> None:
        self.value = value

    def run(self, words: "list[int]") -> int:
        return self.value
