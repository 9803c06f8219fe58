"""Every kind of mount as the payload sees it in its mountinfo, by the new mount API and by mount(2) alike."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import leaks
from tests.system.harness import Bundle, Runtime, mount, new_id
from tests.system.mountinfo import MOUNTINFO, Mounted, run, table
from tests.system.mountinfo import rt as rt
from tests.system.mountinfo import source as source
from tests.system.mountinfo import way as way
from tests.system.remounted import Remounted

# word -> the per-mount option in mountinfo (proc_pid_mountinfo(5)) and whether it has to be there
FLAGS = {
    "ro": ("ro", True), "rw": ("ro", False), "nosuid": ("nosuid", True), "suid": ("nosuid", False),
    "nodev": ("nodev", True), "dev": ("nodev", False), "noexec": ("noexec", True), "exec": ("noexec", False),
    "noatime": ("noatime", True), "atime": ("noatime", False), "relatime": ("relatime", True),
    "norelatime": ("noatime", False), "strictatime": ("relatime", False), "nodiratime": ("nodiratime", True),
    "diratime": ("nodiratime", False), "nosymfollow": ("nosymfollow", True), "symfollow": ("nosymfollow", False),
}  # fmt: skip
EVERY = ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"]


def new_api(way: str) -> bool:
    return way == "all calls"


def check(found: Mounted, word: str) -> None:
    option, there = FLAGS[word]
    assert (option in found.options) == there, (word, found.options)


@pytest.mark.parametrize("user", [False, True])
def test_every_flag(way: str, rt: Runtime, bundle: Bundle, source: Path, user: bool) -> None:
    """One mount for each word, of a bind and of a new tmpfs.

    How access times are kept is locked for a user namespace (mount_namespaces(7)).
    """
    locked = {word for word in FLAGS if word.endswith("time")} if user else set()
    for word in FLAGS:
        if word not in locked:
            bundle.config["mounts"].append(mount(f"/bind/{word}", "bind", ["rbind", word], str(source)))
        bundle.config["mounts"].append(mount(f"/tmpfs/{word}", "tmpfs", [word, "size=64k"]))
    if user:
        bundle.user_namespace()
    found = run(rt, bundle)
    for word in FLAGS:
        if word not in locked:
            check(found[f"/bind/{word}"], word)
        check(found[f"/tmpfs/{word}"], word)


def test_all_flags_together(rt: Runtime, bundle: Bundle, source: Path) -> None:
    bundle.config["mounts"].append(mount("/bind", "bind", ["bind", *EVERY], str(source)))
    bundle.config["mounts"].append(mount("/tmpfs", "tmpfs", EVERY))
    bundle.config["mounts"].append(mount("/file", "bind", ["bind", *EVERY], str(source / "file")))
    found = run(rt, bundle)
    for point in ("/bind", "/tmpfs", "/file"):
        assert set(EVERY) <= set(found[point].options), point
    assert found["/file"].root.endswith("/file")


def test_a_read_only_bind_can_not_be_written(rt: Runtime, bundle: Bundle, source: Path) -> None:
    bundle.config["mounts"].append(mount("/bind", "bind", ["rbind", "ro"], str(source)))
    bundle.config["mounts"].append(mount("/open", "bind", ["rbind"], str(source)))
    bundle.sh("echo x > /bind/file || echo refused; echo new > /open/file; cat /bind/file")
    result = rt.run(bundle)
    assert result.out == "refused\nnew\n", result


@pytest.mark.parametrize("kind", ["private", "slave", "shared", "unbindable"])
@pytest.mark.parametrize("recursive", [False, True])
def test_propagation(rt: Runtime, bundle: Bundle, source: Path, kind: str, recursive: bool) -> None:
    (source / "below").mkdir()
    harness_mount = mount("/bind", "bind", ["rbind", "r" * recursive + kind], str(source))
    bundle.config["mounts"] += [harness_mount, mount("/bind/below", "tmpfs")]
    found = run(rt, bundle)["/bind"]
    tags = {tag.partition(":")[0] for tag in found.tags}
    wanted = {"private": set(), "slave": {"master"}, "shared": {"shared"}, "unbindable": {"unbindable"}}[kind]
    assert wanted <= tags
    assert tags - wanted <= ({"master"} if kind == "shared" else set())


@pytest.fixture
def submount(source: Path) -> "Iterator[Path]":
    """A tmpfs below the source, on the host's side."""
    (source / "sub").mkdir()
    (source / "sub" / "hidden").write_text("")
    libc = harness_libc()
    assert libc.mount(b"none", str(source / "sub").encode(), b"tmpfs", 0, b"size=64k") == 0
    (source / "sub" / "inner").write_text("")
    yield source
    assert libc.umount2(str(source / "sub").encode(), 2) == 0


