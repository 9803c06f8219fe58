"""Root file systems made to lead the runtime astray: nothing outside is touched, read or hung on."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import leaks
from tests.system.harness import RACES, Bundle, Runtime, emptied, mount, new_id
from tests.system.refusing import wrapped

SWAP = """
import os, sys, time
link, folder = sys.argv[1], sys.argv[2]
end = time.monotonic() + float(sys.argv[3])
import ctypes
libc = ctypes.CDLL(None)
while time.monotonic() < end:
    libc.renameat2(-100, link.encode(), -100, folder.encode(), 2)
"""


@pytest.fixture(params=["all calls", "no openat2", "old calls"])
def rt(request: pytest.FixtureRequest, launcher: Path, tmp_path: Path) -> "Iterator[Runtime]":
    """pyruntime of this tree: as it is, without openat2, and without the new mount API as well."""
    yield from emptied(Runtime(wrapped(request.param, launcher, tmp_path), tmp_path / "rt"))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A folder of the host that holds one file, and must hold it and nothing else afterwards."""
    folder = tmp_path / "canary"
    folder.mkdir()
    (folder / "secret").write_text("a secret of the host\n")
    return folder


def untouched(canary: Path) -> None:
    assert os.listdir(canary) == ["secret"]
    assert (canary / "secret").read_text() == "a secret of the host\n"
    assert (canary / "secret").stat().st_mode & 0o7777 == 0o644


def relative(canary: Path, rootfs: Path) -> str:
    """The way from the rootfs to the canary, for links that climb."""
    return os.path.relpath(canary, rootfs)


def without_dev(bundle: Bundle) -> None:
    """Nothing is mounted on /dev: the rootfs's own is used."""
    mounts = bundle.config["mounts"]
    bundle.config["mounts"] = [entry for entry in mounts if not entry["destination"].startswith("/dev")]


@pytest.mark.parametrize("target", ["absolute", "relative", "climbing"])
def test_mount_below_a_link(rt: Runtime, bundle: Bundle, canary: Path, target: str) -> None:
    ways = {
        "absolute": str(canary),
        "relative": relative(canary, bundle.rootfs),
        "climbing": "../" * 30 + f"{canary}"[1:],
    }
    (bundle.rootfs / "lnk").symlink_to(ways[target])
    bundle.config["mounts"].append(mount("/lnk/new/deep", "tmpfs"))
    bundle.sh("cat /proc/self/mountinfo")
    result = rt.run(bundle)
    assert result.rc == 0, result
    assert "/new/deep " in result.out
    untouched(canary)


@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("target", ["/tmp", "tmp", "x/proc", "/etc/passwd", "/no/where"])
def test_linked_proc_and_sys(rt: Runtime, bundle: Bundle, name: str, target: str) -> None:
    (bundle.rootfs / name).symlink_to(target)
    result = rt.run(bundle)
    assert result.rc == 1
    assert "must be mounted on ordinary directory" in result.err
    assert f"/{name}" in result.err


def test_linked_proc_from_a_bind_mount(rt: Runtime, bundle: Bundle, tmp_path: Path) -> None:
    """The link is brought by an earlier mount of the same config."""
    other = tmp_path / "other"
    (other / "sub").mkdir(parents=True)
    (other / "proc").symlink_to("sub")
    bundle.config["mounts"] = [
        mount("/", "bind", ["rbind"], str(other)),
        *bundle.config["mounts"],
    ]
    result = rt.run(bundle)
    assert result.rc == 1
    assert "mounts[0].destination" in result.err
    bundle.config["mounts"][0]["destination"] = "/over"
    bundle.config["mounts"][1]["destination"] = "/over/proc"
    result = rt.run(bundle)
    assert result.rc == 1
    assert "must be mounted on ordinary directory" in result.err


@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_linked_dev_without_a_mount(rt: Runtime, bundle: Bundle, canary: Path, kind: str) -> None:
    """Device nodes are made without a /dev of their own: never in the folder the link leads to on the host."""
    without_dev(bundle)
    (bundle.rootfs / "dev").symlink_to(str(canary) if kind == "absolute" else relative(canary, bundle.rootfs))
    rt.run(bundle)
    untouched(canary)


