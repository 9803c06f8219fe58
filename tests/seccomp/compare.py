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


class Disagreement(Exception):
    """Rules with different actions hold for one call, and whoever was asked does not say which counts."""


First = Callable[[int, int], "int | None"]


class Decider(Protocol):
    """What answers for calls; a program, or a statement of what one should do."""

    def run(self, words: "list[int]") -> int: ...


class Tally:
    """What was compared, and where libseccomp's program is no measure.

    `blind` architectures and `stale` calls (emulator.py) are left out. `against` counts decisions that differ where the
    plain statement of the profile (model.py) says what our program says, `unstated` those where it says nothing, as
    rules with different actions hold.
    """

    def __init__(self) -> None:
        self.profiles = self.decisions = self.sampled = self.blind = self.stale = self.against = self.unstated = 0
        self.different: "list[str]" = []

    def add(self, other: "Tally") -> None:
        for name in ("profiles", "decisions", "sampled", "blind", "stale", "against", "unstated"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.different += other.different

    def __str__(self) -> str:
        return (
            f"{self.profiles} profiles, {self.decisions} decisions compared, differences={len(self.different)}"
            f" (arguments sampled for {self.sampled} calls; libseccomp at fault: {self.blind} architectures blind,"
            f" {self.stale} calls stale, {self.against} decisions against the profile's words;"
            f" {self.unstated} differences where rules overlap)"
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


def compare(
    ours: Program,
    theirs: Program,
    tokens: "list[int]",
    first: First,
    borders: "set[int]",
    referee: "Decider | None" = None,
) -> Tally:
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
        asked = calls([each.borders for each in explored], data(nr, token, big=ours.big), tally)
        ask(ours, wanted, asked, tally, referee)
    return tally


def ask(
    ours: Decider, theirs: Decider, calls: "Iterable[list[int]]", tally: Tally, referee: "Decider | None" = None
) -> None:
    """Compare two answers for some calls; `referee` is asked where they differ."""
    for words in calls:
        got, wanted = ours.run(words), theirs.run(words)
        tally.decisions += 1
        if got == wanted:
            continue
        verdict = opinion(referee, words, wanted)
        if verdict == got:
            tally.against += 1
        elif verdict is None:
            tally.unstated += 1
        else:
            tally.different.append(f"{words[1]:#x} {words[0]}: {got:#x}, expected {wanted:#x}, words {words[4:]}")


def opinion(referee: "Decider | None", words: "list[int]", wanted: int) -> "int | None":
    """What the referee says, `wanted` without one; None where it says nothing."""
    try:
        return wanted if referee is None else referee.run(words)
    except Disagreement:
        return None


class Always:
    """One answer for every call."""

    def __init__(self, value: int) -> None:
        self.value = value

    def run(self, words: "list[int]") -> int:
        return self.value
