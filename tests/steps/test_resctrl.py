"""resctrl groups, in a folder that stands for the filesystem: no machine of ours has the hardware.

The folder does what mkdir of the kernel does not: it lacks the files of a group, so a test makes them beforehand where
they are written to; and it lacks the kernel's checks. What is seen here is which files are written, in which order,
and what is removed again.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from pyruntime.cli import shares
from pyruntime.cli.verbs.delete import remove_resctrl
from pyruntime.config.linux import IntelRdt
from pyruntime.errors import ConfigError, Error
from pyruntime.kernel import resctrl
from pyruntime.plan import resctrl as plan
from pyruntime.state.store import Container, reserve
from pyruntime.steps.resctrl import MakeResctrlGroup
from pyruntime.walk.walker import Walker


class Kernel:
    """A folder with the files of the root group."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "info").mkdir(parents=True)
        (root / "mon_groups").mkdir()
        for name in ("schemata", "tasks"):
            (root / name).touch()

    def group(self, name: str, schemata: str = "") -> Path:
        """A group that is there already."""
        folder = self.root / name
        (folder / "mon_groups").mkdir(parents=True)
        (folder / "schemata").write_text(schemata)
        (folder / "tasks").touch()
        return folder

    def monitored(self, folder: Path, name: str) -> Path:
        """A monitoring group that is there already."""
        (folder / "mon_groups" / name).mkdir()
        (folder / "mon_groups" / name / "tasks").touch()
        return folder / "mon_groups" / name


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path / "resctrl")


@pytest.fixture
def walker(tmp_path: Path) -> Walker:
    """A walker with a container's record."""
    made = Walker([])
    made.objects["container"] = reserve(str(tmp_path / "state"), "box")
    return made


def container(walker: Walker) -> Container:
    found = walker.objects["container"]
    assert isinstance(found, Container)
    return found


def step(kernel: Kernel, **asked: Any) -> MakeResctrlGroup:
    (made,) = plan.make(IntelRdt(**asked), str(kernel.root), "box")
    assert isinstance(made, MakeResctrlGroup)
    return made


def enter(kernel: Kernel, walker: Walker, **asked: Any) -> None:
    walker.values["init_pid"] = 4711
    for each in plan.enter(IntelRdt(**asked), str(kernel.root), "box"):
        each.run(walker)


def test_a_group_of_its_own_goes_with_the_container(kernel: Kernel, walker: Walker) -> None:
    step(kernel).run(walker)
    assert (kernel.root / "box").is_dir()
    assert container(walker).data["intel_rdt_path"] == str(kernel.root / "box")
    assert container(walker).own["resctrl"]["remove"] == [str(kernel.root / "box")]
    remove_resctrl(container(walker))
    assert not (kernel.root / "box").exists()
    remove_resctrl(container(walker))


def test_a_group_of_that_name_which_was_there_is_not_removed(kernel: Kernel, walker: Walker) -> None:
    kernel.group("box")
    made = step(kernel, schemata=["L3:0=f"])
    made.run(walker)
    assert container(walker).own["resctrl"]["remove"] == []
    made.undo(walker)
    remove_resctrl(container(walker))
    assert (kernel.root / "box").is_dir()


def test_a_named_group_stays_but_is_undone_by_the_command_that_made_it(kernel: Kernel, walker: Walker) -> None:
    made = step(kernel, closID="shared", memBwSchema="MB:0=20")
    with pytest.raises(Error, match=r"cannot write MB:0=20 to .*/shared/schemata: no such file or directory"):
        made.run(walker)  # the folder gives no such file, as the kernel would
    assert (kernel.root / "shared").is_dir()
    assert container(walker).own["resctrl"]["remove"] == []
    made.undo(walker)
    assert not (kernel.root / "shared").exists()


