"""pyruntime by an ordinary user: with and without a cgroup, with one id and a range, and by root of a namespace."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system import harness, leaks
from tests.system.harness import Bundle, Result, Runtime, mount, new_id
from tests.system.users import (
    COUNT,
    FIRST,
    STRANGER,
    UID,
    Delegated,
    User,
    own,
    private_etc,
    ranged,
    readable_tree,
    without_tty_group,
)  # fmt: skip

Make = Callable[..., Bundle]
LIMITS = {
    "pids": ({"pids": {"limit": 40}}, "pids.max", "40"),
    "memory": ({"memory": {"limit": 1 << 26}}, "memory.max", str(1 << 26)),
    "cpu": ({"cpu": {"quota": 50000, "period": 100000}}, "cpu.max", "50000 100000"),
    "hugetlb": ({"hugepageLimits": [{"pageSize": "2MB", "limit": 1 << 21}]}, "hugetlb.2MB.max", str(1 << 21)),
    "rdma": ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "rdma.max", ""),
}


@pytest.fixture(scope="module", autouse=True)
def accounts(own_mounts: None, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[None]":
    """The users, for this module."""
    if os.geteuid():
        yield
        return
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv (util-linux)")
    tried = subprocess.run(
        ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "unshare", "-Ur", "true"], check=False
    )
    if tried.returncode:
        pytest.skip("needs a host that lets ordinary users make user namespaces")
    yield from private_etc(tmp_path_factory.mktemp("accounts"))


@pytest.fixture(scope="module")
def binary(ground: Path) -> Path:
    """The launcher, where every user may read it."""
    return readable_tree(Path(tempfile.mkdtemp(prefix="tree", dir=ground)))


@pytest.fixture
def user(binary: Path, tmp_path: Path) -> "Iterator[User]":
    """Somebody who owns no cgroup."""
    yield from _checked(User(binary, tmp_path / "user"))


@pytest.fixture
def delegated() -> "Iterator[Delegated]":
    found = Delegated(UID)
    yield found
    found.remove()


@pytest.fixture
def owner(binary: Path, tmp_path: Path, delegated: Delegated) -> "Iterator[User]":
    """Somebody in a cgroup of their own."""
    yield from _checked(User(binary, tmp_path / "owner", cgroup=delegated.leaf))


def _checked(runtime: User) -> "Iterator[User]":
    yield runtime
    left = runtime.containers()
    for name in left:
        runtime("delete", "--force", name)
    assert not left, f"state entries are left behind: {left}"


@pytest.fixture
def helpers() -> None:
    if shutil.which("newuidmap") is None:
        pytest.skip("needs newuidmap and newgidmap (Debian: uidmap)")


def status(result: Result) -> "dict[str, str]":
    """What `cat /proc/self/status` printed."""
    assert result.rc == 0, result
    return {name: value.strip() for name, _, value in (line.partition(":") for line in result.out.splitlines())}


def refused(runtime: Runtime, bundle: Bundle, *words: str) -> None:
    """One line that holds the words, and nothing is left; nothing was made, where no step is named."""
    result = runtime.run(bundle)
    assert result.rc == 1, result
    assert len(result.err.splitlines()) == 1, result
    for word in words:
        assert word in result.err, result
    assert runtime.containers() == []


# Lives


def test_what_spec_writes_runs(user: User, make: Make) -> None:
    bundle = make()
    os.chown(bundle.path, UID, UID)
    assert user("spec", "--rootless", "--bundle", bundle.path).rc == 0
    config = json.loads((bundle.path / "config.json").read_text())
    for name in ("uidMappings", "gidMappings"):
        assert config["linux"][name] == [{"containerID": 0, "hostID": UID, "size": 1}]
    kinds = [entry["type"] for entry in config["linux"]["namespaces"]]
    assert "user" in kinds
    assert "network" not in kinds
    assert "resources" not in config["linux"]
    harness.chown_tree(bundle.rootfs, UID)
    config["process"].update(terminal=False, args=["sh", "-c", "id -u; cat /proc/self/uid_map /proc/self/setgroups"])
    bundle.config = config
    result = user.run(bundle)
    assert (result.rc, result.out.split()) == (0, ["0", "0", str(UID), "1", "deny"]), result


def live(runtime: User, bundle: Bundle, uid: int, cgroup: bool) -> None:
    """Every verb once."""
    name = new_id()
    bundle.process["args"] = ["sleep", "60"]
    assert runtime.create(bundle, id=name).rc == 0
    assert runtime.status(name) == "created"
    assert name in runtime("list", "-q").out.split()
    pid = runtime.state(name)["pid"]
    assert runtime("start", name).rc == 0
    harness.wait_until(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes(), "the program runs")
    assert Path(f"/proc/{pid}").stat().st_uid == uid
    result = runtime("exec", name, "sh", "-c", "id -u; readlink /proc/self/ns/pid; readlink /proc/self/ns/user")
    kinds = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("pid", "user")]
    assert result.out.split() == ["0", *kinds], result
    result = runtime("exec", "--detach", "--pid-file", runtime.folder / "pid", name, "sleep", "61")
    assert result.rc == 0, result
    second = int((runtime.folder / "pid").read_text())
    assert Path(f"/proc/{second}").stat().st_uid == uid
    assert f"{pid}" in runtime("ps", name).out
    for verb, status in (("pause", "paused"), ("resume", "running")):
        result = runtime(verb, name)
        if cgroup:
            assert (result.rc, runtime.status(name)) == (0, status), result
        else:
            assert result.rc == 1
    result = runtime("events", "--stats", name)
    assert result.rc == 0 if cgroup else "no cgroup of its own" in result.err, result
    assert runtime("kill", name, "KILL").rc == 0
    harness.wait_until(lambda: _reaped(second), "the second process has ended with init")  # init waits for that
    runtime.wait_for(name, "stopped")
    assert runtime("delete", name).rc == 0


def _reaped(pid: int) -> bool:
    leaks.reap()
    return not os.path.exists(f"/proc/{pid}")


def test_life_without_a_cgroup(user: User, make: Make) -> None:
    live(user, own(make()), UID, cgroup=False)


def test_life_in_a_delegated_cgroup(owner: User, make: Make) -> None:
    live(owner, own(make()), UID, cgroup=True)


def test_life_with_a_range_of_ids(user: User, make: Make, helpers: None) -> None:
    live(user, ranged(make()), UID, cgroup=False)


def test_cgroups_may_be_declined(owner: User, make: Make) -> None:
    runtime = owner.variant("--cgroup-manager", "disabled")
    result = runtime.run(own(make("cat", "/proc/self/cgroup")))
    assert "0::/" in result.out, result


def test_a_killed_create_is_cleaned_up(owner: User, make: Make, delegated: Delegated) -> None:
    bundle, name = own(make("sleep", "60")), new_id()
    assert owner.create(bundle, id=name).rc == 0
    assert (delegated.directory / name).is_dir()
    (owner.root / name / "state.json").unlink()
    assert owner("delete", "--force", name).rc == 0
    assert not (delegated.directory / name).exists()


# Ids


def test_a_range_of_ids(user: User, make: Make, helpers: None) -> None:
    bundle = ranged(make("sh", "-c", "id -u; id -g; id -G; cat /proc/self/setgroups; touch /tmp/made"))
    bundle.process["user"] = {"uid": 5, "gid": 6, "additionalGids": [7]}
    (bundle.rootfs / "tmp").chmod(0o777)
    result = user.run(bundle)
    assert result.out.split() == ["5", "6", "6", "7", "allow"], result
    made = (bundle.rootfs / "tmp/made").stat()
    assert (made.st_uid, made.st_gid) == (FIRST + 4, FIRST + 5)


def test_one_id_that_is_not_ones_own(user: User, make: Make, helpers: None) -> None:
    bundle = without_tty_group(make("cat", "/proc/self/uid_map").user_namespace(FIRST + 9, 1))
    assert user.run(bundle).out.split() == ["0", str(FIRST + 9), "1"]


@pytest.mark.parametrize("groups", [(), (20801, 20802)], ids=str)
def test_groups_of_the_caller(user: User, make: Make, helpers: None, groups: "tuple[int, ...]") -> None:
    """Rule 42: dropped, always; but who maps only the own group may not (user_namespaces(7)), and they are shown."""
    caller = user.variant(groups=groups)
    found = status(caller.run(ranged(make("cat", "/proc/self/status"))))
    assert found["Groups"].split() == []
    found = status(caller.run(own(make("cat", "/proc/self/status"))))
    assert found["Groups"].split() == ["65534"] * len(groups)


@pytest.mark.parametrize(("score", "lowered"), [(321, False), (-5, True)])
def test_oom_score(user: User, make: Make, score: int, lowered: bool) -> None:
    """A user can make a process more likely to be killed, and never less."""
    bundle, name = own(make("sh", "-c", "cat /proc/self/oom_score_adj; exec sleep 60")), new_id()
    bundle.process["oomScoreAdj"] = score
    ours = Path("/proc/self/oom_score_adj").read_text().strip()
    result = user.run(bundle, "--detach", id=name)
    assert result.rc == 0, result
    wanted = ours if lowered else str(score)
    harness.wait_until(lambda: result.out == f"{wanted}\n", f"the score is {wanted}: {result}")
    assert user("exec", name, "cat", "/proc/self/oom_score_adj").out == f"{wanted}\n"
    assert user("delete", "--force", name).rc == 0


def maps(*lines: "tuple[int, int, int]") -> "list[dict[str, int]]":
    return [dict(zip(("containerID", "hostID", "size"), line, strict=True)) for line in lines]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"uidMappings": []}, ["linux.uidMappings", "map at least one id"]),
        ({"gidMappings": []}, ["linux.gidMappings", "map at least one id"]),
        ({"uidMappings": maps((0, UID, 0))}, ["linux.uidMappings[0].size", "at least 1"]),
        ({"gidMappings": maps((0, UID, 1), (0, FIRST, 1))}, ["linux.gidMappings[1].containerID", "overlaps"]),
        ({"uidMappings": maps((0, UID, 1), (1, UID, 1))}, ["linux.uidMappings[1].hostID", "overlaps"]),
        ({"uidMappings": maps((5, UID, 1))}, ["linux.uidMappings", "uid 0 of the container is not mapped"]),
        (
            {"uidMappings": maps((0, UID, 1), (1, FIRST, COUNT + 1))},
            ["linux.uidMappings: newuidmap failed", f"/etc/subuid grants ranger {FIRST}:{COUNT}"],
        ),
        ({"gidMappings": maps((0, 0, 1))}, ["linux.gidMappings: newgidmap failed", "/etc/subgid grants ranger"]),
    ],
)
def test_maps_that_are_refused(
    user: User, make: Make, helpers: None, change: "dict[str, Any]", words: "list[str]"
) -> None:
    bundle = own(make())
    bundle.linux.update(change)
    refused(user, bundle, *words)


def test_a_user_without_a_range(binary: Path, tmp_path: Path, make: Make, helpers: None) -> None:
    stranger = User(binary, tmp_path / "stranger", uid=STRANGER)
    refused(stranger, ranged(make(), STRANGER), "/etc/subgid grants stranger no range", "USER:FIRST:COUNT")
    result = stranger.run(own(make("id", "-u"), STRANGER))
    assert result.out == "0\n", result


def test_a_host_without_the_helpers(user: User, make: Make, helpers: None) -> None:
    empty = user.folder / "empty"
    empty.touch(0o644)
    hide = f"mount --bind {empty} $(command -v newgidmap)"
    without = user.variant(between=(), before=hide)
    wrapped = without.command

    def command(verb: str, *arguments: object) -> "list[str]":
        return ["unshare", "--mount", *wrapped(verb, *arguments)]

    without.command = command  # type: ignore[method-assign]
    refused(without, ranged(make()), "newgidmap is needed", "install it")


def test_no_user_namespace(user: User, make: Make) -> None:
    refused(user, make(), "linux.namespaces: rootless container requires user namespaces", "spec --rootless")


def test_exec_waits_for_the_start(user: User, make: Make) -> None:
    """A created init is not dumpable: its files in /proc are root's until it is the program."""
    name = new_id()
    assert user.create(own(make("sleep", "60")), id=name).rc == 0
    result = user("exec", name, "true")
    assert (result.rc, "start" in result.err) == (255, True), result
    assert user("delete", "--force", name).rc == 0


