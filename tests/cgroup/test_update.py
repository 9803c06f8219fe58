"""Merging new resources into old ones, and giving back what was when a write fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyruntime.cgroup import fs
from pyruntime.cgroup.files import CgroupError, write
from pyruntime.cgroup.update import check_memory, former, merge, update
from pyruntime.cgroup.values import Write
from pyruntime.errors import ConfigError

Plain = Callable[..., str]
THROTTLED = "8:0 rbps=1 wbps=max riops=max wiops=max"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"memory": {"limit": 1}}, {}, {"memory": {"limit": 1}}),
        ({"memory": {"limit": 1, "swap": 2}}, {"memory": {"limit": 3}}, {"memory": {"limit": 3, "swap": 2}}),
        ({"memory": {"limit": 1, "swap": 2}}, {"memory": {"limit": -1}}, {"memory": {"limit": -1, "swap": -1}}),
        ({}, {"memory": {"limit": -1, "swap": 5}}, {"memory": {"limit": -1, "swap": 5}}),
        ({"cpu": {"quota": 1, "period": 2}}, {"cpu": {"quota": 3}}, {"cpu": {"quota": 3, "period": 2}}),
        ({"cpu": {"quota": 1, "period": 2}}, {"cpu": {"period": 3}}, {"cpu": {"quota": 1, "period": 3}}),
        (
            {"cpu": {"cpus": "0", "mems": "0", "idle": 0, "burst": 1, "shares": 5}, "pids": {"limit": 3}},
            {"memory": {"limit": 1}},
            {"cpu": {"shares": 5}, "memory": {"limit": 1}},
        ),
        ({"cpu": {"cpus": "0"}}, {"cpu": {"cpus": "1"}}, {"cpu": {"cpus": "1"}}),
        ({"cpu": {"shares": 5}}, {"cpu": {"idle": 1}}, {"cpu": {"idle": 1}}),
        ({"cpu": {"shares": 5}}, {"cpu": {"idle": 0, "shares": None}}, {"cpu": {"shares": 5, "idle": 0}}),
        ({"unified": {"a.b": "1"}}, {"memory": {"limit": 1}}, {"memory": {"limit": 1}}),
        ({"unified": {"a.b": "1"}}, {"unified": {"c.d": "2"}}, {"unified": {"c.d": "2"}}),
        (
            {"hugepageLimits": [{"pageSize": "2MB", "limit": 1}, {"pageSize": "1GB", "limit": 2}]},
            {"hugepageLimits": [{"pageSize": "2MB", "limit": 3}]},
            {"hugepageLimits": [{"pageSize": "2MB", "limit": 3}, {"pageSize": "1GB", "limit": 2}]},
        ),
        (
            {"blockIO": {"weight": 5, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}]}},
            {"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 16, "rate": 2}]}},
            {
                "blockIO": {
                    "weight": 5,
                    "throttleReadBpsDevice": [
                        {"major": 8, "minor": 0, "rate": 1},
                        {"major": 8, "minor": 16, "rate": 2},
                    ],
                }
            },
        ),
        ({"devices": [{"allow": False}]}, {"devices": []}, {"devices": [{"allow": False}]}),
        ({"memory": {"limit": 5, "checkBeforeUpdate": True}}, {"memory": {"limit": 4}}, {"memory": {"limit": 4}}),
        ({}, {"memory": {"limit": 4, "checkBeforeUpdate": True}}, {"memory": {"limit": 4, "checkBeforeUpdate": True}}),
    ],
)
def test_merge(old: "dict[str, Any]", new: "dict[str, Any]", expected: "dict[str, Any]") -> None:
    before = repr((old, new))
    assert merge(old, new) == expected
    assert repr((old, new)) == before


def test_devices_are_not_updated() -> None:
    with pytest.raises(ConfigError, match=r"^devices: device rules cannot be changed by update"):
        merge({}, {"devices": [{"allow": True}]})


def test_check_memory(plain: Plain) -> None:
    place = plain(memory__current="100\n")
    check_memory(place, 101, None)
    check_memory(place, -1, -1)
    check_memory(place, None, None)
    with pytest.raises(ConfigError, match="rejecting memory limit 100 <= usage 100"):
        check_memory(place, 100, 200)
    with pytest.raises(ConfigError, match=r"rejecting memory\+swap limit 90 <= usage 100"):
        check_memory(place, 80, 90)
    check_memory(place + "/gone", 1, 1)


@pytest.mark.parametrize(
    ("file", "text", "value", "back"),
    [
        ("memory.max", "max\n", "5", "max"),
        ("cpuset.cpus", "\n", "0", "\n"),
        ("cpu.max", "max 100000\n", "5 6", "max 100000"),
        (
            "io.max",
            f"{THROTTLED}\n",
            "8:0 wbps=5",
            THROTTLED,
        ),
        ("io.max", f"{THROTTLED}\n", "8:16 wbps=5 riops=1", "8:16 wbps=max riops=max"),
        ("io.max", "", "8:16 wbps=5", "8:16 wbps=max"),
        ("io.weight", "default 100\n8:0 50\n", "910", "default 100"),
        ("io.weight", "default 100\n8:0 50\n", "8:0 910", "8:0 50"),
        ("io.weight", "default 100\n", "8:0 910", "8:0 default"),
        ("rdma.max", "mlx hca_handle=2 hca_object=max\n", "mlx hca_handle=1", "mlx hca_handle=2 hca_object=max"),
    ],
)
def test_former(tmp_path: Path, file: str, text: str, value: str, back: str) -> None:
    (tmp_path / file).write_text(text)
    assert former(str(tmp_path), Write("x", file, value)) == [(file, back)]


def test_former_of_what_is_missing_or_has_a_stand_in(plain: Plain) -> None:
    place = plain(io__weight="default 70\n")
    assert former(place, Write("x", "memory.max", "1")) == []
    stand_in = Write("x", "io.weight", "1")
    assert former(place, Write("x", "io.bfq.weight", "1", instead=stand_in)) == [("io.weight", "default 70")]


def test_idle_forgets_the_weight(plain: Plain) -> None:
    place = plain(cpu__idle="0\n", cpu__weight="59\n")
    assert former(place, Write("x", "cpu.idle", "1")) == [("cpu.weight", "59"), ("cpu.idle", "0")]


def test_update(plain: Plain) -> None:
    place = plain(memory__max="max\n", pids__max="7\n")
    update(place, [Write("a", "memory.max", "5"), Write("b", "pids.max", "9")])
    assert [Path(place, name).read_text() for name in ("memory.max", "pids.max")] == ["5", "9"]


def test_a_failing_update_changes_nothing(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    place = plain(memory__max="max\n", pids__max="7\n", cpu__max="max 100000\n", cpuset__cpus="\n")

    def refuse(directory: str, file: str, value: str) -> None:
        if file == "cpuset.cpus":
            raise OSError(34, "range")
        write(directory, file, value)

    monkeypatch.setattr(fs, "write", refuse)
    with pytest.raises(CgroupError, match=r"^d: this host has CPUs .*numerical result out of range"):
        update(
            place,
            [
                Write("a", "memory.max", "5"),
                Write("b", "pids.max", "9"),
                Write("c", "cpu.max", "1 2"),
                Write("d", "cpuset.cpus", "99"),
            ],
        )
    now = {name: Path(place, name).read_text() for name in ("memory.max", "pids.max", "cpu.max")}
    assert now == {"memory.max": "max", "pids.max": "7", "cpu.max": "max 100000"}


@pytest.mark.root
def test_real_roll_back(cgroup: str) -> None:
    good, bad = Write("a", "cgroup.max.depth", "4"), Write("b", "cgroup.max.descendants", "many")
    with pytest.raises(CgroupError, match=r"^b: "):
        update(cgroup, [good, bad])
    assert Path(cgroup, "cgroup.max.depth").read_text() == "max\n"
    update(cgroup, [good])
    assert Path(cgroup, "cgroup.max.depth").read_text() == "4\n"
