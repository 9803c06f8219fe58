"""User namespaces: who owns what inside and outside, and what their root can't do."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.system import harness, leaks
from tests.system.harness import Bundle, Runtime, mount, new_id


def test_maps_and_ids(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    script = "id -u; cat /proc/self/uid_map /proc/self/gid_map; touch /tmp/made; stat -c %u:%g / /tmp/made"
    bundle = make("sh", "-c", script)
    bundle.user_namespace(200000, 1000)
    result = rt.run(bundle)
    assert result.rc == 0, result
    words = result.out.split()
    assert words == ["0", "0", "200000", "1000", "0", "200000", "1000", "0:0", "0:0"]
    made = (bundle.rootfs / "tmp/made").stat()
    assert (made.st_uid, made.st_gid) == (200000, 200000)


def test_several_lines_and_other_user(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("sh", "-c", "cat /proc/self/uid_map; id -u; id -g; id -G").user_namespace(300000, 1)
    for name in ("uidMappings", "gidMappings"):
        bundle.linux[name] += [{"containerID": 10, "hostID": 400000, "size": 100}]
    bundle.process["user"] = {"uid": 15, "gid": 20, "additionalGids": [30]}
    bundle.config["mounts"][2]["options"] = ["newinstance", "ptmxmode=0666", "mode=0620"]  # group 5 has no map here
    result = rt.run(bundle)
    assert result.out.split() == ["0", "300000", "1", "10", "400000", "100", "15", "20", "20", "30"], result


def test_everything_belongs_to_the_new_namespace(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """With all capabilities inside, the root of the namespace sets its names and addresses, and nothing of the host."""
    script = "hostname other && hostname; ifconfig lo 127.0.0.2 && echo net; mknod /x c 1 3 || echo refused"
    bundle = make("sh", "-c", script).user_namespace()
    every = ["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_MKNOD", "CAP_DAC_OVERRIDE"]
    bundle.process["capabilities"] = {kind: every for kind in ("bounding", "permitted", "effective")}
    result = rt.run(bundle)
    assert result.out.splitlines() == ["other", "net", "refused"], result


def test_bind_source_that_only_the_host_reaches(rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path) -> None:
    """The source lies in a folder closed to the mapped root; the command opens it."""
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    (closed / "data/file").write_text("content\n")
    closed.chmod(0o700)
    bundle = make("cat", "/mnt/file").user_namespace()
    (bundle.rootfs / "mnt").mkdir()
    bundle.config["mounts"].append(mount("/mnt", "bind", ["rbind", "ro"], str(closed / "data")))
    result = rt.run(bundle)
    assert (result.rc, result.out) == (0, "content\n"), result


def test_mounts_below_a_bind_do_not_travel_to_the_host(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """Whatever root inside mounts stays inside: the copies are slaves of the host's mounts at most."""
    for user in (False, True):
        bundle, name = make("sh", "-c", "mount -t tmpfs none /mnt/sub && echo mounted; exec sleep 60"), new_id()
        source = bundle.path / "data"
        (source / "sub").mkdir(parents=True)
        (bundle.rootfs / "mnt").mkdir()
        bundle.config["mounts"].append(mount("/mnt", "bind", ["rbind"], str(source)))
        bundle.process["capabilities"] = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "permitted", "effective")}
        if user:
            bundle.user_namespace()
        before = leaks.mounts()
        result = rt.run(bundle, "--detach", id=name)
        assert result.rc == 0, result
        harness.wait_until(lambda result=result: result.out == "mounted\n", f"the mount is made: {result}")
        assert leaks.mounts() == before
        assert rt("delete", "--force", name).rc == 0


