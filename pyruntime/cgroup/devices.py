"""The device allow-list as an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE (Linux 4.15). Pure.

The kernel hands over `struct bpf_cgroup_dev_ctx` (<linux/bpf.h>): access << 16 | type, major, minor. The program
returns 1 to allow. cgroup v2 keeps no list of rules: whatever the rules mean has to be decided by the program.
"""

import _struct

from pyruntime.errors import ConfigError, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

BLOCK, CHAR, ANY = 1, 2, 0  # BPF_DEVCG_DEV_*, and our word for both
MKNOD, READ, WRITE, EVERY_ACCESS = 1, 2, 4, 7  # BPF_DEVCG_ACC_*
_TYPES = {"a": ANY, "b": BLOCK, "c": CHAR, "u": CHAR}
_LETTERS = {"r": READ, "w": WRITE, "m": MKNOD}
_LARGEST_MAJOR, _LARGEST_MINOR = (1 << 12) - 1, (1 << 20) - 1  # <linux/kdev_t.h>: no device has more


class Rule:
    """One decision: `major` and `minor` are None for any, `access` is a set of bits, `kind` is BLOCK, CHAR or ANY."""

    __slots__ = ("access", "allow", "kind", "major", "minor")

    def __init__(self, allow: bool, kind: int, major: "int | None", minor: "int | None", access: int) -> None:
        self.allow = allow
        self.kind = kind
        self.major = major
        self.minor = minor
        self.access = access

    def key(self) -> "tuple[int, int | None, int | None]":
        """Which devices it is about."""
        return self.kind, self.major, self.minor

    def __repr__(self) -> str:
        verb, kind = "allow" if self.allow else "deny", "abc"[self.kind]
        letters = "".join(letter for letter, bit in _LETTERS.items() if self.access & bit)
        numbers = ":".join("*" if number is None else str(number) for number in (self.major, self.minor))
        return f"{verb} {kind} {numbers} {letters}"


# What every container has, whatever the caller's rules say: making nodes (which opens nothing), the nodes that
# config-linux.md "Default Devices" demands, the console, pseudo-terminals and, as callers have come to expect, tun.
DEFAULTS = (
    Rule(True, CHAR, None, None, MKNOD),
    Rule(True, BLOCK, None, None, MKNOD),
    *(Rule(True, CHAR, 1, minor, EVERY_ACCESS) for minor in (3, 5, 7, 8, 9)),
    *(Rule(True, CHAR, 5, minor, EVERY_ACCESS) for minor in (0, 2)),
    Rule(True, CHAR, 136, None, EVERY_ACCESS),
    Rule(True, CHAR, 10, 200, EVERY_ACCESS),
)


def from_spec(devices: "Iterable[Any]") -> "list[Rule]":
    """The rules of `linux.resources.devices`, with the defaults at the end. Raises ConfigError for a fifo."""
    return [_rule(index, device) for index, device in enumerate(devices)] + list(DEFAULTS)


def _rule(index: int, device: "Any") -> Rule:
    kind = _TYPES.get(device.type or "a")
    if kind is None:
        path = f"linux.resources.devices[{index}].type"
        raise ConfigError(path, f'"{device.type}" is not a kind of device one can rule; expected "a", "b" or "c"')
    access = sum(bit for letter, bit in _LETTERS.items() if letter in (device.access or ""))
    if not access:
        raise ConfigError(f"linux.resources.devices[{index}].access", 'empty; expected some of the letters "rwm"')
    if _unknown(device) and not device.allow:
        access = EVERY_ACCESS
    return Rule(device.allow, kind, _number(device.major), _number(device.minor), access)


def _unknown(device: "Any") -> str:
    """The letters of a rule's access that are no kind of access."""
    return "".join(letter for letter in dict.fromkeys(device.access or "") if letter not in _LETTERS)


def unknown_letters(devices: "Iterable[Any]") -> "list[tuple[str, str]]":
    """(config path, what becomes of it) for every rule whose access has a letter that is none of "rwm".

    Whatever was meant by it, the container may not do more for it: it allows nothing, and denies all there is.
    """
    return [
        (
            f"linux.resources.devices[{index}].access",
            f'"{one_line(letters)}": no such kind of access; '
            + ("ignored" if device.allow else 'the rule denies all of them, as "rwm" does'),
        )
        for index, device in enumerate(devices)
        if (letters := _unknown(device))
    ]


def _number(number: "int | None") -> "int | None":
    return None if number is None or number < 0 else number


