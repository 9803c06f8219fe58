"""What a system call filter decides, found by running its program (classic BPF, as seccomp(2) runs it)."""

import struct
from typing import Any

from pyruntime.seccomp import architectures
from pyruntime.seccomp.bpf import AND, ARGS, JA, JEQ, JGE, JGT, LD, RET

_ACTIONS = {  # SECCOMP_RET_* of <linux/seccomp.h>
    0x80000000: "kill process", 0x00000000: "kill thread", 0x00030000: "trap", 0x00050000: "errno",
    0x7FC00000: "notify", 0x7FF00000: "trace", 0x7FFC0000: "log", 0x7FFF0000: "allow",
}  # fmt: skip
_ACTION = 0xFFFF0000
BY_ARGUMENTS = "by arguments"


def decide(program: bytes, data: bytes) -> "tuple[int, bool]":
    """The value a program returns for one struct seccomp_data, and whether it looked at an argument on the way."""
    at, word, looked = 0, 0, False
    while True:
        opcode, jt, jf, k = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        if opcode == LD:
            (word,), looked = struct.unpack_from("=I", data, k), looked or k >= ARGS
        elif opcode == AND:
            word &= k
        elif opcode == RET:
            return k, looked
        elif opcode == JA:
            at += k
        elif opcode in (JEQ, JGT, JGE):
            at += jt if {JEQ: word == k, JGT: word > k, JGE: word >= k}[opcode] else jf
        else:
            raise ValueError(f"instruction {opcode:#x} is none that pyruntime writes")


def summary(program: bytes, machine: str) -> "dict[str, Any]":
    """What happens to each system call of this machine: action → names; those that depend on arguments apart."""
    native = architectures.wanted([], machine)[0]
    found: "dict[str, list[str]]" = {}
    for name, number in sorted(native.numbers.items()):
        value, looked = decide(program, struct.pack("=iIQ6Q", number, native.token, 0, *(0,) * 6))
        action = BY_ARGUMENTS if looked else _ACTIONS.get(value & _ACTION, "unknown")
        found.setdefault(action, []).append(name)
    return {"instructions": len(program) // 8, "calls": found}
