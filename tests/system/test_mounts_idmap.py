"""Id-mapped mounts: whose the files are, seen from inside and written from inside."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system import harness
from tests.system.harness import Bundle, Runtime, mount, new_id
from tests.system.remounted import Remounted

MADE = "stat -c %u:%g /mnt/file; echo x > /mnt/made; stat -c %u:%g /mnt/made"


def maps(first: int, size: int = 65536, inside: int = 0) -> "list[dict[str, int]]":
    return [{"containerID": inside, "hostID": first, "size": size}]


def bind(source: Path, *options: str, **more: Any) -> "dict[str, Any]":
    return {**mount("/mnt", "bind", ["bind", *options], str(source)), **more}


def own(first: int, **how: int) -> "dict[str, Any]":
    """The mount's own maps."""
    return {"uidMappings": maps(first, **how), "gidMappings": maps(first, **how)}


@pytest.fixture(params=["tmpfs", "ext4", "the test's own"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> "Iterator[Path]":
    """A folder on a filesystem that takes id maps, with a file of user 0 and one of user 1000."""
    folder = tmp_path / "source"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = request.param != "the test's own"
    if request.param == "tmpfs":
        assert libc.mount(b"none", str(folder).encode(), b"tmpfs", 0, b"size=1m") == 0
    elif request.param == "ext4":
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("needs mkfs.ext4")
        image = tmp_path / "image"
        with image.open("wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", image], check=True)
        if subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, check=False).returncode:
            pytest.skip("needs loop devices")
    for name, owner in (("file", 0), ("other", 1000)):
        (folder / name).write_text("")
        os.chown(folder / name, owner, owner)
    yield folder
    if mounted:
        subprocess.run(["umount", folder], check=True)


def owner(path: Path) -> "tuple[int, int]":
    return path.stat().st_uid, path.stat().st_gid


def test_the_container_s_own_map(rt: Runtime, bundle: Bundle, source: Path) -> None:
    """`idmap`: what belongs to 0 on the disk belongs to root inside, and the other way round."""
    bundle.config["mounts"].append(bind(source, "idmap"))
    bundle.sh(f"{MADE}; stat -c %u /mnt/other").user_namespace()
    result = rt.run(bundle)
    assert result.out.split() == ["0:0", "0:0", "1000"], result
    assert owner(source / "made") == (0, 0)


def test_without_a_map_the_files_are_nobody_s(rt: Runtime, bundle: Bundle, source: Path) -> None:
    bundle.config["mounts"].append(bind(source))
    bundle.sh("stat -c %u:%g /mnt/file").user_namespace()
    assert rt.run(bundle).out == "65534:65534\n"


def test_maps_of_its_own(rt: Runtime, bundle: Bundle, source: Path) -> None:
    """What is 1000 on the disk is 0 inside."""
    bundle.config["mounts"].append(bind(source, **own(100000, inside=1000, size=1)))
    bundle.sh("stat -c %u:%g /mnt/other /mnt/file; echo x > /mnt/other && stat -c %u /mnt/other").user_namespace()
    result = rt.run(bundle)
    assert result.out.split() == ["0:0", "65534:65534", "0"], result
    assert owner(source / "other") == (1000, 1000)


def test_without_a_user_namespace(rt: Runtime, bundle: Bundle, source: Path) -> None:
    bundle.config["mounts"].append(bind(source, **own(5000)))
    bundle.sh("stat -c %u:%g /mnt/file /mnt/other")
    assert rt.run(bundle).out.split() == ["5000:5000", "6000:6000"]
    bundle.process["user"] = {"uid": 5000, "gid": 5000}
    bundle.sh("echo x > /mnt/file && echo written; cat /proc/self/mountinfo | grep -o '/mnt.*idmapped'")
    result = rt.run(bundle)
    assert result.out.startswith("written\n/mnt"), result
    assert owner(source / "file") == (0, 0)


def test_a_joined_user_namespace(rt: Runtime, bundle: Bundle, source: Path, make: Any) -> None:
    first, one = make("sleep", "60").user_namespace(), new_id()
    assert rt.create(first, id=one).rc == 0
    bundle.config["mounts"].append(bind(source, "idmap"))
    bundle.sh(MADE).user_namespace()
    for entry in bundle.linux["namespaces"]:
        if entry["type"] == "user":
            entry["path"] = f"/proc/{rt.state(one)['pid']}/ns/user"
    result = rt.run(bundle)
    assert result.out.split() == ["0:0", "0:0"], result
    assert owner(source / "made") == (0, 0)
    assert rt("delete", "--force", one).rc == 0


def test_flags_and_propagation_stay(rt: Runtime, bundle: Bundle, source: Path) -> None:
    bundle.config["mounts"].append(bind(source, "idmap", "ro", "nosuid", "private"))
    bundle.sh("grep ' /mnt ' /proc/self/mountinfo; touch /mnt/x || echo refused").user_namespace()
    result = rt.run(bundle)
    options = result.out.split()[5].split(",")
    assert {"ro", "nosuid", "idmapped"} <= set(options), result
    assert "refused" in result.out


