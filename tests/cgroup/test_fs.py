"""Making a cgroup and writing limits: on plain files for what is written, on the kernel for what it says."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pyruntime.cgroup import fs
from pyruntime.cgroup.files import CgroupError
from pyruntime.cgroup.freezer import freeze, thaw
from pyruntime.cgroup.stats import page_sizes, stats
from pyruntime.cgroup.values import Write, writes
from pyruntime.config.resources import Resources

Plain = Callable[..., str]


def test_apply_writes_in_order_and_the_last_wins(plain: Plain) -> None:
    place = plain(memory__max="max\n", pids__max="max\n")
    fs.apply(place, [Write("a", "memory.max", "5"), Write("b", "pids.max", "3"), Write("c", "memory.max", "7")])
    assert Path(place, "memory.max").read_text() == "7"
    assert Path(place, "pids.max").read_text() == "3"


def test_apply_by_descriptor(plain: Plain) -> None:
    place = plain(pids__max="max\n")
    fd = os.open(place, os.O_RDONLY)
    fs.apply(fd, [Write("a", "pids.max", "3")])
    os.close(fd)
    assert Path(place, "pids.max").read_text() == "3"


def test_a_missing_file_is_fine_where_the_write_says_so(plain: Plain) -> None:
    place = plain()
    fs.apply(place, [Write("a", "memory.swap.max", "0", optional=True)])
    assert os.listdir(place) == []


def test_the_other_file_is_taken(plain: Plain) -> None:
    place = plain(io__weight="default 100\n")
    fs.apply(place, [Write("a", "io.bfq.weight", "100", instead=Write("a", "io.weight", "910"))])
    assert Path(place, "io.weight").read_text() == "910"


def test_a_limit_without_its_file_names_what_there_is(plain: Plain) -> None:
    place = plain(cgroup__controllers="hugetlb\n")
    with pytest.raises(CgroupError) as caught:
        fs.apply(place, [Write("linux.resources.memory.limit", "memory.max", "5")])
    start = "linux.resources.memory.limit: the memory controller is not enabled in this cgroup (has: hugetlb); "
    assert caught.value.text.startswith(start)
    assert "no such file" not in caught.value.text  # would read as a missing program


def test_a_kernel_without_the_file(plain: Plain) -> None:
    place = plain(cgroup__controllers="cpu\n")
    with pytest.raises(CgroupError, match=r"^x: this kernel lacks cpu\.idle"):
        fs.apply(place, [Write("x", "cpu.idle", "1")])


def test_who_withholds_a_controller(tmp_path: Path) -> None:
    for name, has in (("", "cpu memory"), ("slice", "memory"), ("slice/box", "")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "cgroup.controllers").write_text(has)
        (tmp_path / name / "cgroup.procs").write_text("")
    limit = Write("x", "memory.max", "5")
    with pytest.raises(CgroupError) as caught:
        fs.apply(f"{tmp_path}/slice/box", [limit])
    assert f'{tmp_path}/slice has it but does not hand it down; write "+memory" to its' in caught.value.text
    (tmp_path / "slice/cgroup.procs").write_text("7\n")
    with pytest.raises(CgroupError, match="since processes live in that cgroup itself"):
        fs.apply(f"{tmp_path}/slice/box", [limit])
    with pytest.raises(CgroupError, match="no cgroup above has it"):
        fs.apply(f"{tmp_path}/slice/box", [Write("x", "io.max", "5")])
    with pytest.raises(CgroupError, match="the cgroup was removed meanwhile"):
        fs.apply(f"{tmp_path}/slice/gone", [limit])


class Kernel:
    """Refuses some writes with EINVAL for a while, and remembers all it was asked to write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refuse: "dict[str, int]") -> None:
        self.refuse = refuse
        self.asked: list[str] = []
        monkeypatch.setattr(fs, "write", self.write)

    def write(self, directory: object, file: str, value: str) -> None:
        self.asked.append(file)
        if self.refuse.get(file, 0) > 0:
            self.refuse[file] -= 1
            raise OSError(22, "Invalid argument")


def test_a_write_that_came_too_early_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch, {"cpu.max.burst": 1})
    fs.apply("/x", [Write("a", "cpu.max.burst", "9", again=True), Write("b", "cpu.max", "10 20"), Write("c", "z", "1")])
    assert kernel.asked == ["cpu.max.burst", "cpu.max", "cpu.max.burst", "z"]


def test_but_once_only(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch, {"cpu.max.burst": 9})
    with pytest.raises(CgroupError, match=r"^a: .*burst of at most the quota"):
        fs.apply("/x", [Write("a", "cpu.max.burst", "9", again=True)])
    assert kernel.asked == ["cpu.max.burst", "cpu.max.burst"]