def test_life_and_exec(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle, name = make("sleep", "60").user_namespace(), new_id()
    assert rt.create(bundle, id=name).rc == 0
    pid = rt.state(name)["pid"]
    assert Path(f"/proc/{pid}/environ").stat().st_uid == 0  # not dumpable: its own user can't look into it
    assert rt("start", name).rc == 0
    harness.wait_until(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes(), "the program runs")
    harness.wait_until(lambda: "Uid:\t100000" in Path(f"/proc/{pid}/status").read_text(), "its user is the mapped one")
    result = rt("exec", "--user", "5:6", name, "sh", "-c", "id -u; id -g; readlink /proc/self/ns/user")
    assert result.out.split() == ["5", "6", os.readlink(f"/proc/{pid}/ns/user")], result
    assert rt("delete", "--force", name).rc == 0


def test_terminal(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("sh", "-c", "tty; stat -c %u /dev/console").user_namespace()
    bundle.process["terminal"] = True
    bundle.process["user"] = {"uid": 7, "gid": 7}
    bundle.write()
    master, slave = os.openpty()
    process, _ = rt.popen(
        "run", "--bundle", bundle.path, new_id(), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    assert process.wait(20) == 0
    os.close(slave)
    text = b""
    try:
        while piece := os.read(master, 4096):
            text += piece
    except OSError:
        pass
    os.close(master)
    assert text.split() == [b"/dev/pts/0", b"7"]


def test_joined_user_namespace(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """A second container in the first one's user and network namespaces, as in a pod."""
    first, one, two = make("sleep", "60").user_namespace(), new_id(), new_id()
    assert rt.create(first, id=one).rc == 0
    pid = rt.state(one)["pid"]
    script = "readlink /proc/self/ns/user; readlink /proc/self/ns/net; id -u; stat -c %u:%g /dev/mqueue"
    second = make("sh", "-c", script).user_namespace()
    second.config["mounts"].append(mount("/dev/mqueue", "mqueue", ["nosuid", "noexec", "nodev"], "mqueue"))
    for entry in second.linux["namespaces"]:
        if entry["type"] in ("user", "network"):
            entry["path"] = f"/proc/{pid}/ns/{entry['type'][:4].replace('netw', 'net')}"
    result = rt.run(second, id=two)
    wanted = [os.readlink(f"/proc/{pid}/ns/user"), os.readlink(f"/proc/{pid}/ns/net"), "0", "0:0"]
    assert result.out.split() == wanted, result
    assert rt("delete", "--force", one).rc == 0


def test_bind_source_that_only_the_host_reaches_in_a_joined_one(
    rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path
) -> None:
    """What containerd's CRI asks for in a pod with a user namespace: its folder, with the pod's files, is root's."""
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed/hostname").write_text("pod\n")
    first, second = new_id(), make("cat", "/etc/hostname").user_namespace()
    assert rt.create(make("sleep", "60").user_namespace(), id=first).rc == 0
    user = next(entry for entry in second.linux["namespaces"] if entry["type"] == "user")
    user["path"] = f"/proc/{rt.state(first)['pid']}/ns/user"
    second.config["mounts"].append(mount("/etc/hostname", "bind", ["rbind", "ro"], str(tmp_path / "closed/hostname")))
    result = rt.run(second)
    assert (result.rc, result.out) == (0, "pod\n"), result
    assert rt("delete", "--force", first).rc == 0


def test_sysctl_of_its_own_network(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("cat", "/proc/sys/net/ipv4/ip_forward").user_namespace()
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    before = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    assert rt.run(bundle).out == "1\n"
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == before


def test_every_namespace_of_another_container_is_joined(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """Also a time namespace, which was made ahead of the user namespace and is not that one's own."""
    first, second = new_id(), new_id()
    bundle = make("sleep", "60").user_namespace()
    bundle.linux["namespaces"].append({"type": "time"})
    bundle.linux["timeOffsets"] = {"monotonic": {"secs": 7881}}
    assert rt.run(bundle, "--detach", id=first).rc == 0
    pid = rt.state(first)["pid"]
    files = {"network": "net", "mount": ""}
    for entry in bundle.linux["namespaces"]:
        name = files.get(entry["type"], entry["type"])
        entry.update({"path": f"/proc/{pid}/ns/{name}"} if name else {})
    for key in ("uidMappings", "gidMappings", "timeOffsets"):
        del bundle.linux[key]
    result = rt.run(bundle, "--detach", id=second)
    assert result.rc == 0, result
    inside = rt("exec", second, "cat", "/proc/self/timens_offsets")
    assert inside.out.split()[:3] == ["monotonic", "7881", "0"], inside
    joined = rt.state(second)["pid"]
    assert rt("delete", "--force", second).rc == 0
    os.waitpid(joined, 0)  # PID 1 of a pid namespace does not end before all in there have been waited for
    assert rt("delete", "--force", first).rc == 0


def test_a_network_of_the_hosts_beside_a_joined_user_namespace(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    first, second = new_id(), new_id()
    bundle = make("sleep", "60").user_namespace()
    assert rt.run(bundle, "--detach", id=first).rc == 0
    network = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    harness.wait_until(
        lambda: os.stat(f"/proc/{network.pid}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino, "a network"
    )
    for entry in bundle.linux["namespaces"]:
        if entry["type"] == "network":
            entry["path"] = f"/proc/{network.pid}/ns/net"
        if entry["type"] == "user":
            entry["path"] = f"/proc/{rt.state(first)['pid']}/ns/user"
    del bundle.linux["uidMappings"], bundle.linux["gidMappings"]
    bundle.config["mounts"] = [each for each in bundle.config["mounts"] if each["type"] != "sysfs"]
    result = rt.run(bundle, "--detach", id=second)
    assert result.rc == 0, result
    inside = rt("exec", second, "readlink", "/proc/self/ns/net")
    assert inside.out.strip() == os.readlink(f"/proc/{network.pid}/ns/net"), inside
    network.kill()
    network.wait()
    for id in (second, first):
        assert rt("delete", "--force", id).rc == 0
