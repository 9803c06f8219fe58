"""The systemd cgroup driver before a real systemd: units, their properties, their files, and what becomes of them."""

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyruntime.cgroup.systemd.manager import Manager, Taken
from pyruntime.cgroup.systemd.properties import of_unit
from tests.errors.classifiers import OTHER, kind
from tests.guest.engines import call, done
from tests.guest.units import MIB, cgroup_of, directory, is_gone, shown, unit_of
from tests.guest.units import rt as rt
from tests.system import leaks
from tests.system.harness import Bundle, Runtime, new_id, wait_until

Started = Callable[..., str]
PROPERTIES: "list[tuple[dict[str, Any], dict[str, str], dict[str, str]]]" = [
    ({"memory": {"limit": 64 * MIB}}, {"MemoryMax": f"{64 * MIB}"}, {"memory.max": f"{64 * MIB}"}),
    (
        {"memory": {"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 16 * MIB}},
        {"MemorySwapMax": f"{32 * MIB}", "MemoryLow": f"{16 * MIB}"},
        {"memory.swap.max": f"{32 * MIB}", "memory.low": f"{16 * MIB}"},
    ),
    ({"pids": {"limit": 20}}, {"TasksMax": "20"}, {"pids.max": "20"}),
    (
        {"cpu": {"quota": 50000, "period": 200000}},
        {"CPUQuotaPerSecUSec": "250ms", "CPUQuotaPeriodUSec": "200ms"},
        {"cpu.max": "50000 200000"},
    ),
    ({"cpu": {"quota": 12345}}, {"CPUQuotaPerSecUSec": "130ms"}, {"cpu.max": "13000 100000"}),
    ({"cpu": {"shares": 512}}, {"CPUWeight": "59"}, {"cpu.weight": "59"}),
    ({"cpu": {"idle": 1}}, {"CPUWeight": "idle"}, {"cpu.idle": "1"}),
    ({"cpu": {"cpus": "1", "mems": "0"}}, {"AllowedCPUs": "1"}, {"cpuset.cpus": "1", "cpuset.mems": "0"}),
    ({"blockIO": {"weight": 100}}, {"IOWeight": "910"}, {}),
    (
        {"unified": {"memory.high": "50331648", "pids.max": "33"}},
        {"MemoryHigh": "50331648", "TasksMax": "33"},
        {"memory.high": "50331648", "pids.max": "33"},
    ),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}, {}, {"hugetlb.2MB.max": f"{4 * MIB}"}),
]


@pytest.fixture
def started(rt: Runtime, make: "Callable[..., Bundle]") -> "Iterator[Started]":
    """A function that starts a container that sleeps; its id. Whatever becomes of it, it is deleted afterwards."""
    ids: "list[str]" = []

    def start(path: str = "", annotations: "dict[str, str] | None" = None, **resources: Any) -> str:
        bundle = make("sleep", "100000")
        bundle.linux["resources"].update(resources)
        bundle.config["annotations"] = annotations or {}
        if path:
            bundle.linux["cgroupsPath"] = path
        ids.append(new_id())
        result = rt.run(bundle, "--detach", id=ids[-1], timeout=60)
        assert result.rc == 0, result
        return ids[-1]

    yield start
    for id in ids:
        if rt.status(id):
            removed(rt, id)


def removed(rt: "Runtime", id: str) -> None:
    """Kill and delete; those of `exec --detach` are our children, and init is not gone before we have reaped them."""
    rt("kill", id, "KILL")

    def ended() -> bool:
        leaks.reap()
        return rt.status(id) == "stopped"

    wait_until(ended, f"{id} has ended", 60)
    result = rt("delete", "--force", id, timeout=60)
    assert result.rc == 0, result


def pid_of(rt: Runtime, id: str) -> int:
    return int(rt.state(id)["pid"])


def test_a_container_is_a_scope(rt: Runtime, started: Started) -> None:
    id = started()
    assert cgroup_of(pid_of(rt, id)) == f"/system.slice/{unit_of(id)}"
    names = ("ActiveState", "Slice", "Delegate", "Transient", "DefaultDependencies", "MemoryAccounting", "IOAccounting")
    assert shown(unit_of(id), *names) == {
        "ActiveState": "active", "Slice": "system.slice", "Delegate": "yes", "Transient": "yes",
        "DefaultDependencies": "no", "MemoryAccounting": "yes", "IOAccounting": "yes",
    }  # fmt: skip
    has = set((directory(id) / "cgroup.controllers").read_text().split())
    assert {"cpu", "cpuset", "io", "memory", "pids", "hugetlb"} <= has
    assert rt("delete", "--force", id).rc == 0
    assert is_gone(unit_of(id))
    assert not directory(id).exists()


