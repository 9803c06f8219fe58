"""Limits as properties of a unit: the whole table."""

from typing import Any

import pytest

from pyruntime.cgroup.systemd import properties
from pyruntime.cgroup.systemd.properties import INFINITY
from pyruntime.cgroup.values import Write, writes
from pyruntime.config.resources import Resources
from pyruntime.errors import ConfigError

ALL = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma")
NEW = 257


def limits(resources: "dict[str, Any]") -> "list[Write]":
    return writes(Resources.read(resources, "linux.resources"), ALL)


def found(resources: "dict[str, Any]", version: int = NEW) -> "dict[str, Any]":
    return {name: value for name, (_, value) in properties.of_writes(limits(resources), version)}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, {}),
        ({"memory": {"limit": 1 << 20}}, {"MemoryMax": 1 << 20}),
        ({"memory": {"limit": -1}}, {"MemorySwapMax": INFINITY, "MemoryMax": INFINITY}),
        ({"memory": {"limit": 100, "swap": 150}}, {"MemorySwapMax": 50, "MemoryMax": 100}),
        ({"memory": {"limit": 100, "swap": 100}}, {"MemorySwapMax": 0, "MemoryMax": 100}),
        ({"memory": {"reservation": 7}}, {"MemoryLow": 7}),
        ({"pids": {"limit": 20}}, {"TasksMax": 20}),
        ({"pids": {"limit": 0}}, {"TasksMax": 1}),
        ({"pids": {"limit": -1}}, {"TasksMax": INFINITY}),
        ({"cpu": {"shares": 1024}}, {"CPUWeight": 100}),
        ({"cpu": {"idle": 1, "shares": 1024}}, {"CPUWeight": 0}),
        ({"cpu": {"idle": 0}}, {"CPUWeight": INFINITY}),
        ({"cpu": {"idle": 0, "shares": 1024}}, {"CPUWeight": 100}),
        ({"cpu": {"quota": 50000}}, {"CPUQuotaPeriodUSec": 100000, "CPUQuotaPerSecUSec": 500000}),
        ({"cpu": {"quota": -1}}, {"CPUQuotaPeriodUSec": 100000, "CPUQuotaPerSecUSec": INFINITY}),
        ({"cpu": {"period": 20000}}, {"CPUQuotaPeriodUSec": 20000, "CPUQuotaPerSecUSec": INFINITY}),
        ({"cpu": {"quota": 12345}}, {"CPUQuotaPeriodUSec": 100000, "CPUQuotaPerSecUSec": 130000}),
        ({"cpu": {"quota": 4000, "period": 2000}}, {"CPUQuotaPeriodUSec": 2000, "CPUQuotaPerSecUSec": 2000000}),
        ({"cpu": {"cpus": "0-2,9", "mems": "0"}}, {"AllowedCPUs": b"\x07\x02", "AllowedMemoryNodes": b"\x01"}),
        ({"blockIO": {"weight": 100}}, {"IOWeight": 910}),
        ({"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 100}]}}, {}),
        ({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}]}}, {}),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}, {}),
        ({"unified": {"memory.high": "5", "memory.min": "6"}}, {"MemoryHigh": 5, "MemoryMin": 6}),
        ({"unified": {"memory.max": "max"}}, {"MemoryMax": INFINITY}),
        ({"memory": {"limit": 9}, "unified": {"memory.max": "5\n"}}, {"MemoryMax": 5}),
        ({"unified": {"cpu.max": "max 50000"}}, {"CPUQuotaPeriodUSec": 50000, "CPUQuotaPerSecUSec": INFINITY}),
        ({"unified": {"cpu.max": "20000"}}, {"CPUQuotaPeriodUSec": 100000, "CPUQuotaPerSecUSec": 200000}),
        ({"unified": {"cpu.idle": "1", "cpu.weight": "5"}}, {"CPUWeight": 0}),
        ({"unified": {"cpu.weight": "5"}}, {"CPUWeight": 5}),
        ({"unified": {"io.weight": "default 50"}}, {"IOWeight": 50}),
        ({"unified": {"io.weight": "8:0 50"}}, {}),
        ({"unified": {"cpuset.cpus": "1"}}, {"AllowedCPUs": b"\x02"}),
        ({"unified": {"pids.max": "0"}}, {"TasksMax": 1}),
        ({"unified": {"memory.oom.group": "1"}}, {}),
    ],
)
def test_the_table(resources: "dict[str, Any]", expected: "dict[str, Any]") -> None:
    assert found(resources) == expected


