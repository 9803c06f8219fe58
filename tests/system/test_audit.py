"""Ways out of a container, and ways to lose one, that were once open."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system import leaks
from tests.system.harness import RACES, Bundle, Runtime, new_id, wait_until


@pytest.fixture
def name() -> str:
    return new_id()


def chrooted(bundle: Bundle) -> Bundle:
    """A container without a mount namespace: its root is a chroot."""
    bundle.without("mount")
    bundle.config["mounts"] = []
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    return bundle


def test_exec_without_a_mount_namespace_stays_in_the_root(
    rt: Runtime, make: "Callable[..., Bundle]", name: str
) -> None:
    bundle = chrooted(make("sleep", "60"))
    (bundle.rootfs / "mine").touch()
    assert rt.create(bundle, id=name).rc == 0
    try:
        assert rt("start", name).rc == 0
        assert rt("exec", name, "ls", "/").out.split() == sorted(os.listdir(bundle.rootfs))
        assert rt("exec", "--cwd", "/../../etc", name, "ls").out.split() == ["group", "passwd"]
    finally:
        rt("delete", "--force", name)


def test_sysctl_in_the_hosts_own_network(rt: Runtime, bundle: Bundle) -> None:
    """Joined by its path it looks like a namespace of the container's."""
    setting = Path("/proc/sys/net/ipv4/ip_default_ttl")
    before = setting.read_text()
    for entry in bundle.linux["namespaces"]:
        if entry["type"] == "network":
            entry["path"] = "/proc/self/ns/net"
    bundle.linux["sysctl"] = {"net.ipv4.ip_default_ttl": str(int(before) - 1)}
    try:
        result = rt.run(bundle)
        assert result.rc == 1
        assert 'net.ipv4.ip_default_ttl\\" is not in a separate kernel namespace' in result.err
        assert setting.read_text() == before
    finally:
        if setting.read_text() != before:
            setting.write_text(before)


@pytest.mark.slow
def test_device_modes_do_not_follow_a_swapped_name(rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path) -> None:
    """/dev without a mount, where somebody swaps a node for a link as fast as it can."""
    canary = tmp_path / "canary"
    canary.touch(0o600)
    bundle = make("true")
    bundle.config["mounts"] = [
        entry for entry in bundle.config["mounts"] if not entry["destination"].startswith("/dev")
    ]
    dev = bundle.rootfs / "dev"
    dev.mkdir()
    script = f"import os\nos.chdir({str(dev)!r})\nwhile True:\n  try:\n    os.symlink({str(canary)!r}, 'new')\n"
    script += "    os.rename('new', 'full')\n    os.unlink('full')\n  except OSError: pass\n"
    racer = subprocess.Popen([sys.executable, "-c", script])
    try:
        for _ in range(RACES):
            rt.run(bundle)
            assert canary.stat().st_mode & 0o777 == 0o600
    finally:
        racer.kill()
        racer.wait()


def test_a_second_signal_does_not_break_off_the_undoing(rt: Runtime, make: "Callable[..., Bundle]", name: str) -> None:
    bundle = make("true")
    hook = {"path": "/bin/sleep", "args": ["sleep", "30"]}
    bundle.config["hooks"] = {"createRuntime": [hook]}
    bundle.write()
    process, base = rt.popen("create", "--bundle", bundle.path, name)
    state = rt.root / name / "state.json"
    wait_until(lambda: state.exists() and (rt.root / name / "exec.fifo").exists(), "init is on its way")
    time.sleep(0.2)
    for _ in range(40):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.0005)
    process.wait(10)
    assert process.returncode == 143
    assert rt.containers() == []
    assert base.with_suffix(".err").read_text().count("\n") == 1


def test_a_bound_node_can_not_be_changed(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """Where mknod is refused the host's node is bound: its mode stays the host's business."""
    strace = Path("/usr/bin/strace")
    if not strace.exists():
        pytest.skip("needs strace, to make mknod fail")
    before = os.stat("/dev/full").st_mode
    bundle = make().sh("chmod 600 /dev/full; echo x > /dev/null && head -c 1 /dev/zero | wc -c")
    bundle.process["capabilities"] = {kind: ["CAP_FOWNER"] for kind in ("bounding", "effective", "permitted")}
    bundle.write()
    command = rt.command("run", "--bundle", bundle.path, new_id())
    inject = [str(strace), "-D", "-qq", "-f", "-o", "/dev/null", "-e", "inject=mknodat:error=EPERM"]
    done = subprocess.run([*inject, *command], capture_output=True, text=True, timeout=20)
    assert done.stdout == "1\n", done
    assert "Read-only file system" in done.stderr
    assert os.stat("/dev/full").st_mode == before


def test_capabilities_are_read_back(rt: Runtime, bundle: Bundle) -> None:
    """A capset that only says it worked is found out."""
    strace = Path("/usr/bin/strace")
    if not strace.exists():
        pytest.skip("needs strace, to make capset lie")
    bundle.sh("echo RAN").write()
    command = rt.command("run", "--bundle", bundle.path, new_id())
    inject = [str(strace), "-D", "-qq", "-f", "-o", "/dev/null", "-e", "inject=capset:retval=0"]
    done = subprocess.run([*inject, *command], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (1, "")
    assert "process.capabilities" in done.stderr


def test_a_created_init_is_out_of_reach(rt: Runtime, make: "Callable[..., Bundle]", name: str) -> None:
    """Not dumpable: its files in /proc are root's though it has the container's ids already."""
    bundle = make("true").user_namespace()
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    assert rt.create(bundle, id=name).rc == 0
    pid = rt.state(name)["pid"]
    try:
        assert "Uid:\t101000" in Path(f"/proc/{pid}/status").read_text()
        assert {os.stat(f"/proc/{pid}/{file}").st_uid for file in ("fd", "mem", "environ", "maps")} == {0}
    finally:
        rt("delete", "--force", name)


def test_claimed_cgroup_is_removed_after_a_full_table(rt: Runtime, bundle: Bundle, name: str) -> None:
    """A cgroup that was made but could not be opened is taken back too."""
    strace = Path("/usr/bin/strace")
    if not strace.exists():
        pytest.skip("needs strace, to make open fail")
    bundle.linux["cgroupsPath"] = f"/{name}"
    bundle.write()
    mount_point = leaks.cgroup2_mount()
    command = rt.command("run", "--bundle", bundle.path, name)
    inject = [str(strace), "-D", "-qq", "-f", "-o", "/dev/null", "-P", f"{mount_point}/{name}"]
    done = subprocess.run(
        [*inject, "-e", "inject=openat:error=EMFILE:when=1", *command], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert "MakeCgroup" in done.stderr
    assert not Path(mount_point, name).exists()