@pytest.mark.parametrize("name", ["ptmx", "null", "console", "fd", "stdin", "shm", "pts", "mqueue"])
def test_linked_names_in_dev(rt: Runtime, bundle: Bundle, canary: Path, name: str) -> None:
    without_dev(bundle)
    (bundle.rootfs / "dev").mkdir()
    (bundle.rootfs / "dev" / name).symlink_to(canary / "secret")
    bundle.process["terminal"] = name == "console"
    rt.run(bundle)
    untouched(canary)


@pytest.mark.parametrize("device", ["/dev/deep/x", "/lnk/x", "/lnk/secret"])
def test_devices_below_links(rt: Runtime, bundle: Bundle, canary: Path, device: str) -> None:
    (bundle.rootfs / "lnk").symlink_to(canary)
    bundle.linux["devices"] = [{"path": device, "type": "c", "major": 1, "minor": 3}]
    result = rt.run(bundle)
    assert result.rc == 0, result
    untouched(canary)


def test_working_directory_below_a_link(rt: Runtime, make: "Callable[..., Bundle]", canary: Path) -> None:
    bundle = make("sh", "-c", "pwd; ls")
    (bundle.rootfs / "lnk").symlink_to(canary)
    bundle.process["cwd"] = "/lnk/new"
    result = rt.run(bundle)
    assert result.rc == 0, result
    assert "secret" not in result.out
    untouched(canary)


def test_linked_null_and_masked_paths(rt: Runtime, make: "Callable[..., Bundle]", canary: Path) -> None:
    """A forged /dev/null must not be what covers a masked file."""
    bundle = make("sh", "-c", "cat /proc/keys; echo x > /proc/keys")
    without_dev(bundle)
    (bundle.rootfs / "dev").mkdir()
    (bundle.rootfs / "dev/null").symlink_to("/proc/sys/kernel/core_pattern")
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    result = rt.run(bundle)
    assert (result.rc == 1) or result.out == "", result
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_masked_files_are_the_kernels_null(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """Nobody inside can read through the cover, nor change the node below it."""
    bundle = make(
        "sh", "-c", "cat /proc/keys; echo x > /proc/keys; chmod 600 /proc/keys; stat -c '%t:%T %a' /proc/keys"
    )
    before = os.stat("/dev/null").st_mode
    result = rt.run(bundle)
    assert result.out == "1:3 666\n"
    assert "Read-only file system" in result.err
    assert os.stat("/dev/null").st_mode == before


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "link", "climbing link", "sparse", "long lines"])
def test_passwd_of_any_kind(rt: Runtime, make: "Callable[..., Bundle]", canary: Path, kind: str) -> None:
    """HOME is looked up there; no kind of file hangs us, exhausts us or lets us read the host's."""
    bundle = make("sh", "-c", "echo $HOME")
    passwd = bundle.rootfs / "etc/passwd"
    passwd.unlink()
    (canary / "secret").write_text("root:x:0:0::/stolen:/bin/sh\n")
    if kind == "fifo":
        os.mkfifo(passwd)
    elif kind == "device":
        os.mknod(passwd, 0o20666, os.makedev(1, 5))
    elif kind == "folder":
        passwd.mkdir()
    elif "link" in kind:
        passwd.symlink_to(canary / "secret" if kind == "link" else "../" * 20 + str(canary / "secret")[1:])
    elif kind == "sparse":
        with open(passwd, "wb") as file:
            file.truncate(1 << 30)
    else:
        passwd.write_bytes(b"x" * 5000000 + b"\nroot:x:0:0::/late:/bin/sh\n")
    result = rt.run(bundle, preexec_fn=_little_memory)
    assert (result.rc, result.out) == (0, "/\n"), result
    assert result.seconds < 5


def _little_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))


