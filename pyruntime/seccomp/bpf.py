"""Classic BPF as seccomp(2) takes it: instructions, return values, and the program's skeleton.

Code is built from its end, in pieces of packed `struct sock_filter` (<linux/filter.h>): a piece knows its length, so
every jump is known when it is written, and pieces are joined without looking into them. Jumps go forward; `jt` and `jf`
reach over 255 instructions, `ja` over any number.
"""

import _struct

from pyruntime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Pack = Callable[[int, int, int, int], bytes]

LD, AND, RET = 0x20, 0x54, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K, BPF_RET|BPF_K
JA, JEQ, JGT, JGE = 0x05, 0x15, 0x25, 0x35  # BPF_JMP|BPF_K
NR, ARCH, ARGS = 0, 4, 16  # offsets in struct seccomp_data (<linux/seccomp.h>)
SIZE, FAR = 8, 255
BPF_MAXINSNS = 4096

KILL_THREAD, ENOSYS = 0x00000000, 0x00050000 | 38


def packer(big: bool) -> "Pack":
    """What packs one instruction: code, jt, jf, k, in the byte order of the machine that will load it."""
    return _struct.Struct(">HBBI" if big else "<HBBI").pack


def jump_over(pack: "Pack", code: int, k: int, piece: bytes) -> bytes:
    """A test in front of `piece`: it is skipped when the test holds."""
    length = len(piece) // SIZE
    if length <= FAR:
        return pack(code, length, 0, k) + piece
    return pack(code, 0, 1, k) + pack(JA, 0, 0, length) + piece


def search(pack: "Pack", starts: "list[int]", leaves: "list[bytes]") -> bytes:
    """A binary search for the last of `starts` that is not above the number loaded, and its leaf there.

    `starts` ascend from 0. A leaf ends in a return on every way through it.
    """

    def between(low: int, high: int) -> bytes:
        if high - low == 1:
            return leaves[low]
        middle = (low + high) // 2
        return jump_over(pack, JGE, starts[middle], between(low, middle)) + between(middle, high)

    return between(0, len(starts))


def section(pack: "Pack", token: int, body: bytes) -> bytes:
    """What is done for one AUDIT_ARCH_* token; the token is loaded, and others pass to what follows."""
    body = pack(LD, 0, 0, NR) + body
    length = len(body) // SIZE
    if length <= FAR:
        return pack(JEQ, 0, length, token) + body
    return pack(JEQ, 1, 0, token) + pack(JA, 0, 0, length) + body


def program(pack: "Pack", sections: "list[bytes]") -> bytes:
    """The whole: architectures first, and death to a thread that calls through one that is not listed.

    Raises ConfigError when it is longer than the kernel takes.
    """
    whole = pack(LD, 0, 0, ARCH) + b"".join(sections) + pack(RET, 0, 0, KILL_THREAD)
    length = len(whole) // SIZE
    if length > BPF_MAXINSNS:
        problem = f"takes {length} instructions, and the kernel takes {BPF_MAXINSNS} (BPF_MAXINSNS)"
        raise ConfigError("linux.seccomp.syscalls", f"{problem}; use fewer conditions or architectures")
    return whole