def test_no_state_root_to_write_to(user: User, make: Make) -> None:
    runtime = user.variant(root=Path("/sys/pyruntime"))
    result = runtime.run(own(make()))
    assert (result.rc, "--root" in result.err) == (1, True), result


# Limits


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


# Root inside a user namespace, as Podman and rootless Docker call a runtime


INSIDE = {
    "root alone": ("unshare", "--user", "--map-root-user"),
    "with a range": ("unshare", "--user", "--map-root-user", "--map-auto"),
}


@pytest.fixture(params=sorted(INSIDE))
def inside(request: pytest.FixtureRequest, user: User) -> User:
    words = INSIDE[request.param]
    found = user.variant(between=words)
    tried = subprocess.run([*found.command("x")[:-4], "true"], check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"needs {' '.join(words)} to work: {tried.stderr.strip()}")
    return found


def test_root_of_a_user_namespace(inside: User, make: Make) -> None:
    """No user namespace of the container's own: device nodes are bound, sysfs copied, the score can't be lowered."""
    script = (
        "id -u; echo x > /dev/null && echo null; ls /sys/class > /dev/null && echo sys; cat /proc/self/oom_score_adj"
    )
    ours = Path("/proc/self/oom_score_adj").read_text().strip()
    for network in (True, False):
        bundle = without_tty_group(make("sh", "-c", script))
        harness.chown_tree(bundle.rootfs, UID)
        bundle.process["oomScoreAdj"] = -100
        if not network:
            bundle.without("network")
        result = inside.run(bundle)
        assert result.out.split() == ["0", "null", "sys", ours], result


