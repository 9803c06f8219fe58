"""Conditions on arguments: what they mean on an architecture, and the code that tests them.

An argument is 64 bits of struct seccomp_data. A 64-bit architecture compares all of them, in two halves, since classic
BPF has 32 bits; a 32-bit one compares the lower half with the lower half of the value.
"""

from pyruntime.seccomp.bpf import AND, JEQ, JGE, JGT, LD, RET, SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.config.seccomp import SyscallArg
    from pyruntime.seccomp.architectures import Architecture
    from pyruntime.seccomp.bpf import Pack

    Test = tuple[int, str, int, int]  # argument, operator after SCMP_CMP_, mask, value to compare with
    Rule = tuple[tuple[Test, ...], int, int]  # all tests hold: return value; the index in linux.seccomp.syscalls

_LOW = 0xFFFFFFFF


def alternatives(args: "list[SyscallArg]") -> "list[list[SyscallArg]]":
    """The conditions that must hold together, as lists of which one suffices.

    Where an argument is named twice, each condition alone suffices: engines write "one of these values" so.
    """
    if len({arg.index for arg in args}) < len(args):
        return [[arg] for arg in args]
    return [args]


def tests(conditions: "list[SyscallArg]", wide: bool) -> "tuple[Test, ...]":
    """Conditions as an architecture sees them, by argument; what holds always is left out."""
    found = [_test(condition, width(wide)) for condition in conditions]
    return tuple(sorted(test for test in found if test[2]))


def width(wide: bool) -> int:
    """The mask of all bits of an argument."""
    return 0xFFFFFFFFFFFFFFFF if wide else _LOW


def _test(condition: "SyscallArg", bits: int) -> "Test":
    operator = condition.op.removeprefix("SCMP_CMP_")
    if operator == "MASKED_EQ":
        mask = condition.value & bits
        return condition.index, operator, mask, condition.valueTwo & mask
    return condition.index, operator, bits, condition.value & bits


def chain(pack: "Pack", architecture: "Architecture", rules: "list[Rule]", otherwise: int) -> bytes:
    """The code of a call that some rules decide: the first whose tests all hold, else `otherwise`."""
    pieces = [_rule(pack, architecture, tests, value) for tests, value, _ in rules]
    return b"".join(pieces) + pack(RET, 0, 0, otherwise)


def _rule(pack: "Pack", architecture: "Architecture", tests: "tuple[Test, ...]", value: int) -> bytes:
    code = pack(RET, 0, 0, value)
    write = _wide if architecture.wide else _narrow
    for test in reversed(tests):
        code = write(pack, architecture, test, len(code) // SIZE) + code
    return code


# What follows writes one test in front of `rest` instructions: it goes on with them, or jumps over them. A rule has at
# most 6 tests of 6 instructions, so `rest` stays far below 255.


def _narrow(pack: "Pack", architecture: "Architecture", test: "Test", rest: int) -> bytes:
    argument, operator, mask, value = test
    code, inverted = _COMPARE[operator]
    load = pack(LD, 0, 0, architecture.low(argument)) + (pack(AND, 0, 0, mask) if mask != _LOW else b"")
    return load + (pack(code, rest, 0, value) if inverted else pack(code, 0, rest, value))


def _wide(pack: "Pack", architecture: "Architecture", test: "Test", rest: int) -> bytes:
    argument, operator, _, value = test
    if operator == "MASKED_EQ":
        return _masked(pack, architecture, test, rest)
    high, low = pack(LD, 0, 0, architecture.high(argument)), pack(LD, 0, 0, architecture.low(argument))
    upper, lower = value >> 32, value & _LOW
    if operator == "EQ":
        return high + pack(JEQ, 0, rest + 2, upper) + low + pack(JEQ, 0, rest, lower)
    if operator == "NE":
        return high + pack(JEQ, 0, 2, upper) + low + pack(JEQ, rest, 0, lower)
    code, inverted = _COMPARE[operator]
    if inverted:  # "less" is "not greater": the upper half greater fails, the upper half less holds
        return high + pack(JGT, rest + 3, 0, upper) + pack(JEQ, 0, 2, upper) + low + pack(code, rest, 0, lower)
    return high + pack(JGT, 3, 0, upper) + pack(JEQ, 0, rest + 2, upper) + low + pack(code, 0, rest, lower)


def _masked(pack: "Pack", architecture: "Architecture", test: "Test", rest: int) -> bytes:
    argument, _, mask, value = test
    halves = ((architecture.low(argument), 0), (architecture.high(argument), 32))
    code = b""
    for offset, shift in halves:
        part = mask >> shift & _LOW
        if part:
            masking = pack(AND, 0, 0, part) if part != _LOW else b""
            failed = rest + len(code) // SIZE
            code = pack(LD, 0, 0, offset) + masking + pack(JEQ, 0, failed, value >> shift & _LOW) + code
    return code


_COMPARE = {  # the jump, and whether the test holds when it is not taken
    "EQ": (JEQ, False), "NE": (JEQ, True), "GT": (JGT, False), "GE": (JGE, False), "LE": (JGT, True),
    "LT": (JGE, True), "MASKED_EQ": (JEQ, False),
}  # fmt: skip