@pytest.mark.parametrize(
    ("file", "value", "reason"),
    [
        ("cpu.max", "10 100000", "the kernel's minimum is 1000 µs"),
        ("cpu.max", "5000 10", "a period of 1000 to 1000000 µs"),
        ("cpu.max", "50000 100000", "at most what the parent cgroups have"),
        ("cpuset.cpus", "99", "this host has CPUs 0"),
        ("io.max", "8:1 rbps=5", "whole block device"),
        ("memory.max", "x", "refuses this value"),
    ],
)
def test_why(monkeypatch: pytest.MonkeyPatch, file: str, value: str, reason: str) -> None:
    Kernel(monkeypatch, {file: 1})
    with pytest.raises(CgroupError) as caught:
        fs.apply("/x", [Write("because", file, value)])
    assert caught.value.text.startswith("because: ")
    assert reason in caught.value.text
    assert caught.value.text.endswith(f'(wrote "{value}" to {file} of /x: invalid argument)')
    assert caught.value.errno == 22


def test_enable_takes_what_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def write(directory: str, file: str, value: str) -> None:
        asked.append(value)
        if "+io" in value:
            raise OSError(16, "busy")

    monkeypatch.setattr(fs, "read", lambda directory, file: "pids\n")
    monkeypatch.setattr(fs, "write", write)
    fs.enable("/x", ("cpu", "io", "pids"))
    assert asked == ["+cpu +io", "+cpu", "+io", "+pids"]
    asked.clear()
    fs.enable("/x", ("pids",))
    assert asked == []


def test_create_on_plain_directories(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for place in (tmp_path, tmp_path / "a"):
        (place / "cgroup.subtree_control").write_text("")
    made = fs.create(str(tmp_path), "/a/b/c", ("cpu", "pids"))
    assert made == [f"{tmp_path}/a/b", f"{tmp_path}/a/b/c"]
    assert (tmp_path / "a/cgroup.subtree_control").read_text() == "+cpu +pids"
    fs.uncreate(made)
    assert not (tmp_path / "a/b").exists()


def test_a_failing_create_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(CgroupError, match=r"^linux\.cgroupsPath: .*: file name too long$") as caught:
        fs.create(str(tmp_path), f"/a/b/{'x' * 300}")
    assert caught.value.errno == 36
    assert not (tmp_path / "a/b").exists()


def test_a_tree_that_is_mounted_read_only_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, mode: int) -> None:
        raise OSError(30, os.strerror(30), path)

    monkeypatch.setattr(fs.os, "mkdir", refuse)
    with pytest.raises(
        CgroupError, match="read-only file system; have .* or go without cgroups by --cgroup-manager"
    ) as e:
        fs.create(str(tmp_path), "/a")
    assert e.value.errno == 30


def test_create_refuses_a_cgroup_in_use(tmp_path: Path) -> None:
    (tmp_path / "box").mkdir()
    (tmp_path / "box/cgroup.procs").write_text("1\n2\n")
    with pytest.raises(CgroupError, match=r"^container's cgroup is not empty: 2 process\(es\) found"):
        fs.create(str(tmp_path), "/box")
    (tmp_path / "box/cgroup.procs").write_text("")
    (tmp_path / "box/cgroup.events").write_text("populated 0\nfrozen 1\n")
    with pytest.raises(CgroupError, match=r"^container's cgroup unexpectedly frozen"):
        fs.create(str(tmp_path), "/box")
    assert (tmp_path / "box").exists()


