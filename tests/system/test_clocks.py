"""Time namespaces: the clocks of a container are ahead of the host's, or behind them, by what was asked for."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Bundle, Runtime, new_id

CLOCKS = {"monotonic": time.CLOCK_MONOTONIC, "boottime": time.CLOCK_BOOTTIME}
TELL = "import time; print(*(time.clock_gettime_ns(clock) for clock in (time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME)))"
SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def offsets_there() -> None:
    if not Path("/proc/self/timens_offsets").exists():
        pytest.skip("needs a kernel with time namespaces")


def now() -> "list[int]":
    return [time.clock_gettime_ns(clock) for clock in CLOCKS.values()]


def shifted(bundle: Bundle, offsets: "dict[str, Any]", user: bool = False) -> Bundle:
    bundle.linux["namespaces"].append({"type": "time"})
    bundle.linux["timeOffsets"] = offsets
    if user:
        bundle.user_namespace()
    return bundle


def check(text: str, before: "list[int]", after: "list[int]", offsets: "dict[str, Any]") -> None:
    for number, clock in enumerate(CLOCKS):
        wanted = offsets.get(clock, {})
        shift = wanted.get("secs", 0) * SECOND + wanted.get("nanosecs", 0)
        assert before[number] <= int(text.split()[number]) - shift <= after[number], clock


@pytest.mark.parametrize("user", [False, True], ids=["root", "user namespace"])
@pytest.mark.parametrize(
    "offsets",
    [
        {"monotonic": {"secs": 1_000_000, "nanosecs": 5}, "boottime": {"secs": 2_000_000, "nanosecs": 999_999_999}},
        {"boottime": {"secs": 86400}},
        {"monotonic": {"secs": -1, "nanosecs": 500_000_000}},
        {},
    ],
    ids=["both", "one", "behind", "none"],
)
def test_what_the_program_sees(rt: Runtime, bundle: Bundle, offsets: "dict[str, Any]", user: bool) -> None:
    shifted(bundle, offsets, user).python(TELL)
    before = now()
    result = rt.run(bundle)
    assert result.rc == 0, result
    check(result.out, before, now(), offsets)


def test_what_exec_sees(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    name, offsets = new_id(), {"monotonic": {"secs": 4000}, "boottime": {"secs": 8000}}
    bundle = shifted(make(), offsets).python("import time; time.sleep(60)")
    assert rt.run(bundle, "--detach", id=name).rc == 0
    try:
        before = now()
        result = rt("exec", name, "/usr/bin/python3", "-IBS", "-c", TELL)
        assert result.rc == 0, result
        check(result.out, before, now(), offsets)
        inside, outside = (os.readlink(f"/proc/{pid}/ns/time") for pid in (rt.state(name)["pid"], "self"))
        assert inside != outside
    finally:
        rt("delete", "--force", name)


@pytest.mark.parametrize("secs", [-1_000_000_000, 2**62])
@pytest.mark.parametrize("clock", CLOCKS)
def test_clocks_that_can_not_be(rt: Runtime, bundle: Bundle, clock: str, secs: int) -> None:
    """Below zero, or beyond what the kernel counts: no container, whatever its clocks."""
    result = rt.run(shifted(bundle, {clock: {"secs": secs}}).sh("echo started"))
    assert (result.rc, result.out) == (1, "")
    assert f"linux.timeOffsets.{clock}: {secs} s: numerical result out of range" in result.err