def test_a_namespace_in_the_namespace(inside: User, make: Make) -> None:
    bundle = without_tty_group(make("sh", "-c", "id -u; echo x > /dev/null && echo null").user_namespace(0, 1))
    harness.chown_tree(bundle.rootfs, UID)
    result = inside.run(bundle)
    assert result.out.split() == ["0", "null"], result
    bundle = without_tty_group(make().user_namespace(UID, 1))
    if "--map-auto" not in inside.between:
        refused(inside, bundle, f"linux.gidMappings[0].hostID: {UID} does not exist in the user namespace around")


def test_life_as_root_of_a_user_namespace(user: User, make: Make) -> None:
    """One user namespace for all commands, as Podman's pause process holds it."""
    holder = subprocess.Popen(
        [*user.variant(between=INSIDE["root alone"]).command("x")[:-4], "sleep", "300"], stdin=subprocess.DEVNULL
    )
    try:
        host = os.readlink("/proc/self/ns/user")
        harness.wait_until(lambda: os.readlink(f"/proc/{holder.pid}/ns/user") != host, "the namespace is there")
        harness.wait_until(lambda: Path(f"/proc/{holder.pid}/uid_map").read_text().strip(), "its ids are mapped")
        enter = ("nsenter", "--user", "--preserve-credentials", f"--target={holder.pid}")
        runtime = user.variant(between=enter)
        bundle = without_tty_group(make())
        harness.chown_tree(bundle.rootfs, UID)
        live(runtime, bundle, UID, cgroup=False)
        _joins_a_pod(runtime, make)
    finally:
        holder.kill()
        holder.wait()


