"""What the controllers of cgroup v2 do to a container: seen by what happens to it, not only by what the files say."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.errors.classifiers import OTHER, kind
from tests.system import leaks
from tests.system.harness import Bundle, Runtime, new_id, wait_until

MIB = 1 << 20
Limited = Callable[..., str]


@pytest.fixture(autouse=True)
def controllers() -> None:
    """A guest that lacks one is a fault of the guest's, so nothing is skipped for it."""
    has = Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()
    assert {"cpu", "cpuset", "io", "memory", "pids", "hugetlb"} <= set(has)


@pytest.fixture
def limited(rt: Runtime, make: "Callable[..., Bundle]") -> "Iterator[Limited]":
    """A function that starts a container that sleeps under the given `resources`; its id."""
    started: "list[str]" = []

    def start(**resources: "Any") -> str:
        bundle = make("sleep", "100000")
        bundle.linux["resources"].update(resources)
        started.append(new_id())
        result = rt.run(bundle, "--detach", id=started[-1], timeout=60)
        assert result.rc == 0, result
        return started[-1]

    yield start
    for id in started:
        rt("kill", id, "KILL")
        wait_until(lambda id=id: ended(rt, id), f"{id} has ended", 60)
        rt("delete", "--force", id)


def ended(rt: Runtime, id: str) -> bool:
    """Whether a container's init is gone; it waits until we have reaped those of `exec --detach`, our children."""
    leaks.reap()
    return rt.status(id) in ("stopped", "")


def cgroup(id: str) -> Path:
    """The directory of a container's cgroup."""
    return Path(next(path for path in leaks.cgroups() if os.path.basename(path) == id))


def numbers(file: Path) -> "dict[str, int]":
    """A file of `name number` lines."""
    return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}


