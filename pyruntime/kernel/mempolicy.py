"""NUMA memory policies: set_mempolicy(2), <linux/mempolicy.h>."""

from pyruntime.kernel.syscall import syscall

MODES = {
    "MPOL_DEFAULT": 0, "MPOL_PREFERRED": 1, "MPOL_BIND": 2, "MPOL_INTERLEAVE": 3, "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5, "MPOL_WEIGHTED_INTERLEAVE": 6,
}  # fmt: skip
FLAGS = {"MPOL_F_NUMA_BALANCING": 1 << 13, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_STATIC_NODES": 1 << 15}
_WORD = 64  # a node mask is an array of unsigned long


def node_mask(nodes: "list[int]") -> bytes:
    """The bit mask of these nodes in the kernel's form, whole words of it; nothing for no node."""
    bits = 0
    for node in nodes:
        bits |= 1 << node
    words = -(-bits.bit_length() // _WORD)
    return b"".join((bits >> _WORD * n & (1 << _WORD) - 1).to_bytes(8, "little") for n in range(words))


def set_policy(mode: str, flags: "list[str]", nodes: "list[int]") -> None:
    """From which nodes this process and its children get memory, until they say otherwise; it survives execve.

    MPOL_PREFERRED_MANY needs Linux 5.15, MPOL_WEIGHTED_INTERLEAVE 6.9. Raises OSError (EINVAL: a mode or flag that the
    kernel lacks, or no node that is there and that the cpuset allows).
    """
    mask = node_mask(nodes)
    bits = MODES[mode]
    for flag in flags:
        bits |= FLAGS[flag]
    # The kernel takes one bit less than told (the manual page's section "BUGS").
    syscall("set_mempolicy", bits, mask or 0, len(mask) * 8 + 1 if mask else 0)