def _joins_a_pod(runtime: User, make: Make) -> None:
    """A second container in the first one's pid and network namespaces."""
    first, name = without_tty_group(make("sleep", "60")), new_id()
    second = without_tty_group(make("sh", "-c", "readlink /proc/self/ns/pid; readlink /proc/self/ns/net"))
    for bundle in (first, second):
        harness.chown_tree(bundle.rootfs, UID)
    assert runtime.run(first, "--detach", id=name).rc == 0
    pid = runtime.state(name)["pid"]
    for entry in second.linux["namespaces"]:
        if entry["type"] in ("pid", "network"):
            entry["path"] = f"/proc/{pid}/ns/{entry['type'][:3]}"
    result = runtime.run(second)
    assert result.out.split() == [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("pid", "net")], result
    assert runtime("delete", "--force", name).rc == 0


# pyruntime in a container of pyruntime's


def host_program(bundle: Bundle, binary: Path) -> None:
    """Let the container see the host's interpreter, and pyruntime at /opt; nothing of /proc is masked."""
    for name in ("/usr", "/lib", "/lib64", "/etc"):
        if Path(name).exists():
            (bundle.rootfs / name[1:]).mkdir(exist_ok=True)
            bundle.config["mounts"].append(mount(name, "bind", ["rbind", "ro"], os.path.realpath(name)))
    bundle.config["mounts"].append(mount("/opt", "bind", ["rbind", "ro"], str(binary.parent.parent)))
    for name in ("maskedPaths", "readonlyPaths"):
        del bundle.linux[name]
    for entry in bundle.config["mounts"]:
        if entry["type"] in ("cgroup", "sysfs"):
            entry["options"] = ["nosuid", "noexec", "nodev"]
    every = [f"CAP_{name}" for name in ("SYS_ADMIN", "SETUID", "SETGID", "SETPCAP", "CHOWN", "DAC_OVERRIDE", "KILL",
             "MKNOD", "SYS_CHROOT", "NET_ADMIN", "FOWNER", "AUDIT_WRITE", "NET_BIND_SERVICE")]  # fmt: skip
    bundle.process["capabilities"] = {kind: every for kind in ("bounding", "permitted", "effective")}
    bundle.process["noNewPrivileges"] = False