def test_modules_that_shadow_the_runtimes(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """Hostile modules at the interpreter's own library path, in the bundle and in the caller's folder are never run."""
    bundle = make("true")
    marker = bundle.path / "marker"
    code = f"open({str(marker)!r}, 'w').write('x'); open('/marker', 'w').write('x')\n"
    names = ["os", "json", "re", "traceback", "codecs", "socket", "encodings/__init__", "pyruntime/__init__"]
    version = f"python3.{sys.version_info[1]}"
    for folder in (bundle.rootfs / "usr/lib" / version, bundle.rootfs / "usr/lib/python3.11", bundle.path):
        for name in names:
            path = folder / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
    here = str(bundle.path)
    hostile = {"PYTHONPATH": here, "PYTHONHOME": here, "PYTHONSTARTUP": f"{here}/os.py", "PYTHONINSPECT": "1"}
    assert rt.run(bundle, cwd=bundle.path, env=hostile).rc == 0
    bundle.process["args"] = ["no-such"]
    assert rt.run(bundle, cwd=bundle.path, env=hostile).rc == 1
    bundle.process["args"] = ["true"]
    bundle.config["hostname"] = "ü" * 10
    rt.run(bundle, cwd=bundle.path, env=hostile)
    assert not marker.exists()
    assert not (bundle.rootfs / "marker").exists()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["target", "parent"])
def test_swapped_while_starting(rt: Runtime, make: "Callable[..., Bundle]", canary: Path, where: str) -> None:
    """A folder and a link change places all the time: each start is right or refused, the canary never changes."""
    bundle = make("true")
    (bundle.rootfs / "a/deep").mkdir(parents=True)
    (bundle.rootfs / "b").symlink_to(canary)
    bundle.config["mounts"].append(mount("/a" if where == "target" else "/a/deep/er", "tmpfs"))
    bundle.linux["devices"] = [{"path": "/a/deep/node", "type": "c", "major": 1, "minor": 3}]
    bundle.linux["maskedPaths"].append("/a/secret")
    bundle.write()
    swapper = subprocess.Popen([sys.executable, "-c", SWAP, bundle.rootfs / "a", bundle.rootfs / "b", "600"])
    try:
        codes = [rt("run", "--bundle", bundle.path, new_id()).rc for _ in range(RACES)]
    finally:
        swapper.kill()
        swapper.wait()
    assert set(codes) <= {0, 1}
    assert 0 in codes
    untouched(canary)