def test_a_named_group_without_a_schema_must_be_there(kernel: Kernel, walker: Walker) -> None:
    with pytest.raises(Error, match=r"^linux.intelRdt.closID: no resctrl group .*/shared; make it, or give a schema"):
        step(kernel, closID="shared").run(walker)
    assert not (kernel.root / "shared").exists()
    kernel.group("shared", "L3:0=f\n")
    step(kernel, closID="shared").run(walker)
    assert (kernel.root / "shared" / "schemata").read_text() == "L3:0=f\n"


def test_the_default_group_is_the_root(kernel: Kernel, walker: Walker) -> None:
    step(kernel, closID="/").run(walker)
    enter(kernel, walker, closID="/")
    assert (kernel.root / "tasks").read_text() == "4711"
    assert container(walker).own["resctrl"]["remove"] == []


EXISTING = "    L3:0=fffff;1=000ff\n    MB:0=100;1= 70\n"


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"l3CacheSchema": "L3:0=fffff"}, True),
        ({"l3CacheSchema": "L3:1=FF;0=fffff"}, True),
        ({"l3CacheSchema": "L3:0=f"}, False),
        ({"l3CacheSchema": "L3:2=fffff"}, False),
        ({"memBwSchema": "MB:1=70"}, True),
        ({"memBwSchema": "MB:0=64"}, False),
        ({"l3CacheSchema": "L2:0=f"}, False),
    ],
)
def test_a_named_group_that_is_there_must_agree(
    kernel: Kernel, walker: Walker, asked: "dict[str, str]", fits: bool
) -> None:
    group = kernel.group("shared", EXISTING)
    made = step(kernel, closID="shared", **asked)
    if fits:
        made.run(walker)
        return
    with pytest.raises(Error, match=r"^linux.intelRdt: the resctrl group .*/shared is there with other shares than"):
        made.run(walker)
    assert (group / "schemata").read_text() == EXISTING


def test_a_schema_that_is_none(kernel: Kernel, walker: Walker) -> None:
    kernel.group("shared", EXISTING)
    with pytest.raises(Error, match=r"^linux.intelRdt: expected lines such as L3:0=ff;1=ff, got L3:0=xyz"):
        step(kernel, closID="shared", l3CacheSchema="L3:0=xyz").run(walker)


def test_shares_are_written_in_the_order_of_the_spec(kernel: Kernel, walker: Walker) -> None:
    """`schemata` last, so that it has the last word."""
    group = kernel.group("box")
    (group / "schemata").unlink()
    os.mkfifo(group / "schemata")
    fd = os.open(group / "schemata", os.O_RDWR)
    step(kernel, l3CacheSchema="L3:0=ff", memBwSchema="MB:0=20", schemata=["L3:0=f", "", "L2:0=1"]).run(walker)
    assert os.read(fd, 4096) == b"L3:0=ff\nMB:0=20\nL3:0=f\nL2:0=1\n"
    os.close(fd)


def test_monitoring_is_a_group_in_the_group(kernel: Kernel, walker: Walker) -> None:
    group = kernel.group("shared", EXISTING)
    made = step(kernel, closID="shared", enableMonitoring=True)
    made.run(walker)
    monitor = group / "mon_groups" / "box"
    assert container(walker).own["resctrl"] == {
        "root": str(kernel.root), "monitor": str(monitor), "remove": [str(monitor)],
    }  # fmt: skip
    remove_resctrl(container(walker))
    assert not monitor.exists()
    assert group.exists()


def test_init_and_exec_are_put_into_both(kernel: Kernel, walker: Walker) -> None:
    group = kernel.group("shared")
    monitor = kernel.monitored(group, "box")
    step(kernel, closID="shared", enableMonitoring=True).run(walker)
    enter(kernel, walker, closID="shared", enableMonitoring=True)
    assert [(folder / "tasks").read_text() for folder in (group, monitor)] == ["4711", "4711"]
    walker.values["init_pid"] = 4712
    for each in plan.join(container(walker)):
        each.run(walker)
    assert [(folder / "tasks").read_text() for folder in (group, monitor)] == ["4712", "4712"]


