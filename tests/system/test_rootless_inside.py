"""pyruntime by root of a user namespace, and in a container of pyruntime's."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.system import harness
from tests.system.harness import Bundle, Runtime, mount, new_id
from tests.system.rootless import Make, live, refused
from tests.system.rootless import accounts as accounts
from tests.system.rootless import delegated as delegated
from tests.system.rootless import helpers as helpers
from tests.system.rootless import owner as owner
from tests.system.rootless import user as user
from tests.system.users import UID, User, ranged, without_tty_group

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
    rt: Runtime, user: User, make: Make, readable: Path, helpers: None, who: str, manager: str
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
    host_program(outer, readable)
    inner = inner_bundle(outer, make, "sleep", "60")
    harness.chown_tree(inner.path, outer.linux["uidMappings"][0]["hostID"])
    result = (rt if who == "root" else user).run(outer, timeout=120)
    assert result.rc == 0, result
    assert result.out.split("\n") == ["1", "0", "sleep 60 "], result