def final(rules: "Iterable[Rule]") -> "list[Rule]":
    """The rules in the order of decision: for each kind of access the first match counts, and no match is a denial.

    Rules apply in the listed order (config-linux.md, "Allowed Device list"), so the last one given is asked first.
    What can decide nothing is left out.
    """
    decided: dict[tuple[int, int | None, int | None], int] = {}
    asked = []
    for rule in reversed(list(rules)):
        everything = decided.get((ANY, None, None), 0)
        access = rule.access & ~decided.get(rule.key(), 0) & ~everything
        if access and _exists(rule):
            decided[rule.key()] = decided.get(rule.key(), 0) | access
            asked.append(Rule(rule.allow, *rule.key(), access))
    while asked and not asked[-1].allow:
        asked.pop()
    return asked


def _exists(rule: Rule) -> bool:
    return (rule.major or 0) <= _LARGEST_MAJOR and (rule.minor or 0) <= _LARGEST_MINOR


def allows_everything(rules: "Iterable[Rule]") -> bool:
    """Whether nothing is denied: then the program protects from nothing, and failing to load it is no loss."""
    asked = final(rules)
    access = 0
    for rule in asked:
        if rule.key() == (ANY, None, None):
            access |= rule.access
    return access == EVERY_ACCESS and all(rule.allow for rule in asked)


# Opcodes of <linux/bpf.h> and <linux/bpf_common.h>; an instruction is opcode, registers (source << 4 | destination),
# offset of a jump, immediate value.
_LOAD_WORD, _AND, _SHIFT_RIGHT, _COPY, _SET = 0x61, 0x57, 0x77, 0xBF, 0xB7
_IF_NOT, _IF_BITS, _JUMP, _EXIT = 0x55, 0x45, 0x05, 0x95
_RESULT, _CONTEXT, _KIND, _LEFT, _MAJOR, _MINOR = 0, 1, 2, 3, 4, 5


def _instruction(opcode: int, registers: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return _struct.pack("<BBhi", opcode, registers, offset, immediate)


def _return(value: int) -> bytes:
    return _instruction(_SET, _RESULT, 0, value) + _instruction(_EXIT)


_PROLOGUE = (
    _instruction(_LOAD_WORD, _CONTEXT << 4 | _KIND, 0)
    + _instruction(_COPY, _KIND << 4 | _LEFT)
    + _instruction(_SHIFT_RIGHT, _LEFT, 0, 16)
    + _instruction(_AND, _KIND, 0, 0xFFFF)
    + _instruction(_LOAD_WORD, _CONTEXT << 4 | _MAJOR, 4)
    + _instruction(_LOAD_WORD, _CONTEXT << 4 | _MINOR, 8)
)


def program(rules: "Iterable[Rule]") -> bytes:
    """The instructions that decide as `final(rules)` says; little-endian, as every machine we run on.

    `_LEFT` holds the kinds of access asked for that no rule has allowed yet.
    """
    code = [_PROLOGUE]
    for rule in final(rules):
        code.append(_block(rule))
        if rule.key() == (ANY, None, None) and rule.allow and rule.access == EVERY_ACCESS:
            return b"".join(code)  # the verifier refuses instructions that nothing reaches
    return b"".join([*code, _return(0)])


def _block(rule: Rule) -> bytes:
    """One rule: fall through to its verdict, or jump past it."""
    tests = _tests(rule)
    verdict = _allow(rule.access) if rule.allow else _deny(rule.access)
    code = b""
    for place, (register, value) in enumerate(tests):
        past = (len(tests) - place - 1) + len(verdict) // 8
        code += _instruction(_IF_NOT, register, past, value)
    return code + verdict


def _tests(rule: Rule) -> "list[tuple[int, int]]":
    wanted = ((_KIND, rule.kind or None), (_MAJOR, rule.major), (_MINOR, rule.minor))
    return [(register, value) for register, value in wanted if value is not None]


def _allow(access: int) -> bytes:
    if access == EVERY_ACCESS:
        return _return(1)
    rest = _instruction(_AND, _LEFT, 0, EVERY_ACCESS & ~access)
    return rest + _instruction(_IF_NOT, _LEFT, 2, 0) + _return(1)


def _deny(access: int) -> bytes:
    if access == EVERY_ACCESS:
        return _return(0)
    return _instruction(_IF_BITS, _LEFT, 1, access) + _instruction(_JUMP, 0, 2) + _return(0)