def harness_libc() -> "object":
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


@pytest.mark.parametrize(("word", "seen"), [("bind", "hidden"), ("rbind", "inner")])
def test_what_is_mounted_below(rt: Runtime, bundle: Bundle, submount: Path, word: str, seen: str) -> None:
    bundle.config["mounts"].append(mount("/mnt", "bind", [word, "ro"], str(submount)))
    bundle.sh("ls /mnt/sub; echo x > /mnt/sub/new && echo written")
    result = rt.run(bundle)
    assert result.out.split()[0] == seen, result
    assert ("written" in result.out) == (word == "rbind")  # `ro` is of the one mount


@pytest.mark.parametrize("word", ["rro", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rnosymfollow"])
def test_recursive_flags(way: str, rt: Runtime, bundle: Bundle, submount: Path, word: str) -> None:
    """All mounts below have the flag, or there is no container: never the top one alone."""
    bundle.config["mounts"].append(mount("/mnt", "bind", ["rbind", word], str(submount)))
    bundle.sh(MOUNTINFO)
    result = rt.run(bundle)
    if new_api(way):
        found = table(result.out)
        assert all(word[1:] in found[point].options for point in ("/mnt", "/mnt/sub"))
    else:
        assert (result.rc, result.out) == (1, "")
        assert "mounts[7].options: recursive attributes such as rro need Linux 5.12" in result.err
        assert result.err.count("\n") == 1


def test_a_recursive_flag_taken_back(way: str, rt: Runtime, bundle: Bundle, submount: Path) -> None:
    if not new_api(way):
        pytest.skip("needs mount_setattr")
    words = ["rbind", "rro", "rnosuid", "rnoatime", "rrw", "rstrictatime"]
    bundle.config["mounts"].append(mount("/mnt", "bind", words, str(submount)))
    found = run(rt, bundle)
    for point in ("/mnt", "/mnt/sub"):
        assert {"rw", "nosuid"} <= set(found[point].options)
        assert not {"noatime", "relatime"} & set(found[point].options)


@pytest.mark.parametrize("user", [False, True])
def test_remount(rt: Runtime, bundle: Bundle, source: Path, user: bool) -> None:
    """Nothing new is mounted: what is there gets the flags that are named and keeps the others."""
    bundle.config["mounts"] += [
        mount("/mnt", "bind", ["bind", "nosuid", "noexec"], str(source)),
        mount("/mnt", "none", ["remount", "ro", "nodev"]),
        mount("/tmpfs", "tmpfs", ["noexec", "size=64k"]),
        {"destination": "/tmpfs", "options": ["remount", "ro", "exec"]},
        mount("/dev", "tmpfs", ["remount", "ro"]),
    ]
    if user:
        bundle.user_namespace()
    bundle.sh(MOUNTINFO)
    result = rt.run(bundle)
    assert result.rc == 0, result
    points = [line.point for line in map(Mounted, result.out.splitlines())]
    assert len(points) == len(set(points))
    found = table(result.out)
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(found["/mnt"].options)
    assert "ro" in found["/tmpfs"].options
    assert "noexec" not in found["/tmpfs"].options
    assert "ro" in found["/dev"].options


def test_remount_of_nothing(rt: Runtime, bundle: Bundle) -> None:
    bundle.config["mounts"].append(mount("/etc", "none", ["remount", "ro"]))
    result = rt.run(bundle)
    assert result.rc == 1
    assert "mounts[7]: nothing is mounted at /etc; mount it, then remount" in result.err


def test_filesystems(rt: Runtime, bundle: Bundle) -> None:
    bundle.linux["namespaces"].append({"type": "cgroup"})
    found = run(rt, bundle)
    kinds = {"/proc": "proc", "/dev": "tmpfs", "/dev/pts": "devpts", "/dev/mqueue": "mqueue", "/sys": "sysfs"}
    assert {point: found[point].fstype for point in kinds} == kinds
    assert found["/sys/fs/cgroup"].fstype == "cgroup2"
    assert found["/sys/fs/cgroup"].root == "/"
    assert {"ro", "nosuid", "noexec", "nodev"} <= set(found["/sys/fs/cgroup"].options)
    assert {"ro", "nosuid", "noexec", "nodev"} <= set(found["/sys"].options)
    assert "size=65536k" in found["/dev"].superblock
    assert "mode=755" in found["/dev"].superblock


@pytest.mark.parametrize("user", [False, True])
def test_masks(rt: Runtime, bundle: Bundle, user: bool) -> None:
    if user:
        bundle.user_namespace()
    found = run(rt, bundle)
    for path in bundle.linux["readonlyPaths"]:
        if Path(path).exists():
            assert "ro" in found[path].options, path
    for path in bundle.linux["maskedPaths"]:
        if Path(path).is_dir():
            assert (found[path].fstype, "ro" in found[path].options) == ("tmpfs", True), path
        elif Path(path).exists():
            assert (found[path].root, "ro" in found[path].options) == ("/null", True), path


def test_read_only_paths_with_mounts_below(way: str, rt: Runtime, bundle: Bundle) -> None:
    """What is mounted below a read-only path is read-only too, or there is no container."""
    bundle.config["mounts"] += [mount("/tree", "tmpfs"), mount("/tree/below", "tmpfs")]
    bundle.linux["readonlyPaths"] = ["/tree"]
    bundle.sh(f"touch /tree/below/x /tree/x; {MOUNTINFO}")
    result = rt.run(bundle)
    if new_api(way):
        found = table(result.out)
        assert all("ro" in found[point].options for point in ("/tree", "/tree/below"))
    else:
        assert (result.rc, result.out) == (1, "")
        assert "ReadonlyPaths" in result.err


@pytest.mark.parametrize("flags", [[], ["--no-pivot"]])
@pytest.mark.parametrize("user", [False, True])
def test_nothing_but_what_was_asked_for(rt: Runtime, bundle: Bundle, flags: "list[str]", user: bool) -> None:
    """No mount of ours stays in sight, and the root is read-only."""
    bundle.config["root"]["readonly"] = True
    if user:
        bundle.user_namespace()
    bundle.sh(f"{MOUNTINFO}; touch /x || echo refused; ls -a /")
    result = rt.run(bundle, *flags)
    assert "refused" in result.out, result
    lines = [Mounted(line) for line in result.out.splitlines() if " - " in line]
    points = [line.point for line in lines]
    wanted = {"/", *(entry["destination"] for entry in bundle.config["mounts"])}
    covered = {*bundle.linux["maskedPaths"], *bundle.linux["readonlyPaths"]}
    nodes = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")} if user else set()
    assert set(points) - wanted - covered - nodes == set()
    assert len(points) == len(set(points))
    assert "ro" in table("\n".join(line for line in result.out.splitlines() if " - " in line))["/"].options
    assert ".pyruntime" not in result.out
    assert not [name for name in os.listdir(bundle.rootfs) if name.startswith(".pyruntime")]


def test_copy_up(rt: Runtime, bundle: Bundle) -> None:
    bundle.config["mounts"].append(mount("/etc", "tmpfs", ["tmpcopyup", "noexec"]))
    bundle.sh("cat /etc/group; echo new > /etc/group; stat -c %a /etc")
    before = (bundle.rootfs / "etc/group").read_text()
    result = rt.run(bundle)
    assert result.out.startswith(before), result
    assert (bundle.rootfs / "etc/group").read_text() == before


def test_copy_up_keeps_file_capabilities(rt: Runtime, bundle: Bundle) -> None:
    """Of a program that is not root's: a change of owner would take them away."""
    program = bundle.rootfs / "etc/program"
    program.touch()
    os.chown(program, 5, 5)
    capability = "0100000200040000000000000000000000000000"  # cap_net_bind_service=ep
    os.setxattr(program, "security.capability", bytes.fromhex(capability))
    bundle.config["mounts"].append(mount("/etc", "tmpfs", ["tmpcopyup"]))
    bundle.python("import os; print(os.getxattr('/etc/program', 'security.capability').hex())")
    assert rt.run(bundle).out == f"{capability}\n"


@pytest.mark.parametrize("target", ["/run/resolve/stub", "../run/resolve/stub", "../../../run/resolve/stub"])
def test_a_file_on_a_dangling_link(rt: Runtime, bundle: Bundle, source: Path, target: str) -> None:
    """The link is followed in the container's root, and what is missing is made there."""
    (bundle.rootfs / "etc/resolv.conf").symlink_to(target)
    bundle.config["mounts"].append(mount("/etc/resolv.conf", "bind", ["bind", "ro"], str(source / "file")))
    bundle.sh("cat /etc/resolv.conf; cat /run/resolve/stub")
    result = rt.run(bundle)
    assert result.out == "content\ncontent\n", result


def test_more_options_than_fit(way: str, rt: Runtime, bundle: Bundle) -> None:
    """mount(2) takes one page of them: what the kernel would cut off is refused, never left out."""
    bundle.config["mounts"].append(mount("/mnt", "tmpfs", [*["size=1048576"] * 400, "mode=0711"]))
    result = rt.run(bundle.sh("stat -c %a /mnt"))
    if new_api(way):
        assert result.out == "711\n", result
    else:
        assert (result.rc, result.out) == (1, "")
        assert "more than 4095 bytes of options for mount(2)" in result.err


def test_console(rt: Runtime, bundle: Bundle) -> None:
    """The pty is bound on /dev/console once the root has changed, when /proc is the container's."""
    bundle.process["terminal"] = True
    bundle.process["args"] = ["sh", "-c", "stat -c %t /dev/console; grep -c /dev/console /proc/self/mountinfo"]
    bundle.write()
    master, slave = os.openpty()
    process, _ = rt.popen(
        "run", "--bundle", bundle.path, new_id(), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    assert process.wait(20) == 0
    os.close(slave)
    assert os.read(master, 4096).split() == [b"88", b"1"]
    os.close(master)


def test_errors_say_what_is_wrong(rt: Runtime, bundle: Bundle, source: Path) -> None:
    cases = [
        (mount("/mnt", "bind", ["bind"], "/no/where"), "mounts[7].source /no/where: no such file or directory"),
        (
            mount("/etc/passwd", "bind", ["bind"], str(source)),
            "not a directory: source is a folder, destination /etc/passwd is a file",
        ),
        (mount("/etc", "bind", ["bind"], str(source / "file")), "source is a file, destination /etc is a folder"),
        (mount("/mnt", "nosuchfs"), "nosuchfs"),
        (mount("/mnt", "tmpfs", ["nosuchoption=1"]), "invalid argument"),
        (mount("/mnt", "tmpfs", ["remount", "size=1m"]), "changes the mount alone; remove it"),
        (mount("/mnt", "cgroup", ["nosuchoption"]), "no such option of a cgroup mount"),
    ]
    for entry, text in cases:
        bundle.config["mounts"][7:] = [entry]
        result = rt.run(bundle)
        assert (result.rc, result.err.count("\n")) == (1, 1), result
        assert text in result.err


def test_explain_tells_the_way(way: str, rt: Runtime, bundle: Bundle) -> None:
    bundle.write()
    result = rt("explain", bundle.path)
    assert ("mount by mount(2)" in result.out) == (not new_api(way)), result


def test_no_mount_is_left_on_the_host(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    before = leaks.mounts()
    for _ in range(5):
        assert rt.run(make("true")).rc == 0
    assert leaks.mounts() == before


def test_a_path_that_is_masked_twice_is_covered_once(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("sh", "-c", "grep -c ' /covered ' /proc/self/mountinfo")
    (bundle.rootfs / "covered").mkdir()
    bundle.linux["maskedPaths"] = ["/covered", "/covered"]
    result = rt.run(bundle)
    assert (result.rc, result.out) == (0, "1\n"), result


ATIMES = [  # how the source is mounted, the options, what the copy has of the three
    ("noatime,nodiratime", ["bind"], "noatime nodiratime"),
    ("noatime", ["bind", "ro"], "noatime"),
    ("noatime", ["bind", "atime"], "noatime"),
    ("noatime", ["bind", "norelatime"], "noatime"),
    ("noatime", ["bind", "relatime"], "relatime"),
    ("noatime", ["bind", "nodiratime"], "relatime nodiratime"),
    ("noatime", ["bind", "nodiratime", "norelatime"], "relatime nodiratime"),
    ("noatime", ["bind", "nodiratime", "strictatime"], "nodiratime"),
    ("nodiratime", ["bind", "diratime"], "relatime nodiratime"),
    ("nodiratime", ["bind", "strictatime"], ""),
    ("nodiratime", ["bind", "noatime", "atime", "relatime"], "relatime"),
    ("strictatime", ["bind", "nostrictatime"], ""),
    ("strictatime", ["bind", "noatime", "strictatime"], ""),
]


def test_access_times_as_runc_keeps_them(rt: Runtime, bundle: Bundle, remounted: Remounted) -> None:
    """A word that takes a kind back has no effect of its own, and one kind that is named replaces all of the source."""
    for number, (have, asked, _) in enumerate(ATIMES):
        bundle.config["mounts"].append(mount(f"/mnt/{number}", "bind", asked, str(remounted(have))))
    found = run(rt, bundle)
    for number, (have, asked, seen) in enumerate(ATIMES):
        kinds = set(found[f"/mnt/{number}"].options) & {"noatime", "relatime", "nodiratime"}
        assert kinds == set(seen.split()), (have, asked)


def test_read_only_at_last_is_the_mount_and_not_its_path(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """A tmpfs that is read-only once it is filled. Meanwhile somebody who shares the rootfs put another at its path."""
    bundle = make("sh", "-c", "touch /b/t/new || echo refused; touch /x/t/new && echo written")
    for name in ("a/t", "x/t"):
        (bundle.rootfs / name).mkdir(parents=True)
    bundle.config["mounts"] += [mount("/a/t", "tmpfs", ["ro"]), mount("/x/t", "tmpfs")]
    swap = "mv a b && ln -s x a"  # createContainer runs in the rootfs, between the two
    bundle.config["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", swap]}]}
    result = rt.run(bundle)
    assert result.out == "refused\nwritten\n", result
