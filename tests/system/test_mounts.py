"""Every kind of mount as the payload sees it in its mountinfo, by the new mount API and by mount(2) alike."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import leaks
from tests.system.harness import Bundle, Runtime, mount, new_id
from tests.system.refusing import WAYS, wrapped
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
MOUNTINFO = "cat /proc/self/mountinfo"


@pytest.fixture(params=[way for way in WAYS if way != "no openat2"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rt(way: str, launcher: Path, tmp_path: Path) -> "Iterator[Runtime]":
    """pyruntime of this tree, under each of the filters."""
    runtime = Runtime(wrapped(way, launcher, tmp_path), tmp_path / "rt")
    yield runtime
    left = runtime.containers()
    for name in left:
        runtime("delete", "--force", name)
    assert not left, f"state entries are left behind: {left}"


def new_api(way: str) -> bool:
    return way == "all calls"


class Mounted:
    """One line of mountinfo."""

    def __init__(self, line: str) -> None:
        own, _, rest = line.partition(" - ")
        fields = own.split(" ")
        self.root, self.point, self.options, self.tags = fields[3], fields[4], fields[5].split(","), fields[6:]
        self.fstype, self.source, superblock = rest.split(" ")
        self.superblock = superblock.split(",")


def table(text: str) -> "dict[str, Mounted]":
    """Mount point -> the topmost mount there."""
    return {line.point: line for line in map(Mounted, text.splitlines())}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "file").write_text("content\n")
    return folder


def run(rt: Runtime, bundle: Bundle) -> "dict[str, Mounted]":
    """The mounts that a shell in the bundle sees."""
    bundle.sh(MOUNTINFO)
    result = rt.run(bundle)
    assert result.rc == 0, result
    return table(result.out)


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