@pytest.mark.parametrize(
    ("resources", "file", "value"),
    [
        ({"memory": {"limit": 64 * MIB}}, "memory.max", f"{64 * MIB}"),
        ({"memory": {"limit": 64 * MIB, "swap": 96 * MIB}}, "memory.swap.max", f"{32 * MIB}"),
        ({"memory": {"reservation": 16 * MIB}}, "memory.low", f"{16 * MIB}"),
        ({"pids": {"limit": 20}}, "pids.max", "20"),
        ({"cpu": {"quota": 50000, "period": 200000}}, "cpu.max", "50000 200000"),
        ({"cpu": {"shares": 1024}}, "cpu.weight", "100"),
        ({"cpu": {"cpus": "1"}}, "cpuset.cpus", "1"),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}, "hugetlb.2MB.max", f"{4 * MIB}"),
        ({"unified": {"memory.high": "50331648"}}, "memory.high", "50331648"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_limit_is_written(limited: Limited, resources: "dict[str, Any]", file: str, value: str) -> None:
    assert (cgroup(limited(**resources)) / file).read_text().strip() == value


def test_io_of_the_disk(limited: Limited) -> None:
    number = os.stat("/dev/vda").st_rdev
    device = {"major": os.major(number), "minor": os.minor(number), "rate": MIB}
    id = limited(blockIO={"throttleReadBpsDevice": [device], "throttleWriteIOPSDevice": [{**device, "rate": 50}]})
    found = (cgroup(id) / "io.max").read_text().split()
    assert found[0] == f"{device['major']}:{device['minor']}"
    assert {"rbps=1048576", "wbps=max", "riops=max", "wiops=50"} == set(found[1:])


def test_updated(rt: Runtime, limited: Limited) -> None:
    id = limited(memory={"limit": 64 * MIB}, pids={"limit": 20})
    flags = ["--memory", str(96 * MIB), "--pids-limit", "30", "--cpu-quota", "20000", "--cpu-period", "100000"]
    result = rt("update", *flags, "--cpuset-cpus", "0", id)
    assert result.rc == 0, result
    found = {name: (cgroup(id) / name).read_text().strip() for name in ("memory.max", "pids.max", "cpu.max")}
    assert found == {"memory.max": str(96 * MIB), "pids.max": "30", "cpu.max": "20000 100000"}
    assert rt("exec", id, "grep", "Cpus_allowed_list", "/proc/self/status").out.split()[1] == "0"


def test_fork_bomb(rt: Runtime, bundle: Bundle) -> None:
    """It stays within its number, hurts nobody, and can be removed."""
    id = new_id()
    bundle.sh("bomb() { bomb | bomb & sleep 1; }; bomb; sleep 1000").linux["resources"]["pids"] = {"limit": 30}
    assert rt.run(bundle, "--detach", id=id, timeout=60).rc == 0
    group = cgroup(id)
    wait_until(lambda: numbers(group / "pids.events")["max"] > 0, "the limit was met", 60)
    assert int((group / "pids.current").read_text()) <= 30
    assert rt.run(Bundle(bundle.path.parent / "other", bundle.rootfs / "bin/busybox", "true"), timeout=60).rc == 0
    assert rt("delete", "--force", id, timeout=60).rc == 0
    assert not group.exists()


def test_out_of_memory_is_told(rt: Runtime, bundle: Bundle) -> None:
    """The process that takes too much is killed: status 137, an event of `events`, the kernel's own count."""
    id = new_id()
    script = "until [ -e /go ]; do sleep 0.1; done; exec dd if=/dev/zero of=/dev/null bs=200M"
    bundle.sh(script).linux["resources"]["memory"] = {"limit": 20 * MIB, "swap": 20 * MIB}
    bundle.write()
    run, _ = rt.popen("run", "--bundle", bundle.path, id)
    rt.wait_for(id, "running", 60)
    watch, told = rt.popen("events", "--interval", "1h", id)
    time.sleep(3)  # until it watches; what happens before is told by the count alone
    (bundle.rootfs / "go").touch()
    assert run.wait(60) == 137
    assert watch.wait(60) == 0
    assert f'{{"type":"oom","id":"{id}"}}' in told.with_suffix(".out").read_text()


def test_out_of_memory_is_counted(rt: Runtime, limited: Limited) -> None:
    """A process of `exec` dies, the container's first one lives on."""
    id = limited(memory={"limit": 20 * MIB, "swap": 20 * MIB})
    assert rt("exec", id, "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1", timeout=60).rc == 137
    assert numbers(cgroup(id) / "memory.events")["oom_kill"] == 1
    assert rt.status(id) == "running"


def test_processor_time_is_held_back(rt: Runtime, limited: Limited) -> None:
    """A tenth of a processor for a busy loop: it is throttled, and gets no more than that."""
    id = limited(cpu={"quota": 10000, "period": 100000})
    assert rt("exec", "--detach", id, "sh", "-c", "while :; do :; done").rc == 0
    stat = cgroup(id) / "cpu.stat"
    wait_until(lambda: numbers(stat)["nr_throttled"] > 2, "it was throttled", 60)
    used, begin = numbers(stat)["usage_usec"], time.monotonic()
    time.sleep(5)
    share = (numbers(stat)["usage_usec"] - used) / 1e6 / (time.monotonic() - begin)
    assert share < 0.2


def test_a_paused_container_stands_still(rt: Runtime, limited: Limited) -> None:
    id = limited()
    assert rt("exec", "--detach", id, "sh", "-c", "while :; do :; done").rc == 0
    stat = cgroup(id) / "cpu.stat"
    begin = numbers(stat)["usage_usec"]
    wait_until(lambda: numbers(stat)["usage_usec"] > begin, "it is busy", 60)
    assert rt("pause", id).rc == 0
    still = numbers(stat)["usage_usec"]
    time.sleep(2)
    assert numbers(stat)["usage_usec"] == still
    assert rt("resume", id).rc == 0
    wait_until(lambda: numbers(stat)["usage_usec"] > still, "it is busy again", 60)


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (
            {"memory": {"limit": 4096}},
            "OOM-killed (memory limit too low?): memory.max is 4 KiB, ",
        ),
        ({"pids": {"limit": 10}, "memory": {"limit": 1 << 16}}, "; raise linux.resources.memory.limit"),
        ({"cpu": {"quota": 500, "period": 100000}}, "linux.resources.cpu.quota"),
        ({"cpu": {"cpus": "63"}}, "linux.resources.cpu.cpus: this host has CPUs "),
        ({"blockIO": {"throttleReadBpsDevice": [{"major": 250, "minor": 250, "rate": 1}]}}, "throttleReadBpsDevice"),
        ({"hugepageLimits": [{"pageSize": "3MB", "limit": 3 * MIB}]}, "hugepageLimits"),
    ],
    ids=["memory", "memory and pids", "cpu", "cpuset", "io", "hugetlb"],
)
def test_a_limit_that_can_not_be(rt: Runtime, bundle: Bundle, resources: "dict[str, Any]", words: str) -> None:
    """One line that names the setting; nothing is left."""
    bundle.sh("echo RAN").linux["resources"].update(resources)
    result = rt.run(bundle, timeout=60)
    assert (result.rc, result.out) == (1, ""), result
    assert len(result.err.splitlines()) == 1, result
    assert words in result.err, result
    assert kind(result.err) == OTHER


def test_a_limit_below_what_is_used(rt: Runtime, limited: Limited) -> None:
    """`update` that would have the kernel kill the container is refused when it is asked to look."""
    id = limited(memory={"limit": 64 * MIB, "swap": 64 * MIB})
    assert rt("exec", "--detach", id, "sh", "-c", "dd if=/dev/zero of=/dev/shm/much bs=1M count=30; sleep 1000").rc == 0
    group = cgroup(id)
    wait_until(lambda: int((group / "memory.current").read_text()) > 25 * MIB, "memory is in use", 60)
    check = rt.folder / "limits.json"
    check.write_text('{"memory": {"limit": 8388608, "checkBeforeUpdate": true}}')
    result = rt("update", "--resources", check, id)
    assert result.rc == 1, result
    assert "memory" in result.err
    assert (group / "memory.max").read_text() == f"{64 * MIB}\n"
    assert rt.status(id) == "running"
