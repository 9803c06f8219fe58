"""The numbers of `events`, and its waiting."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyruntime.cgroup import stats
from pyruntime.cgroup.oom import Watch

Plain = Callable[..., str]
SHAPE = {
    "cpu": {"usage", "throttling"},
    "cpuset": {
        "cpus", "cpu_exclusive", "mems", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page",
        "memory_spread_slab", "memory_pressure", "sched_load_balance", "sched_relax_domain_level",
    },
    "memory": {"cache", "usage", "swap", "kernel", "kernelTCP", "raw"},
    "pids": {"current", "limit"},
    "blkio": {
        "ioServiceBytesRecursive", "ioServicedRecursive", "ioQueueRecursive", "ioServiceTimeRecursive",
        "ioWaitTimeRecursive", "ioMergedRecursive", "ioTimeRecursive", "sectorsRecursive",
    },
    "hugetlb": set(),
    "intel_rdt": set(),
}  # fmt: skip


def leaves(value: Any) -> "list[Any]":
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in leaves(each)]
    return [value]


def test_a_cgroup_without_controllers_has_zeros(plain: Plain) -> None:
    found = stats.stats(plain(cgroup__procs="5\n6\n"))
    assert {name: set(values) for name, values in found.items() if name in SHAPE} == SHAPE
    assert found["network_interfaces"] is None
    assert found["pids"] == {"current": 2, "limit": 0}
    assert all(leaf in (0, []) for name in ("cpu", "memory", "blkio") for leaf in leaves(found[name]))


def test_numbers_from_the_files(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    psi = "some avg10=1.50 avg60=0.00 avg300=0.25 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
    place = plain(
        cpu__stat="usage_usec 7\nuser_usec 4\nsystem_usec 3\nnr_periods 9\nnr_throttled 2\nthrottled_usec 6\n",
        cpu__pressure=psi,
        memory__stat="anon 1\nfile 2\n",
        memory__current="100\n",
        memory__max="max\n",
        memory__peak="150\n",
        memory__events="low 0\nmax 4\noom_kill 1\n",
        memory__swap__current="10\n",
        memory__swap__max="20\n",
        pids__current="3\n",
        pids__max="max\n",
        cpuset__cpus__effective="0-2,5\n",
        cpuset__mems__effective="0\n",
        io__stat="8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:16\n",
        hugetlb__2MB__current="4096\n",
        hugetlb__2MB__rsvd__current="8192\n",
        hugetlb__2MB__events="max 3\n",
    )
    monkeypatch.setattr(stats, "page_sizes", lambda: ["1GB", "2MB"])
    found = stats.stats(place)
    assert found["cpu"]["usage"]["total"] == 7000
    assert (found["cpu"]["usage"]["user"], found["cpu"]["usage"]["kernel"]) == (4000, 3000)
    assert found["cpu"]["throttling"] == {"periods": 9, "throttledPeriods": 2, "throttledTime": 6000}
    assert found["cpu"]["psi"]["some"] == {"avg10": 1.5, "avg60": 0.0, "avg300": 0.25, "total": 77}
    assert found["cpu"]["psi"]["full"]["total"] == 5
    assert "psi" not in found["memory"]
    assert found["memory"]["usage"] == {"limit": 18446744073709551615, "usage": 100, "max": 150, "failcnt": 4}
    assert found["memory"]["swap"]["usage"] == 110
    assert found["memory"]["swap"]["limit"] == 18446744073709551615
    assert found["memory"]["raw"] == {"anon": 1, "file": 2}
    assert found["memory"]["cache"] == 2
    assert found["pids"] == {"current": 3, "limit": 0}
    assert (found["cpuset"]["cpus"], found["cpuset"]["mems"]) == ([0, 1, 2, 5], [0])
    assert found["blkio"]["ioServiceBytesRecursive"] == [
        {"major": 8, "minor": 0, "op": "Read", "value": 1},
        {"major": 8, "minor": 0, "op": "Write", "value": 2},
    ]
    assert [entry["value"] for entry in found["blkio"]["ioServicedRecursive"]] == [3, 4]
    assert found["hugetlb"] == {"2MB": {"usage": 8192, "max": 0, "failcnt": 3}}
    json.dumps(found)


@pytest.mark.parametrize(("text", "expected"), [("", []), ("\n", []), ("0", [0]), ("1-3,7\n", [1, 2, 3, 7])])
def test_numbers(text: str, expected: "list[int]") -> None:
    assert stats.numbers(text) == expected


@pytest.mark.parametrize(("kibibytes", "name"), [(64, "64KB"), (2048, "2MB"), (32768, "32MB"), (1048576, "1GB")])
def test_page_size(kibibytes: int, name: str) -> None:
    assert stats.page_size(kibibytes) == name


def test_watch_counts_kills_and_notices_the_end(plain: Plain) -> None:
    place = plain(memory__events="oom_kill 2\n", cgroup__events="populated 1\nfrozen 0\n")
    watch = Watch(place)
    assert watch.wait(0) == []
    Path(place, "memory.events").write_text("oom_kill 4\n")
    assert watch.wait(0) == ["oom", "oom"]
    assert watch.wait(0.01) == []
    Path(place, "memory.events").write_text("oom_kill 5\n")
    Path(place, "cgroup.events").write_text("populated 0\nfrozen 0\n")
    assert watch.wait(5) == ["oom", "empty"]
    watch.close()


def test_watch_of_nothing_is_over(tmp_path: Path) -> None:
    watch = Watch(f"{tmp_path}/gone")
    assert watch.wait(5) == ["empty"]
    watch.close()


@pytest.mark.root
def test_real(cgroup: str, sleeper: "Callable[[str], int]") -> None:
    pid = sleeper(cgroup)
    found = stats.stats(cgroup)
    assert found["pids"]["current"] == 1
    assert found["cpu"]["usage"]["total"] >= 0
    watch = Watch(cgroup)
    assert watch.wait(0.01) == []
    threading.Timer(0.1, os.kill, (pid, 9)).start()
    start = time.monotonic()
    assert watch.wait(20) == ["empty"]
    assert time.monotonic() - start < 10
    watch.close()