def inner_bundle(outer: Bundle, make: Make, *command: str) -> Bundle:
    """A bundle in the outer one's root, at /inner."""
    inner = make(*command, name=f"{outer.path.name}/rootfs/inner")
    del inner.linux["resources"]
    return without_tty_group(inner).write()


@pytest.mark.parametrize("manager", ["cgroupfs", "disabled"])
@pytest.mark.parametrize("who", ["root", "user"])
def test_a_container_in_a_container(
    rt: Runtime, user: User, make: Make, binary: Path, helpers: None, who: str, manager: str
) -> None:
    script = (
        f"R='/opt/bin/pyruntime --root /tmp/state --cgroup-manager {manager}'; cd /inner;"
        " $R create i < /dev/null > /tmp/out 2>&1 || cat /tmp/out;"
        " $R start i; $R state i | grep -c running; $R exec i id -u; $R exec i cat /proc/1/cmdline | tr '\\0' ' ';"
        " $R delete --force i; ls /tmp/state"
    )
    outer = make("sh", "-c", script)
    outer.linux["namespaces"].append({"type": "cgroup"})
    if who == "root":
        outer.user_namespace()
    else:
        ranged(outer)
    host_program(outer, binary)
    inner = inner_bundle(outer, make, "sleep", "60")
    harness.chown_tree(inner.path, outer.linux["uidMappings"][0]["hostID"])
    result = (rt if who == "root" else user).run(outer, timeout=120)
    assert result.rc == 0, result
    assert result.out.split("\n") == ["1", "0", "sleep 60 "], result


def test_step_with_a_shell_at_every_stop_of_init(user: User, make: Make, tmp_path: Path) -> None:
    bundle = own(make()).sh("id -u; sleep 3").write()
    count = user("step", "--auto", bundle.path, harness.new_id()).out.count("\nstep ") + 1
    script = tmp_path / "script"
    script.write_text("s\n\n" * count)
    result = user("step", "--script", script, bundle.path, harness.new_id(), timeout=60)
    assert (result.rc, "\n0\n" in result.out) == (0, True), result
    assert result.out.count("left the shell") > 30
    assert "can't be joined" not in result.out
    assert re.search(r"hostname \S+ → inside$", result.out, re.MULTILINE)


def test_inspect_of_a_process_of_root(user: User) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        found = json.loads(user("inspect", "--json", "--pid", child.pid).out)
        page = user("inspect", "--pid", child.pid).out
    finally:
        child.kill()
        child.wait()
    assert found["namespaces"]["mount"] == {"inode": None, "own": None}
    assert "not readable for you: mount" in page