@pytest.mark.parametrize(("word", "below"), [("idmap", "65534"), ("ridmap", "0")])
def test_mounts_below(rt: Runtime, bundle: Bundle, tmp_path: Path, word: str, below: str) -> None:
    source = tmp_path / "tree"
    (source / "sub").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", source / "sub"], check=True)
    try:
        bundle.config["mounts"].append(mount("/mnt", "bind", ["rbind", word], str(source)))
        bundle.sh("stat -c %u /mnt /mnt/sub").user_namespace()
        assert rt.run(bundle).out.split() == ["0", below]
    finally:
        subprocess.run(["umount", source / "sub"], check=True)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("idmap=uids=0-100005-1#1000-100006-1;gids=0-100007-2", ["5:7", "6:65534"]),
        ("idmap=uids=@0-5-1#@1000-6-1;gids=@0-7-2", ["5:7", "6:65534"]),
        ("idmap=uids=@0-5-1", ["5:0", "65534:1000"]),
    ],
)
def test_maps_in_the_option(rt: Runtime, bundle: Bundle, source: Path, text: str, seen: "list[str]") -> None:
    bundle.config["mounts"].append(bind(source, text))
    bundle.sh("stat -c %u:%g /mnt/file /mnt/other").user_namespace()
    result = rt.run(bundle)
    assert result.out.split() == seen, result


def test_a_filesystem_without_id_maps(rt: Runtime, bundle: Bundle) -> None:
    bundle.config["mounts"].append(bind(Path("/sys/class"), "idmap"))
    bundle.user_namespace()
    result = rt.run(bundle)
    assert result.rc == 1
    assert "mounts[7]: cannot id-map /sys/class: invalid argument; its filesystem does not support" in result.err


def test_other_users_can_not(rt: Runtime, bundle: Bundle, tmp_path: Path) -> None:
    """Refused before anything is made."""
    bundle.config["mounts"].append(bind(tmp_path, "idmap"))
    bundle.user_namespace(1000, 1)
    bundle.write()
    tmp_path.joinpath("state").mkdir()
    os.chown(tmp_path / "state", 1000, 1000)
    command = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", rt.binary]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("needs a tree that user 1000 may reach")
    command += ["--root", str(tmp_path / "state"), "run", "--bundle", str(bundle.path), new_id()]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "mounts[7].options: id-mapped mounts are root's to make" in result.stderr
    assert os.listdir(tmp_path / "state") == []


def test_killed_while_mapping(rt: Runtime, bundle: Bundle, source: Path) -> None:
    """The process that holds the map ends with the command, whenever that is killed."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    bundle.config["mounts"].append(bind(source, **own(5000)))
    bundle.write()
    for call, when in (("mount_setattr", 1), ("mount_setattr", 2), ("mount_setattr", 3), ("waitid,wait4", 1)):
        name = new_id()
        command = ["strace", "-D", "-qq", "-f", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={when}"]
        command += rt.command("run", "--bundle", bundle.path, name)
        subprocess.run(
            command, capture_output=True, check=False, timeout=20 * harness.PATIENCE, stdin=subprocess.DEVNULL
        )
        rt("delete", "--force", name)
    harness.wait_until(lambda: not rt.containers(), "no state is left")


@pytest.mark.parametrize("user", [False, True])
def test_flags_of_the_source_are_locked_in_a_user_namespace(
    rt: Runtime, bundle: Bundle, remounted: Remounted, user: bool
) -> None:
    """As without a map: the copy that is mapped is init's."""
    source = remounted("ro,nodev")
    (bundle.config["mounts"]).append({**mount("/mnt", "bind", ["bind", "nosuid"], str(source)), **own(100000)})
    bundle.config["mounts"].append({**mount("/rw", "bind", ["bind", "rw"], str(source)), **own(100000)})
    bundle.sh("grep -c ' /mnt .*ro,nosuid,nodev' /proc/self/mounts")
    if user:
        bundle.user_namespace()
        assert f"mounts[8].options: cannot clear locked flags of {source} (ro): " in rt.run(bundle).err
        bundle.config["mounts"].pop()
    result = rt.run(bundle)
    assert result.out == ("1\n" if user else "0\n"), result


@pytest.mark.parametrize("user", [False, True])
def test_a_source_that_an_earlier_mount_makes(rt: Runtime, bundle: Bundle, source: Path, user: bool) -> None:
    """The ids are mapped by the host, of a copy that init has taken: the host's own view of it stays as it was."""
    bundle.config["mounts"] += [
        mount("/one", "bind", ["bind"], str(source)),
        {**mount("/mnt", "bind", ["rbind"], f"{bundle.rootfs}/one"), **own(100000)},
    ]
    bundle.sh("stat -c %u:%g /mnt/file /mnt/other /one/other")
    if user:
        bundle.user_namespace()
    shown = ["0:0", "1000:1000", "65534:65534"] if user else ["100000:100000", "101000:101000", "1000:1000"]
    result = rt.run(bundle)
    assert result.out.split() == shown, result
    assert owner(source / "other") == (1000, 1000)