def test_the_program_never_sees_another_cgroup(rt: Runtime, bundle: Bundle) -> None:
    """Without a cgroup namespace it is told the whole path."""
    id = new_id()
    result = rt.run(bundle.without("cgroup").sh("cat /proc/self/cgroup"), id=id, timeout=60)
    assert (result.rc, result.out) == (0, f"0::/system.slice/{unit_of(id)}\n"), result
    assert is_gone(unit_of(id))


@pytest.mark.parametrize(("resources", "properties", "files"), PROPERTIES, ids=lambda each: "+".join(each))
def test_a_limit_is_a_property_and_in_its_file(
    started: Started, resources: "dict[str, Any]", properties: "dict[str, str]", files: "dict[str, str]"
) -> None:
    """Also after systemd was told to reload, which makes it write the files again."""
    id = started(**resources)
    before = {file: (directory(id) / file).read_text().strip() for file in files}
    assert before == files
    if properties:
        assert shown(unit_of(id), *properties) == properties
    done("systemctl", "daemon-reload")
    assert {file: (directory(id) / file).read_text().strip() for file in files} == files


def test_updated(rt: Runtime, started: Started) -> None:
    id = started(memory={"limit": 64 * MIB}, pids={"limit": 20}, cpu={"shares": 512})
    flags = ["--memory", str(96 * MIB), "--pids-limit", "30", "--cpu-quota", "20000", "--cpuset-cpus", "0"]
    result = rt("update", *flags, id)
    assert result.rc == 0, result
    wanted = {"MemoryMax": str(96 * MIB), "TasksMax": "30", "CPUQuotaPerSecUSec": "200ms", "CPUWeight": "59"}
    assert shown(unit_of(id), *wanted) == wanted
    files = {"memory.max": str(96 * MIB), "pids.max": "30", "cpu.max": "20000 100000", "cpuset.cpus": "0"}
    assert {file: (directory(id) / file).read_text().strip() for file in files} == files
    result = rt("update", "--cpu-idle", "1", "--cpu-share", "200", id)
    assert (result.rc, "cpu.shares is not applied: unable to apply both" in result.err) == (0, True), result
    assert (directory(id) / "cpu.idle").read_text() == "1\n"
    assert rt("update", "--cpu-idle", "0", "--cpu-share", "1024", id).rc == 0
    wait_until(lambda: (directory(id) / "cpu.idle").read_text() == "0\n", "it is not idle any more")
    assert (directory(id) / "cpu.weight").read_text() == "100\n"


def test_an_update_that_fails_changes_nothing(rt: Runtime, started: Started) -> None:
    """Neither files nor properties: the kernel takes no quota of 500 µs."""
    id = started(memory={"limit": 64 * MIB})
    result = rt("update", "--memory", str(96 * MIB), "--cpu-quota", "500", id)
    assert result.rc == 1, result
    assert "cpu" in result.err
    wanted = {"MemoryMax": str(64 * MIB), "CPUQuotaPerSecUSec": "infinity"}
    assert shown(unit_of(id), *wanted) == wanted
    done("systemctl", "daemon-reload")
    files = {"memory.max": str(64 * MIB), "cpu.max": "max 100000"}
    assert {file: (directory(id) / file).read_text().strip() for file in files} == files


def test_exec_joins_the_scope(rt: Runtime, started: Started) -> None:
    """By a command without the flag, as engines call it: the state remembers."""
    id = started(pids={"limit": 20})
    plain = Runtime(rt.binary, rt.folder)
    file = rt.folder / "pid"
    assert plain("exec", "--detach", "--pid-file", file, id, "sleep", "1000").rc == 0
    assert cgroup_of(file.read_text()) == f"/system.slice/{unit_of(id)}"
    assert plain("update", "--pids-limit", "25", id).rc == 0
    assert shown(unit_of(id), "TasksMax") == {"TasksMax": "25"}
    removed(plain, id)
    assert is_gone(unit_of(id))


def test_paused_and_resumed(rt: Runtime, started: Started) -> None:
    id = started()
    assert rt("pause", id).rc == 0
    assert rt.status(id) == "paused"
    assert (directory(id) / "cgroup.freeze").read_text() == "1\n"
    assert rt("resume", id).rc == 0
    assert rt.status(id) == "running"
    assert rt("pause", id).rc == 0
    assert rt("delete", "--force", id).rc == 0
    assert is_gone(unit_of(id))


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("systest-a.slice:pre:{}", "systest.slice/systest-a.slice/pre-{}.scope"),
        ("-.slice:pre:{}", "pre-{}.scope"),
        (":pre:{}", "system.slice/pre-{}.scope"),
    ],
)
def test_where_the_unit_is(rt: Runtime, started: Started, path: str, where: str) -> None:
    name = new_id()
    id = started(path=path.format(name))
    assert cgroup_of(pid_of(rt, id)) == "/" + where.format(name)
    assert rt("delete", "--force", id).rc == 0
    assert is_gone(f"pre-{name}.scope")
    call("systemctl", "stop", "systest.slice")


