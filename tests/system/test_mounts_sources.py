"""Where the sources of bind mounts are looked up, by the new mount API and by mount(2) alike."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, mount
from tests.system.mountinfo import rt as rt
from tests.system.mountinfo import source as source
from tests.system.mountinfo import way as way


def test_a_source_that_only_the_host_reaches(rt: Runtime, bundle: Bundle, source: Path) -> None:
    source.chmod(0o700)
    (source / "data").mkdir()
    bundle.config["mounts"].append(mount("/mnt", "bind", ["rbind"], str(source / "data")))
    bundle.user_namespace()
    result = rt.run(bundle)
    assert result.rc == 0, result


def test_more_sources_than_travel_at_a_time(rt: Runtime, bundle: Bundle, source: Path) -> None:
    for number in range(40):
        (source / str(number)).write_text(f"{number}\n")
        bundle.config["mounts"].append(mount(f"/mnt/{number}", "bind", ["bind", "ro"], str(source / str(number))))
    source.chmod(0o700)
    bundle.user_namespace()
    bundle.sh("cd /mnt; cat $(seq 0 39)")
    result = rt.run(bundle)
    assert result.out.split() == [str(number) for number in range(40)], result


def test_a_namespace_file_as_a_source(rt: Runtime, bundle: Bundle, source: Path) -> None:
    """Links of /proc/PID/ns lead past the root of every mount namespace, and what they show can be bound in each."""
    bundle.config["mounts"].append(mount("/mnt", "bind", ["bind"], "/proc/self/ns/net"))
    bundle.user_namespace()
    bundle.sh("stat -c %i /mnt")
    result = rt.run(bundle)
    assert result.out.split() == [str(os.stat("/proc/self/ns/net").st_ino)], result


@pytest.mark.parametrize("user", [False, True])
def test_a_source_that_an_earlier_mount_makes(rt: Runtime, bundle: Bundle, source: Path, user: bool) -> None:
    """Both ends given as paths of the host below the rootfs, as runc takes them; the host sees nothing of it."""
    (source / "file").write_text("first")
    source.parent.chmod(0o755)
    rootfs = str(bundle.rootfs)
    bundle.config["mounts"] += [
        mount("/one", "bind", ["bind"], str(source)),
        mount(f"{rootfs}/one/two", "tmpfs", ["mode=0755"]),
        mount(f"{rootfs}/one/two/three", "bind", ["bind"], f"{rootfs}/one"),
        mount(f"{rootfs}/all", "bind", ["rbind", "ro"], f"{rootfs}/one"),
    ]
    bundle.sh("cat /all/file /all/two/three/file; ls /all/two; (echo x > /all/new) 2>/dev/null || echo refused")
    if user:
        bundle.user_namespace()
        os.chown(source, 100000, 100000)
    result = rt.run(bundle)
    assert result.out == "firstfirstthree\nrefused\n", result
    assert os.listdir(source / "two") == []


@pytest.mark.parametrize("target", ["/canary", "../../../../../../../../canary"])
@pytest.mark.parametrize("user", [False, True])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_link_in_the_rootfs_makes_nothing_of_the_host_a_source(
    rt: Runtime, bundle: Bundle, tmp_path: Path, target: str, user: bool, earlier: bool
) -> None:
    """A source below the rootfs is looked up as the container would: its links are the image's, and hostile."""
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_text("of the host")
    (bundle.rootfs / "canary").mkdir()
    (bundle.rootfs / "canary" / "file").write_text("inside")
    aim = target if target.startswith("../") else str(canary)
    (bundle.rootfs / "link").symlink_to(aim)
    if aim == str(canary):
        (bundle.rootfs / aim[1:]).mkdir(parents=True)
        (bundle.rootfs / aim[1:] / "file").write_text("inside")
    if earlier:
        bundle.config["mounts"].append(mount("/link/deep", "tmpfs"))
    bundle.config["mounts"].append(mount("/seen", "bind", ["bind"], f"{bundle.rootfs}/link"))
    bundle.sh("cat /seen/file")
    if user:
        bundle.user_namespace()
    assert rt.run(bundle).out == "inside"
    assert os.listdir(canary) == ["file"]


@pytest.mark.parametrize("user", [False, True], ids=["root", "user namespace"])
def test_a_symlink_is_copied_and_leads_where_it_does_inside(
    rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path, user: bool
) -> None:
    """`copy-symlink`, as Podman writes its no-dereference; of what is no link it is a bind mount like others."""
    bundle = make("sh", "-c", "readlink /new/link; cat /new/link /new/file; touch /new/file || echo refused")
    if user:
        bundle.user_namespace()
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "file").write_text("file\n")
    for name in ("link", "file"):
        bundle.config["mounts"].append(mount(f"/new/{name}", "bind", ["rbind", "ro", "copy-symlink"]))
        bundle.config["mounts"][-1]["source"] = str(tmp_path / name)
    inside = (bundle.rootfs / "etc/passwd").read_text()
    for _ in range(2):  # the second time it is there already
        result = rt.run(bundle)
        assert result.out == f"/etc/passwd\n{inside}file\nrefused\n", result
    (bundle.rootfs / "new/link").unlink()
    (bundle.rootfs / "new/link").symlink_to("/etc/group")
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert "/new/link in the rootfs leads to /etc/group" in result.err


@pytest.mark.parametrize("user", [False, True], ids=["root", "user namespace"])
def test_a_symlink_of_the_host_is_not_read_through_the_rootfs(
    rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path, user: bool
) -> None:
    """A source below the rootfs whose folder is a link of the image's: what it says is looked up inside."""
    bundle = make("readlink", "/seen")
    if user:
        bundle.user_namespace()
    (tmp_path / "link").symlink_to("/of/the/host")
    (bundle.rootfs / str(tmp_path)[1:]).mkdir(parents=True)
    (bundle.rootfs / str(tmp_path)[1:] / "link").symlink_to("/inside")
    (bundle.rootfs / "folder").symlink_to(tmp_path)
    bundle.config["mounts"].append(mount("/seen", "bind", ["bind", "copy-symlink"], f"{bundle.rootfs}/folder/link"))
    assert rt.run(bundle).out == "/inside\n"
