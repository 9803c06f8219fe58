"""Memory policies, set for real in a forked child; every machine with NUMA in its kernel has a node 0."""

import os
from collections.abc import Callable

import pytest

from pyruntime.kernel.mempolicy import node_mask, set_policy

NODE_0 = os.path.isdir("/sys/devices/system/node/node0")


def in_child(act: "Callable[[], str]") -> str:
    """What `act` returns in a process of its own, or the error's number."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = act()
        except OSError as error:
            text = f"errno {error.errno}"
        os.write(theirs, text.encode())
        os._exit(0)
    os.close(theirs)
    os.waitpid(pid, 0)
    with os.fdopen(ours) as file:
        return file.read()


def policy() -> str:
    with open("/proc/self/numa_maps") as file:
        return file.readline().split()[1]


def test_a_mask_is_whole_words() -> None:
    assert node_mask([]) == b""
    assert node_mask([0]) == b"\x01" + bytes(7)
    assert node_mask([63, 1]) == b"\x02" + bytes(6) + b"\x80"
    assert node_mask([64]) == bytes(8) + b"\x01" + bytes(7)
    assert len(node_mask([32767])) == 4096


@pytest.mark.skipif(not NODE_0, reason="needs a kernel with NUMA")
@pytest.mark.parametrize(
    ("mode", "flags", "nodes", "shown"),
    [
        ("MPOL_BIND", [], [0], "bind:0"),
        ("MPOL_BIND", ["MPOL_F_STATIC_NODES"], [0], "bind=static:0"),
        ("MPOL_INTERLEAVE", [], [0], "interleave:0"),
        ("MPOL_PREFERRED", ["MPOL_F_RELATIVE_NODES"], [0], "prefer=relative:0"),
        ("MPOL_PREFERRED", [], [], "local"),
        ("MPOL_DEFAULT", [], [], "default"),
        ("MPOL_LOCAL", [], [], "local"),
        ("MPOL_BIND", [], [700], "errno 22"),
        ("MPOL_BIND", ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"], [0], "errno 22"),
    ],
)
def test_the_kernel_shows_what_was_set(mode: str, flags: "list[str]", nodes: "list[int]", shown: str) -> None:
    def act() -> str:
        set_policy(mode, flags, nodes)
        return policy()

    assert in_child(act) == shown