def test_old_root_is_gone(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """Every mount inside was asked for; none shows a tree of the host."""
    bundle = make("cat", "/proc/self/mountinfo")
    lines = rt.run(bundle).out.splitlines()
    inside = [line.split()[4] for line in lines]
    wanted = {"/", *(entry["destination"] for entry in bundle.config["mounts"])}
    covered = set(bundle.linux["maskedPaths"]) | set(bundle.linux["readonlyPaths"])
    assert set(inside) - wanted <= covered
    assert len(inside) == len(set(inside))
    (root,) = [line.split()[3] for line in lines if line.split()[4] == "/"]
    assert root.endswith("/rootfs")


def test_no_pivot_hides_the_host_too(rt: Runtime, make: "Callable[..., Bundle]", canary: Path) -> None:
    bundle = make("sh", "-c", f"ls {canary}; ls /..; cat /proc/1/mountinfo")
    result = rt.run(bundle, "--no-pivot")
    assert "secret" not in result.out
    assert "No such file" in result.err


def test_linked_proc_brought_by_a_bind(rt: Runtime, bundle: Bundle, tmp_path: Path) -> None:
    """An engine's own mount may be hostile too: a volume that holds a link where proc is to be mounted."""
    volume = tmp_path / "volume"
    (volume / "elsewhere").mkdir(parents=True)
    (volume / "sys").symlink_to("elsewhere")
    (volume / "dev").symlink_to("/proc")
    bundle.config["mounts"][:0] = [mount("/volume", "bind", ["rbind"], str(volume))]
    bundle.config["mounts"].append(mount("/volume/sys", "sysfs", ["ro"]))
    result = rt.run(bundle)
    assert result.rc == 1
    assert "must be mounted on ordinary directory" in result.err
    bundle.config["mounts"][-1] = mount("/volume/dev/sys", "tmpfs")
    result = rt.run(bundle)
    assert result.rc == 1
    assert "inside /proc" in result.err


@pytest.mark.parametrize("link", ["/proc", "/proc/self", "/proc/sys", "proc/../proc/sys"])
def test_mounts_that_a_link_leads_into_proc(rt: Runtime, bundle: Bundle, link: str) -> None:
    """By the text the destination is harmless; what it resolves to is not."""
    (bundle.rootfs / "lnk").symlink_to(link)
    bundle.config["mounts"].append(mount("/lnk/kernel", "tmpfs"))
    result = rt.run(bundle)
    assert result.rc == 1
    assert "/lnk/kernel" in result.err


@pytest.mark.parametrize("kind", ["file", "folder", "link", "other number", "block"])
def test_devices_that_are_something_else(rt: Runtime, bundle: Bundle, canary: Path, kind: str) -> None:
    """A node in the rootfs that is not the one asked for is an error, never taken for it."""
    place = bundle.rootfs / "node"
    if kind == "file":
        place.write_text("")
    elif kind == "folder":
        place.mkdir()
    elif kind == "link":
        place.symlink_to(canary / "secret")
    else:
        os.mknod(place, 0o60666 if kind == "block" else 0o20666, os.makedev(1, 5 if kind == "other number" else 3))
    bundle.linux["devices"] = [{"path": "/node", "type": "c", "major": 1, "minor": 3}]
    result = rt.run(bundle)
    assert result.rc == 1
    assert "linux.devices[0]: /node exists in the rootfs and is not the device c 1:3" in result.err
    untouched(canary)


@pytest.mark.parametrize("victim", ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/domainname"])
def test_forged_null_never_unmasks(rt: Runtime, bundle: Bundle, victim: str) -> None:
    """/dev/null of the rootfs leads to a kernel file: with a /dev mount and without, nothing binds it over a mask."""
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    bundle.linux["maskedPaths"] = [victim, "/proc/keys"]
    bundle.sh(f"echo x > {victim}; stat -c %t:%T {victim} /proc/keys; echo y > /proc/keys")
    for with_dev in (True, False):
        if not with_dev:
            without_dev(bundle)
            (bundle.rootfs / "dev").mkdir(exist_ok=True)
            (bundle.rootfs / "dev/null").unlink(missing_ok=True)
            (bundle.rootfs / "dev/null").symlink_to(victim)
        result = rt.run(bundle)
        if result.rc != 1:
            assert result.out == "1:3\n1:3\n", result
        assert Path("/proc/sys/kernel/core_pattern").read_text() == before


@pytest.mark.slow
def test_source_swapped_while_starting(rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path) -> None:
    """The source is a folder or a link out of it: the mount shows one of the two whole, read-only in either case."""
    bundle = make("sh", "-c", "cat /mnt/name; touch /mnt/new || echo refused")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(f"{name}\n")
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/name").write_text("volume\n")
    (tmp_path / "link").symlink_to("two")
    bundle.config["mounts"].append(mount("/mnt", "bind", ["rbind", "ro"], str(tmp_path / "volume")))
    bundle.write()
    swapper = subprocess.Popen([sys.executable, "-c", SWAP, tmp_path / "link", tmp_path / "volume", "600"])
    seen = set()
    try:
        for _ in range(RACES):
            result = rt("run", "--bundle", bundle.path, new_id())
            assert result.rc == 0, result
            seen.add(result.out)
    finally:
        swapper.kill()
        swapper.wait()
    assert seen <= {"volume\nrefused\n", "two\nrefused\n"}
    assert not (tmp_path / "two/new").exists()


@pytest.mark.parametrize("kinds", [(), ("user",), ("user", "cgroup"), ("cgroup",)])
def test_no_writable_cgroup_of_the_host(rt: Runtime, bundle: Bundle, kinds: "tuple[str, ...]") -> None:
    """Asked for writable: without a cgroup namespace a user namespace gets the host's tree read-only or not at all."""
    bundle.config["mounts"][-1]["options"] = ["nosuid", "noexec", "nodev"]
    bundle.linux["namespaces"] += [{"type": kind} for kind in kinds if kind != "user"]
    if "user" in kinds:
        bundle.user_namespace()
    bundle.sh("cut -d' ' -f4,5 /proc/self/mountinfo | grep /sys/fs/cgroup; mkdir /sys/fs/cgroup/../cgroup/escaped")
    if kinds == ():
        bundle.config["mounts"][-1]["options"].append("ro")  # root without any of them is asked not to
    result = rt.run(bundle)
    if "cgroup" in kinds:
        assert result.out == "/ /sys/fs/cgroup\n", result
    else:
        assert "Read-only file system" in result.err, result
    assert not any(name == "escaped" for name in os.listdir(leaks.cgroup2_mount() or "/"))