def test_a_unit_that_is_at_work_is_left_alone(rt: Runtime, started: Started, bundle: Bundle) -> None:
    path = f"system.slice:same:{new_id()}"
    first = started(path=path)
    bundle.linux["cgroupsPath"] = path
    result = rt.run(bundle.sh("echo RAN"), timeout=60)
    assert (result.rc, result.out) == (1, ""), result
    assert len(result.err.splitlines()) == 1, result
    assert "is there already" in result.err
    assert rt.status(first) == "running"


TOGETHER = {"memory": {"limit": 20 * MIB, "swap": 20 * MIB}, "unified": {"memory.oom.group": "1"}}


def out_of_memory(rt: Runtime, id: str, unit: str) -> None:
    """Have the kernel kill all of a container, for which its unit counts as failed."""
    assert shown(unit, "OOMPolicy") == {"OOMPolicy": "kill"}
    rt("exec", id, "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1", timeout=60)
    failed = {"Result": "oom-kill", "ActiveState": "failed"}
    wait_until(lambda: shown(unit, *failed) == failed, "the unit has failed", 30)
    leaks.reap()


def test_what_a_failed_unit_left_is_reset(rt: Runtime, started: Started) -> None:
    """The scope of a container that ran out of memory stays, as failed, until it is deleted or its name is taken."""
    path = f"system.slice:oom:{new_id()}"
    unit = f"oom-{path.rpartition(':')[2]}.scope"
    out_of_memory(rt, started(path=path, **TOGETHER), unit)
    second = started(path=path)
    assert rt.status(second) == "running"
    assert shown(unit, "ActiveState") == {"ActiveState": "active"}


def test_deleting_forgets_a_failed_unit(rt: Runtime, started: Started) -> None:
    id = started(**TOGETHER)
    out_of_memory(rt, id, unit_of(id))
    assert rt("delete", id).rc == 0
    assert is_gone(unit_of(id))


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"org.systemd.property.Nonsense": "true"}, ("systemd unit", "Nonsense")),
        ({"org.systemd.property.TimeoutStopUSec": "'soon'"}, ("systemd unit", "Failed to set unit properties")),
        ({"org.systemd.property.AssertPathExists": "/nowhere"}, ("org.systemd.property.AssertPathExists", "GVariant")),
        (
            {"org.systemd.property.Conditions": "[('ConditionPathExists', false, false, '/nowhere')]"},
            ("systemd unit", "has not taken its process", "see: journalctl -u"),
        ),
        (
            {"org.systemd.property.Asserts": "[('AssertPathExists', false, false, '/nowhere')]"},
            ("systemd unit", ": assert", "see: journalctl -u"),
        ),
    ],
    ids=["unknown property", "another type", "no value", "a condition", "an assertion"],
)
def test_a_unit_that_can_not_be(
    rt: Runtime, bundle: Bundle, annotations: "dict[str, str]", words: "tuple[str, ...]"
) -> None:
    """One line with systemd's reason; nothing is left."""
    id = new_id()
    bundle.config["annotations"] = annotations
    result = rt.run(bundle.sh("echo RAN"), id=id, timeout=60)
    assert (result.rc, result.out) == (1, ""), result
    assert len(result.err.splitlines()) == 1, result
    assert all(word in result.err for word in words), result
    assert is_gone(unit_of(id))


def test_too_little_memory_to_start(rt: Runtime, bundle: Bundle) -> None:
    """The same line as without systemd, which may have removed the cgroup by then."""
    id = new_id()
    bundle.linux["resources"]["memory"] = {"limit": 1 << 16}
    result = rt.run(bundle.sh("echo RAN"), id=id, timeout=60)
    assert (result.rc, result.out) == (1, ""), result
    assert "container init was OOM-killed (memory limit too low?): " in result.err, result
    assert "raise linux.resources.memory.limit" in result.err, result
    assert kind(result.err) == OTHER
    assert is_gone(unit_of(id))


def test_annotations_are_properties(started: Started) -> None:
    id = started(
        annotations={
            "org.systemd.property.TimeoutStopSec": "7",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.systemd.property.After": "['network.target']",
            "org.systemd.property.MemoryMax": "uint64 50331648",
        }
    )
    found = shown(unit_of(id), "TimeoutStopUSec", "CollectMode", "After", "MemoryMax")
    assert (found["TimeoutStopUSec"], found["CollectMode"], found["MemoryMax"]) == (
        "7s",
        "inactive-or-failed",
        "50331648",
    )
    assert "network.target" in found["After"].split()


