"""Limits for containers of ordinary users, in a cgroup of their own and without one."""

import os
from pathlib import Path

import pytest

from tests.system import harness, leaks
from tests.system.harness import Bundle, Runtime, new_id
from tests.system.rootless import Make, refused
from tests.system.rootless import accounts as accounts
from tests.system.rootless import delegated as delegated
from tests.system.rootless import helpers as helpers
from tests.system.rootless import owner as owner
from tests.system.rootless import user as user
from tests.system.users import UID, Delegated, User, own

LIMITS = {
    "pids": ({"pids": {"limit": 40}}, "pids.max", "40"),
    "memory": ({"memory": {"limit": 1 << 26}}, "memory.max", str(1 << 26)),
    "cpu": ({"cpu": {"quota": 50000, "period": 100000}}, "cpu.max", "50000 100000"),
    "hugetlb": ({"hugepageLimits": [{"pageSize": "2MB", "limit": 1 << 21}]}, "hugetlb.2MB.max", str(1 << 21)),
    "rdma": ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "rdma.max", ""),
}


def test_limits_of_a_delegated_cgroup(owner: User, make: Make, delegated: Delegated) -> None:
    usable = [name for name in LIMITS if name in delegated.controllers and name != "rdma"]
    if not usable:
        pytest.skip("needs a cgroup2 tree with one of the controllers pids, memory, cpu, hugetlb")
    bundle, name = own(make("sleep", "60")), new_id()
    for each in usable:
        bundle.linux["resources"].update(LIMITS[each][0])
    assert owner.create(bundle, id=name).rc == 0
    for each in usable:
        _, file, value = LIMITS[each]
        assert (delegated.directory / name / file).read_text().strip() == value
    if "pids" in usable:
        assert owner("update", "--pids-limit", "30", name).rc == 0
        assert (delegated.directory / name / "pids.max").read_text() == "30\n"
    assert owner("delete", "--force", name).rc == 0


def test_a_limit_whose_controller_is_withheld(owner: User, make: Make, delegated: Delegated) -> None:
    missing = next(name for name in LIMITS if name not in delegated.controllers)
    bundle = own(make())
    bundle.linux["resources"].update(LIMITS[missing][0])
    refused(owner, bundle, f"the {missing} controller is not available", f"Delegate={missing} in user@.service")


def test_limits_without_a_cgroup(user: User, make: Make) -> None:
    controllers = (Path(leaks.cgroup2_mount()) / "cgroup.controllers").read_text().split()
    usable = [name for name in LIMITS if name in controllers]
    if not usable:
        pytest.skip("needs a cgroup2 tree with a controller")
    bundle = own(make())
    bundle.linux["resources"].update(LIMITS[usable[0]][0])
    words = "rootless needs no limits + no cgrouppath when no permission is granted for cgroups"
    refused(user, bundle, words, "permission denied", "systemd-run --user --scope -p Delegate=yes")


@pytest.mark.parametrize("flag", [[], ["--rootless=true"], ["--rootless=false"]], ids=str)
def test_the_rootless_flag(user: User, make: Make, flag: "list[str]") -> None:
    """true and auto go on without a cgroup, unless one is named; false does not."""
    runtime = user.variant(*flag)
    if flag == ["--rootless=false"]:
        refused(runtime, own(make()), "linux.cgroupsPath", "permission denied")
        return
    assert runtime.run(own(make())).rc == 0
    bundle = own(make())
    bundle.linux["cgroupsPath"] = f"/{harness.PREFIX}-not-ours"
    refused(runtime, bundle, "linux.cgroupsPath", "permission denied", "leave linux.cgroupsPath out")


def test_root_may_be_as_lenient(rt: Runtime, bundle: Bundle) -> None:
    """--rootless=true of the real root changes nothing where it has the rights."""
    name = new_id()
    runtime = Runtime(rt.binary, rt.folder, "--rootless=true")
    assert runtime.create(bundle, id=name).rc == 0
    assert any(name in path for path in leaks.cgroups())
    assert rt("delete", "--force", name).rc == 0