def test_threaded_trees(tmp_path: Path) -> None:
    for name, kind in (("a", "threaded"), ("a/b", "domain invalid")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.type").write_text(kind + "\n")
    with pytest.raises(CgroupError, match="is of type threaded and cannot limit memory and io;"):
        fs.create(str(tmp_path), "/a/b", (), ("io", "memory", "pids"))
    assert fs.create(str(tmp_path), "/a/b", (), ("pids",)) == []
    assert (tmp_path / "a/b/cgroup.type").read_text() == "threaded"
    assert (tmp_path / "a/cgroup.type").read_text() == "threaded\n"


def test_chown_delegate(tmp_path: Path) -> None:
    for name in ("cgroup.procs", "memory.max"):
        (tmp_path / name).write_text("")
    if os.geteuid() != 0:
        pytest.skip("giving files away needs root")
    fs.chown_delegate(str(tmp_path), 12345)
    owners = {name: (tmp_path / name).stat().st_uid for name in ("", "cgroup.procs", "memory.max")}
    assert owners == {"": 12345, "cgroup.procs": 12345, "memory.max": 0}


@pytest.mark.root
def test_real_create_and_take_back(cgroup: str) -> None:
    mount, _, name = cgroup.rpartition("/")
    made = fs.create(mount, f"/{name}/a/b")
    assert made == [f"{cgroup}/a", f"{cgroup}/a/b"]
    assert fs.create(mount, f"/{name}/a/b") == []
    fs.uncreate(made)
    assert not os.path.exists(f"{cgroup}/a")


@pytest.mark.root
def test_real_create_enables_controllers(cgroup: str) -> None:
    mount, _, name = cgroup.rpartition("/")
    has = Path(mount, "cgroup.controllers").read_text().split()
    if not has:
        pytest.skip("cgroup v1 holds every controller of this host")
    fs.create(mount, f"/{name}/a/b", has)
    assert Path(cgroup, "a/b/cgroup.controllers").read_text().split() == has


@pytest.mark.root
def test_real_limit_on_huge_pages(cgroup: str) -> None:
    mount, _, name = cgroup.rpartition("/")
    sizes = [size for size in ("2MB", "1GB", "64KB") if size in page_sizes()]
    if "hugetlb" not in Path(mount, "cgroup.controllers").read_text().split() or not sizes:
        pytest.skip("this host has no hugetlb controller on cgroup v2, or no huge pages")
    fs.create(mount, f"/{name}/a", ("hugetlb",))
    limit = {"hugepageLimits": [{"pageSize": sizes[0], "limit": 1 << 31}]}
    fs.apply(f"{cgroup}/a", writes(Resources.read(limit, "linux.resources"), ("hugetlb",)))
    assert Path(cgroup, f"a/hugetlb.{sizes[0]}.max").read_text() == f"{1 << 31}\n"
    assert Path(cgroup, f"a/hugetlb.{sizes[0]}.rsvd.max").read_text() == f"{1 << 31}\n"
    assert sizes[0] in stats(f"{cgroup}/a")["hugetlb"]
    wrong = {"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}
    with pytest.raises(
        CgroupError, match=r"^linux\.resources\.hugepageLimits\[0\]: this kernel lacks hugetlb\.3MB\.max"
    ):
        fs.apply(f"{cgroup}/a", writes(Resources.read(wrong, "linux.resources"), ("hugetlb",)))


@pytest.mark.root
def test_real_create_refuses_a_used_or_frozen_cgroup(cgroup: str, sleeper: "Callable[[str], int]") -> None:
    mount, _, name = cgroup.rpartition("/")
    freeze(cgroup)
    with pytest.raises(CgroupError, match="unexpectedly frozen"):
        fs.create(mount, f"/{name}")
    thaw(cgroup)
    os.mkdir(f"{cgroup}/inner")
    sleeper(f"{cgroup}/inner")
    with pytest.raises(CgroupError, match=r"not empty: 1 process\(es\) found"):
        fs.create(mount, f"/{name}")


@pytest.mark.root
def test_real_threaded_tree(cgroup: str) -> None:
    os.mkdir(f"{cgroup}/threads")
    Path(cgroup, "threads/cgroup.type").write_text("threaded")
    mount, _, name = cgroup.rpartition("/")
    with pytest.raises(CgroupError, match="cannot limit memory"):
        fs.create(mount, f"/{name}/threads/x/y", (), ("memory",))
    assert not os.path.exists(f"{cgroup}/threads/x")
    fs.create(mount, f"/{name}/threads/x/y", (), ("pids",))
    assert Path(cgroup, "threads/x/y/cgroup.type").read_text() == "threaded\n"


@pytest.mark.root
def test_real_unified_value_and_refusal(cgroup: str) -> None:
    fs.apply(cgroup, [Write("linux.resources.unified.cgroup.max.depth", "cgroup.max.depth", "3")])
    assert Path(cgroup, "cgroup.max.depth").read_text() == "3\n"
    with pytest.raises(CgroupError, match=r"^linux\.resources\.unified\.cgroup\.max\.depth: .*: invalid argument\)$"):
        fs.apply(cgroup, [Write("linux.resources.unified.cgroup.max.depth", "cgroup.max.depth", "many")])


@pytest.mark.root
def test_real_enter(cgroup: str, sleeper: "Callable[[str], int]") -> None:
    pid = sleeper(cgroup)
    os.mkdir(f"{cgroup}/other")
    fs.enter(f"{cgroup}/other", pid)
    assert Path(f"/proc/{pid}/cgroup").read_text().strip().endswith("/other")
    with pytest.raises(CgroupError, match=f"^cannot enter the cgroup {cgroup}/gone: "):
        fs.enter(f"{cgroup}/gone", pid)