def test_stopped_by_systemctl(rt: Runtime, started: Started) -> None:
    """Who administers the host may stop the unit: the container has ended, and can be deleted as any."""
    id = started(annotations={"org.systemd.property.TimeoutStopSec": "2"})
    done("systemctl", "stop", unit_of(id))
    leaks.reap()
    wait_until(lambda: rt.status(id) == "stopped", "it has ended", 60)
    assert rt("delete", id).rc == 0


def test_a_create_that_was_killed(rt: Runtime, bundle: Bundle) -> None:
    """By a hook, once the unit is there: `delete --force` takes it away."""
    id = new_id()
    hook = bundle.path / "hook"
    hook.write_text(f"#!/bin/sh\nsystemctl is-active {unit_of(id)} >{bundle.path}/seen\nkill -9 $PPID\n")
    hook.chmod(0o755)
    bundle.config["hooks"] = {"createRuntime": [{"path": str(hook)}]}
    result = rt.create(bundle, id=id, timeout=60)
    assert result.rc == -9, result
    assert (bundle.path / "seen").read_text() == "active\n"
    leaks.reap()
    assert rt("delete", "--force", id, timeout=60).rc == 0
    assert is_gone(unit_of(id))
    assert not directory(id).exists()


def test_a_later_step_that_fails_takes_the_unit_back(rt: Runtime, bundle: Bundle) -> None:
    id = new_id()
    bundle.process["args"] = ["/bin/no-such-program"]
    result = rt.create(bundle, id=id, timeout=60)
    assert result.rc == 1, result
    assert is_gone(unit_of(id))
    assert not directory(id).exists()
    assert rt.containers() == []


def test_without_memory_the_error_says_so(rt: Runtime, bundle: Bundle) -> None:
    bundle.linux["resources"]["memory"] = {"limit": 1 << 16}
    result = rt.run(bundle.sh("echo RAN"), timeout=60)
    assert (result.rc, result.out) == (1, ""), result
    assert "memory limit too low" in result.err, result


def test_devices_are_kept_by_our_program(rt: Runtime, bundle: Bundle) -> None:
    """Also after systemd was told to reload."""
    id = new_id()
    bundle.process["args"] = ["sleep", "100000"]
    bundle.linux["devices"] = [{"path": "/dev/other-mem", "type": "c", "major": 1, "minor": 1}]
    bundle.linux["resources"]["devices"] = [{"allow": False, "access": "rwm"}]
    assert rt.run(bundle, "--detach", id=id, timeout=60).rc == 0
    for _ in range(2):
        result = rt("exec", id, "sh", "-c", "head -c1 /dev/other-mem")
        assert result.rc == 1, result
        assert "not permitted" in result.err
        assert rt("exec", id, "sh", "-c", "head -c1 /dev/zero").rc == 0
        done("systemctl", "daemon-reload")
    removed(rt, id)


def test_a_cgroup_for_a_service_manager_inside(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """With a user namespace and a writable cgroup mount its root may divide the cgroup, and move itself."""
    bundle = make().user_namespace()
    bundle.namespaces(*{each["type"] for each in bundle.linux["namespaces"]} | {"cgroup"})
    for each in bundle.config["mounts"]:
        if each["type"] == "cgroup":
            each["options"] = [word for word in each["options"] if word != "ro"]
            break
    else:
        bundle.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"})
    bundle.sh(
        "set -e; cd /sys/fs/cgroup; mkdir init.scope; echo $$ > init.scope/cgroup.procs;"
        "echo '+pids +memory' > cgroup.subtree_control; mkdir a.slice; cat a.slice/pids.max; rmdir a.slice;"
        "echo 5 > pids.max && exit 3 || exit 0"
    )
    result = rt.run(bundle, timeout=60)
    assert (result.rc, result.out) == (0, "max\n"), result


def test_features_tell_of_it(rt: Runtime) -> None:
    found = json.loads(rt("features").out)
    assert found["linux"]["cgroup"]["systemd"] is True
    assert found["linux"]["cgroup"]["systemdUser"] is True


def test_the_private_socket_serves_too(rt: Runtime) -> None:
    """Where no bus runs root reaches systemd by its own socket: all the calls, and the signal that a job has ended."""
    process = subprocess.Popen(["sleep", "1000"])
    manager = Manager("/run/systemd/private", False)
    unit = f"{new_id()}.scope"
    try:
        assert manager.about().version > 200
        manager.start(unit, of_unit(unit, "system.slice", process.pid))
        assert cgroup_of(process.pid) == f"/system.slice/{unit}"
        manager.change(unit, [("TasksMax", ("t", 9))])
        assert shown(unit, "TasksMax") == {"TasksMax": "9"}
        with pytest.raises(Taken, match="is there already"):
            manager.start(unit, of_unit(unit, "system.slice", process.pid))
        manager.stop(unit)
    finally:
        process.kill()
        process.wait()
        manager.close()
    assert is_gone(unit)
