"""`linux.memoryPolicy`, as numa_maps shows it: of the container's program, its children, and what `exec` runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, new_id

SHOW = "head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2"


@pytest.fixture(autouse=True)
def node_0() -> None:
    if not Path("/sys/devices/system/node/node0").is_dir():
        pytest.skip("needs a kernel with NUMA")


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        ({"mode": "MPOL_INTERLEAVE", "nodes": "0"}, "interleave:0"),
        ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, "bind=static:0"),
        ({"mode": "MPOL_DEFAULT"}, "default"),
    ],
)
@pytest.mark.parametrize("user", [False, True], ids=["root", "user namespace"])
def test_the_program_has_it(rt: Runtime, bundle: Bundle, policy: "dict[str, object]", shown: str, user: bool) -> None:
    bundle.sh(SHOW).linux["memoryPolicy"] = policy
    if user:
        bundle.user_namespace()
    result = rt.run(bundle)
    assert (result.rc, result.out) == (0, f"{shown}\n")


def test_exec_has_it_too(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    id, bundle = new_id(), make("sleep", "100")
    bundle.linux["memoryPolicy"] = {"mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}
    assert rt.create(bundle, id=id).rc == 0
    try:
        assert rt("start", id).rc == 0
        result = rt("exec", id, "sh", "-c", SHOW)
        assert (result.rc, result.out) == (0, "prefer=relative:0\n")
    finally:
        rt("delete", "--force", id)


def test_a_node_that_is_not_there_stops_the_start(rt: Runtime, bundle: Bundle) -> None:
    bundle.sh("echo RAN").linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "900"}
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert "linux.memoryPolicy: set_mempolicy MPOL_BIND: invalid argument; no such node here" in result.err
