"""Broken modules by the seed: binaries of guests that were changed, cut, spliced and lied about."""

import random
from collections.abc import Callable, Iterator

from tests.system.probes import PROBES
from tests.system.wat import CREATE, DIRECTORY, READ, WRITE, Program

_INTERESTING = (0, 1, 2, 0x0B, 0x10, 0x20, 0x28, 0x40, 0x41, 0x60, 0x7F, 0x80, 0xC0, 0xFC, 0xFD, 0xFE, 0xFF)
_ALIKE = (range(0x46, 0x50), range(0x6A, 0x79), range(0x51, 0x5B), range(0x7C, 0x8B))  # operators of one type each
_OPERATORS = {0x41, 0x42}.union(*_ALIKE)  # i32.const, i64.const
_HUGE = (b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\x07", b"\x80\x80\x80\x80\x08", b"\x80\x80\x04", b"\x7f")


def busy() -> Program:
    """Opens, writes, lists and removes in turns, for ever: what a mutant of it does is anybody's guess."""
    program = Program(more="(table 4 funcref) (global $g (mut i64) (i64.const 7))").do("(loop $round")
    program.drop(program.open(0, "tmp/a", CREATE, READ | WRITE)).drop(program.write(0, "text" * 20))
    program.drop(program.open(1, "tmp", DIRECTORY)).drop(program.call("fd_readdir", program.slot(1), 65536, 900, 0, 64))
    program.drop(program.rename("tmp/a", "tmp/b")).drop(program.path("path_unlink_file", "tmp/b"))
    program.do("(global.set $g (i64.mul (global.get $g) (i64.const 1103515245)))")
    program.do("(local.set $i (i32.add (local.get $i) (i32.const 1)))")
    return program.do("(br_if $round (i32.lt_u (local.get $i) (i32.const 50))))")


def bases() -> "list[bytes]":
    """The binaries to begin with. Needs the wasmtime package, for its WAT reader."""
    from wasmtime import wat2wasm

    return [bytes(wat2wasm(make().text())) for make in (*PROBES.values(), busy)]


def _flip(data: bytearray, dice: random.Random) -> None:
    data[dice.randrange(8, len(data))] ^= 1 << dice.randrange(8)


def _set(data: bytearray, dice: random.Random) -> None:
    data[dice.randrange(8, len(data))] = dice.choice(_INTERESTING)


def _huge(data: bytearray, dice: random.Random) -> None:
    """A number as long as LEB128 allows, over what was there or before it."""
    at, number = dice.randrange(8, len(data)), dice.choice(_HUGE)
    data[at : at + dice.choice((0, 1, len(number)))] = number


def _cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(8, len(data)) :]


def _drop(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(8, len(data))
    del data[at : at + dice.randrange(1, 9)]


def _repeat(data: bytearray, dice: random.Random) -> None:
    at, size = dice.randrange(8, len(data)), dice.randrange(1, 64)
    data[at:at] = data[at : at + size] * dice.randrange(1, 5)


def _swap(data: bytearray, dice: random.Random) -> None:
    first, second = sorted((dice.randrange(8, len(data)), dice.randrange(8, len(data))))
    size = dice.randrange(1, 24)
    data[first : first + size], data[second : second + size] = data[second : second + size], data[first : first + size]


def _numbers(data: bytearray, dice: random.Random) -> None:
    """Other constants and operators in the code: still a valid module, that does something else."""
    for _ in range(dice.randrange(1, 6)):
        at = dice.choice([place for place in range(len(data) // 3, len(data) - 1) if data[place] in _OPERATORS])
        if data[at] in (0x41, 0x42):
            data[at + 1] = data[at + 1] & 0x80 | dice.randrange(0x80)
        else:
            data[at] = dice.choice(next(group for group in _ALIKE if data[at] in group))


CHANGES: "tuple[Callable[[bytearray, random.Random], None], ...]" = (
    _flip, _set, _huge, _cut, _drop, _repeat, _swap,
)  # fmt: skip


def mutants(count: int, seed: int) -> "Iterator[bytes]":
    """So many broken modules; the same for the same seed."""
    dice, known = random.Random(seed), bases()
    for _ in range(count):
        data = bytearray(dice.choice(known))
        if dice.random() < 0.5:
            _numbers(data, dice)
            yield bytes(data)
            continue
        if dice.random() < 0.1:  # the head of one, the rest of another
            other = dice.choice(known)
            data[dice.randrange(8, len(data)) :] = other[dice.randrange(8, len(other)) :]
        for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
            if len(data) > 9:
                dice.choice(CHANGES)(data, dice)
        yield bytes(data)
