"""The table from the spec's resources to cgroup v2 files."""

import math
from typing import Any

import pytest

from pyruntime.cgroup import values
from pyruntime.config.resources import Resources
from pyruntime.errors import ConfigError

ALL = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma")


def written(resources: "dict[str, Any]", controllers: "tuple[str, ...]" = ALL) -> "list[tuple[str, str]]":
    return [(w.file, w.value) for w in values.writes(Resources.read(resources, "linux.resources"), controllers)]


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(0, 1), (1, 1), (2, 1), (10, 4), (102, 17), (512, 59), (1024, 100), (2048, 174), (4096, 303), (10240, 639)]
    + [(102400, 4429), (262143, 10000), (262144, 10000), (10**18, 10000)],
)
def test_cpu_weight(shares: int, weight: int) -> None:
    assert values.cpu_weight(shares) == weight


def test_cpu_weight_agrees_with_exact_logarithms() -> None:
    for shares in range(3, 262144, 97):
        log = math.log2(shares)
        exact = 10 ** ((log * log + 125 * log) / 612 - 7 / 34)
        assert values.cpu_weight(shares) - exact == pytest.approx(0.5, abs=0.5000001)


@pytest.mark.parametrize(("weight", "expected"), [(10, 1), (100, 910), (500, 4950), (1000, 10000), (1, 1)])
def test_io_weight(weight: int, expected: int) -> None:
    assert values.io_weight(weight) == expected


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, []),
        ({"memory": {}, "cpu": {"shares": 0, "quota": 0, "period": 0}, "blockIO": {"weight": 0}}, []),
        ({"pids": {}}, []),
        ({"pids": {"limit": 0}}, [("pids.max", "1")]),
        ({"pids": {"limit": -1}}, [("pids.max", "max")]),
        ({"pids": {"limit": 7}}, [("pids.max", "7")]),
        ({"memory": {"limit": 100}}, [("memory.max", "100")]),
        ({"memory": {"limit": -1}}, [("memory.swap.max", "max"), ("memory.max", "max")]),
        ({"memory": {"limit": 100, "swap": 150}}, [("memory.swap.max", "50"), ("memory.max", "100")]),
        ({"memory": {"limit": 100, "swap": 100}}, [("memory.swap.max", "0"), ("memory.max", "100")]),
        ({"memory": {"limit": 100, "swap": -1}}, [("memory.swap.max", "max"), ("memory.max", "100")]),
        ({"memory": {"reservation": 5}}, [("memory.low", "5")]),
        ({"memory": {"kernel": 5, "kernelTCP": 5, "swappiness": 3, "disableOOMKiller": True}}, []),
        ({"cpu": {"shares": 512}}, [("cpu.weight", "59")]),
        ({"cpu": {"shares": 512, "idle": 1}}, [("cpu.idle", "1")]),
        ({"cpu": {"quota": 5000}}, [("cpu.max", "5000 100000")]),
        ({"cpu": {"quota": -1, "period": 1000}}, [("cpu.max", "max 1000")]),
        ({"cpu": {"period": 1000}}, [("cpu.max", "max 1000")]),
        ({"cpu": {"quota": 9, "burst": 3, "period": 7}}, [("cpu.max.burst", "3"), ("cpu.max", "9 7")]),
        ({"cpu": {"realtimeRuntime": 5, "realtimePeriod": 5}}, []),
        ({"cpu": {"cpus": "0-1", "mems": "0"}}, [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")]),
        ({"blockIO": {"weight": 100}}, [("io.bfq.weight", "100")]),
        ({"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 10}]}}, [("io.bfq.weight", "8:0 10")]),
        (
            {"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 5}, {"major": 8, "minor": 1}]}},
            [("io.max", "8:0 rbps=5"), ("io.max", "8:1 rbps=max")],
        ),
        ({"blockIO": {"throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 5}]}}, [("io.max", "8:0 wbps=5")]),
        ({"blockIO": {"throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 5}]}}, [("io.max", "8:0 riops=5")]),
        ({"blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 5}]}}, [("io.max", "8:0 wiops=5")]),
        (
            {"hugepageLimits": [{"pageSize": "2MB", "limit": 9}]},
            [("hugetlb.2MB.max", "9"), ("hugetlb.2MB.rsvd.max", "9")],
        ),
        ({"rdma": {"mlx": {"hcaHandles": 1, "hcaObjects": 2}}}, [("rdma.max", "mlx hca_handle=1 hca_object=2")]),
        ({"rdma": {"mlx": {"hcaObjects": 2}, "none": {}}}, [("rdma.max", "mlx hca_object=2")]),
        ({"unified": {"io.max": "8:0 rbps=1\n8:16 rbps=2\n"}}, [("io.max", "8:0 rbps=1"), ("io.max", "8:16 rbps=2")]),
        ({"unified": {"cgroup.max.depth": "3"}}, [("cgroup.max.depth", "3")]),
        ({"network": {"classID": 5}}, []),
    ],
)
def test_writes(resources: "dict[str, Any]", expected: "list[tuple[str, str]]") -> None:
    assert written(resources) == expected


def test_order() -> None:
    resources = {
        "unified": {"memory.max": "5"},
        "rdma": {"mlx": {"hcaHandles": 1}},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 1}],
        "cpu": {"cpus": "0", "shares": 1024},
        "blockIO": {"weight": 10},
        "memory": {"limit": 9},
        "pids": {"limit": 3},
    }
    files = ["pids.max", "memory.max", "io.bfq.weight", "cpu.weight", "cpuset.cpus", "hugetlb.2MB.max"]
    assert [file for file, _ in written(resources)] == [*files, "hugetlb.2MB.rsvd.max", "rdma.max", "memory.max"]


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ({"memory": {"swap": 5}}, "linux.resources.memory.swap: unable to set swap limit without memory limit"),
        ({"memory": {"limit": -1, "swap": 5}}, "unable to set swap limit without memory limit"),
        ({"memory": {"limit": 9, "swap": 5}}, "memory.swap: memory+swap limit should be >= memory limit"),
        ({"memory": {"limit": -2}}, "linux.resources.memory.limit: -2 is negative"),
        ({"unified": {"a/b.c": "1"}}, "no slashes"),
        ({"unified": {"plain": "1"}}, "expected CONTROLLER.PARAMETER"),
        ({"unified": {"cgroup.kill": "1"}}, "linux.resources.unified.cgroup.kill: "),
        ({"unified": {"misc.max": "a 1"}}, "linux.resources.unified.misc.max: the misc controller is not available"),
    ],
)
def test_refused(resources: "dict[str, Any]", text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        written(resources)
    assert text in caught.value.text


@pytest.mark.parametrize(
    ("resources", "path", "controller"),
    [
        ({"memory": {"limit": 5}}, "memory.limit", "memory"),
        ({"memory": {"reservation": 5}}, "memory.reservation", "memory"),
        ({"pids": {"limit": 5}}, "pids.limit", "pids"),
        ({"cpu": {"shares": 5}}, "cpu.shares", "cpu"),
        ({"cpu": {"cpus": "0"}}, "cpu.cpus", "cpuset"),
        ({"blockIO": {"weight": 50}}, "blockIO.weight", "io"),
    ],
)
def test_a_limit_without_its_controller(resources: "dict[str, Any]", path: str, controller: str) -> None:
    with pytest.raises(ConfigError) as caught:
        written(resources, ("hugetlb",))
    start = f"linux.resources.{path}: the {controller} controller is not available in this cgroup tree (has: hugetlb);"
    assert caught.value.text.startswith(start)


@pytest.mark.parametrize(
    "resources",
    [{"memory": {"limit": -1}}, {"pids": {"limit": -1}}, {"cpu": {"quota": -1}}, {"cpu": {"idle": 0, "burst": 0}}],
)
def test_no_limit_needs_no_controller(resources: "dict[str, Any]") -> None:
    assert written(resources, ()) == []


@pytest.mark.parametrize(
    "idle", [{"cpu": {"idle": 1, "shares": 5}}, {"cpu": {"shares": 5}, "unified": {"cpu.idle": "1"}}]
)
def test_an_idle_group_has_no_weight(idle: "dict[str, Any]") -> None:
    """The kernel refuses one, and to systemd one says that the group is not idle."""
    resources = {**idle, "unified": {**idle.get("unified", {}), "cpu.weight": "8"}}
    assert written(resources) == [("cpu.idle", "1")]
    told = values.ignored(Resources.read(resources, "linux.resources"))
    assert [path for path, _ in told] == ["linux.resources.cpu.shares", "linux.resources.unified.cpu.weight"]


def test_what_is_ignored_is_told() -> None:
    resources = {
        "memory": {"kernel": 5, "kernelTCP": -1, "swappiness": 0, "disableOOMKiller": False},
        "cpu": {"realtimeRuntime": 5},
        "network": {"classID": 1},
        "blockIO": {"leafWeight": 10},
    }
    told = [path for path, _ in values.ignored(Resources.read(resources, "linux.resources"))]
    assert told == [
        "linux.resources.memory.kernel",
        "linux.resources.cpu.realtimeRuntime",
        "linux.resources.blockIO.leafWeight",
        "linux.resources.network.classID",
    ]