def test_an_older_systemd_gets_what_it_knows() -> None:
    resources = {"cpu": {"quota": 50000, "cpus": "1", "idle": 1, "shares": 1024}}
    assert found(resources, 241) == {"CPUQuotaPerSecUSec": 500000}
    assert set(found(resources, 251)) == {"CPUQuotaPeriodUSec", "CPUQuotaPerSecUSec", "AllowedCPUs"}
    assert found(resources, 252)["CPUWeight"] == 0


@pytest.mark.parametrize(
    "unified",
    [{"memory.max": "much"}, {"cpu.max": "5 x"}, {"cpu.max": "5 0"}, {"cpuset.cpus": "3-1"}, {"pids.max": "-1"}],
)
def test_a_value_that_is_none(unified: "dict[str, str]") -> None:
    with pytest.raises(ConfigError, match=r"^linux\.resources\.unified\."):
        found({"unified": unified})


@pytest.mark.parametrize(
    ("quota", "period", "value"),
    [
        (50000, 100000, "50000 100000"),
        (12345, 100000, "13000 100000"),
        (1001, 3000, "1020 3000"),
        (-1, 5000, "max 5000"),
    ],
)
def test_the_file_has_the_rounded_quota_too(quota: int, period: int, value: str) -> None:
    asked = limits({"cpu": {"quota": quota, "period": period, "shares": 2}})
    assert [w.value for w in properties.rounded(asked)] == ["1", value]


def test_oom_policy() -> None:
    asked = limits({"unified": {"memory.oom.group": "1"}})
    assert properties.oom_policy(asked, NEW) == [("OOMPolicy", ("s", "kill"))]
    assert properties.oom_policy(asked, 252) == []
    assert properties.oom_policy(limits({"unified": {"memory.oom.group": "0"}}), NEW)[0][1] == ("s", "continue")
    assert properties.oom_policy(limits({}), NEW) == []


def test_back() -> None:
    old = properties.of_writes(limits({"memory": {"limit": 5}}), NEW)
    new = properties.of_writes(limits({"memory": {"limit": 6, "reservation": 2}, "cpu": {"cpus": "1"}}), NEW)
    assert dict(properties.back(old, new)) == {
        "MemoryMax": ("t", 5), "MemoryLow": ("t", 0), "AllowedCPUs": ("ay", b""),
    }  # fmt: skip


def test_every_property_can_be_taken_back() -> None:
    everything = limits(
        {
            "memory": {"limit": 5, "swap": 6, "reservation": 2},
            "cpu": {"quota": 1000, "shares": 2, "cpus": "1", "mems": "0"},
            "pids": {"limit": 3},
            "blockIO": {"weight": 100},
            "unified": {"memory.high": "5", "memory.min": "6"},
        }
    )
    changed = properties.of_writes(everything, NEW)
    assert len(properties.back([], changed)) == len(changed) == 12


@pytest.mark.parametrize(
    ("text", "expected"), [("0", b"\1"), ("7,8", b"\x80\x01"), ("0-15", b"\xff\xff"), ("1, 3", b"\x0a")]
)
def test_mask(text: str, expected: bytes) -> None:
    assert properties.mask(text, "here") == expected


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1-2-3", "65536", "999999999", "1,,2"])
def test_no_mask(text: str) -> None:
    with pytest.raises(ConfigError, match="^here: "):
        properties.mask(text, "here")


def test_shown() -> None:
    asked = [("A", ("t", INFINITY)), ("B", ("t", 5)), ("C", ("b", True)), ("D", ("ay", b"\x05")), ("E", ("au", [1, 2]))]
    assert properties.shown(asked) == "A=infinity, B=5, C=yes, D=0,2, E=1 2"


def test_a_unit_has_its_process_and_all_its_controllers() -> None:
    asked = dict(properties.of_unit("x-1.scope", "a.slice", 77))
    assert asked["PIDs"] == ("au", [77])
    assert asked["Slice"] == ("s", "a.slice")
    assert asked["Delegate"] == ("b", True)
    assert asked["DefaultDependencies"] == ("b", False)