def test_from_outside_of_the_own_cgroup(user: User, owner: User, make: Make, delegated: Delegated) -> None:
    """Who is elsewhere in the tree may make a cgroup in the delegated one, but not move a process there."""
    bundle = own(make("sleep", "60"))
    bundle.linux["cgroupsPath"] = str(delegated.directory / "box").removeprefix(str(delegated.mount))
    refused(user, bundle, "we may not move a process to", "systemd-run --user --scope -p Delegate=yes")
    assert not (delegated.directory / "box").exists()
    name = new_id()
    assert owner.run(bundle, "--detach", id=name).rc == 0
    elsewhere = owner.variant(cgroup=None)
    result = elsewhere("exec", name, "cat", "/proc/self/uid_map")
    assert result.out.split() == ["0", str(UID), "1"], result
    assert owner("delete", "--force", name).rc == 0


def test_exec_never_leaves_limits_behind(owner: User, make: Make, delegated: Delegated) -> None:
    usable = [name for name in LIMITS if name in delegated.controllers and name != "rdma"]
    if not usable:
        pytest.skip("needs a cgroup2 tree with one of the controllers pids, memory, cpu, hugetlb")
    bundle, name = own(make("sleep", "60")), new_id()
    bundle.linux["resources"].update(LIMITS[usable[0]][0])
    assert owner.run(bundle, "--detach", id=name).rc == 0
    result = owner.variant(cgroup=None)("exec", name, "true")
    assert (result.rc, "we may not move a process to" in result.err) == (255, True), result
    assert owner("exec", name, "true").rc == 0
    assert owner("delete", "--force", name).rc == 0


# Rule 29: whatever the mode, the only cgroups that a container may divide are its own

PROBE = f"{harness.PREFIX}-probe"
SCRIPT = (
    f"for d in $(find /sys/fs/cgroup /sys/fs -type d | sort -u); do mkdir $d/{PROBE} 2>/dev/null; done; exec sleep 60"
)


def with_sys(bundle: Bundle) -> Bundle:
    """/sys as a copy of the host's, cgroups and all, as `spec --rootless` has it; the cgroup mount covers a part."""
    for entry in bundle.config["mounts"]:
        if entry["destination"] == "/sys":
            entry.update(type="none", source="/sys", options=["rbind", "nosuid", "noexec", "nodev", "ro"])
    return bundle


@pytest.mark.parametrize("manager", ["cgroupfs", "disabled"])
@pytest.mark.parametrize("cgroup", ["none", "delegated"])
@pytest.mark.parametrize("namespace", ["own", "hosts"])
@pytest.mark.parametrize("host_sys", [False, True])
def test_the_cgroup_mount_is_no_way_out(
    user: User, owner: User, make: Make, manager: str, cgroup: str, namespace: str, host_sys: bool
) -> None:
    """A writable mount is asked for; a directory is tried in every cgroup that can be seen."""
    bundle, name = own(make("sh", "-c", SCRIPT)), new_id()
    if namespace == "own":
        bundle.linux["namespaces"].append({"type": "cgroup"})
    for entry in bundle.config["mounts"]:
        if entry["type"] == "cgroup":
            entry["options"] = ["nosuid", "noexec", "nodev"]
    if host_sys:
        with_sys(bundle)
    runtime = (owner if cgroup == "delegated" else user).variant("--cgroup-manager", manager)
    assert runtime.run(bundle, "--detach", id=name).rc == 0
    pid = runtime.state(name)["pid"]
    harness.wait_until(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()[:5], "all was tried", 60)
    made = [path for path, folders, _ in os.walk(leaks.cgroup2_mount()) if PROBE in folders]
    for path in made:
        os.rmdir(f"{path}/{PROBE}")
    assert runtime("delete", "--force", name).rc == 0
    assert all(Path(path).name == name for path in made), made
    assert bool(made) == (namespace == "own" and cgroup == "delegated" and manager == "cgroupfs"), made