def test_the_kernels_own_words_are_told(kernel: Kernel, walker: Walker) -> None:
    kernel.group("box")
    (kernel.root / "box" / "schemata").unlink()
    (kernel.root / "info" / "last_cmd_status").write_text("Mask f00 has non-consecutive 1-bits\n")
    with pytest.raises(Error, match=r"no such file or directory \(Mask f00 has non-consecutive 1-bits\)$"):
        step(kernel, schemata=["L3:0=f00"]).run(walker)
    (kernel.root / "info" / "last_cmd_status").write_text("ok\n")
    with pytest.raises(Error, match="no such file or directory$"):
        step(kernel, schemata=["L3:0=f00"]).run(walker)


def test_what_is_to_be_made_is_noted_before(kernel: Kernel, walker: Walker) -> None:
    os.rmdir(kernel.root / "mon_groups")
    (kernel.root / "info" / "last_cmd_status").write_text("ok\n")
    made = step(kernel, enableMonitoring=True)
    with pytest.raises(Error, match=r"cannot make the resctrl group .*/box/mon_groups/box: no such file or directory"):
        made.run(walker)
    group = str(kernel.root / "box")
    assert container(walker).own["resctrl"]["remove"] == [f"{group}/mon_groups/box", group]
    remove_resctrl(container(walker))
    assert not Path(group).exists()


@pytest.mark.skipif(bool(resctrl.find_root()), reason="needs a host without resctrl")
def test_a_host_without_it_has_no_root() -> None:
    assert resctrl.find_root() == ""
    assert not resctrl._is_resctrl("/sys/fs/cgroup")
    assert not resctrl._is_resctrl("/nonexistent")


def updated(kernel: Kernel, walker: Walker, **asked: Any) -> Path:
    """A group as `create` leaves it, with the file that the kernel would have put there."""
    step(kernel, **asked).run(walker)
    group = Path(str(container(walker).data["intel_rdt_path"]))
    (group / "schemata").write_text("    MB:0=100\n    L3:0=fff\n")
    return group


def test_update_gives_the_containers_group_other_shares(kernel: Kernel, walker: Walker) -> None:
    group = updated(kernel, walker)
    assert shares.change(container(walker), ["L3:0=f"]) == ["MB:0=100", "L3:0=fff"]
    assert (group / "schemata").read_text().splitlines()[0] == "L3:0=f"
    shares.restore(container(walker), ["L3:0=fff"])
    assert (group / "schemata").read_text().splitlines()[0] == "L3:0=fff"


def test_update_keeps_off_groups_of_others(kernel: Kernel, walker: Walker) -> None:
    kernel.group("shared", "L3:0=fff\n")
    updated(kernel, walker, closID="shared")
    with pytest.raises(Error, match="shared was not made for box alone"):
        shares.change(container(walker), ["L3:0=f"])
    assert "fff" in (kernel.root / "shared/schemata").read_text()


def test_update_of_a_container_without_a_group(walker: Walker) -> None:
    with pytest.raises(Error, match=r"box has no resctrl group: it was created without linux\.intelRdt"):
        shares.change(container(walker), ["L3:0=f"])


def test_update_of_a_group_that_takes_no_shares(kernel: Kernel, walker: Walker) -> None:
    group = updated(kernel, walker)
    (group / "schemata").unlink()
    (group / "schemata").mkdir()
    with pytest.raises(Error, match="cannot read .*/schemata: is a directory"):
        shares.change(container(walker), ["L3:0=f"])


@pytest.mark.parametrize(
    ("flag", "line"), [("mem-bw-schema", "L3:0=f"), ("mem-bw-schema", ""), ("l3-cache-schema", "L3:0=f\nMB:0=1")]
)
def test_lines_that_update_refuses(flag: str, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        shares.lines({flag: line})
    assert raised.value.path == f"--{flag}"
