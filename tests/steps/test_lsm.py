"""Labels, written to a folder that stands for procfs: what is read back must be what was asked for.

Hosts of most tests have no security module; there the real procfs answers EINVAL, which is looked at too.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyruntime.errors import Error
from pyruntime.kernel import lsm
from pyruntime.kernel.procmount import open_private
from pyruntime.steps.base import Step
from pyruntime.steps.lsm import LabelKeyring, SetAppArmorProfile, SetSELinuxLabel, _is_profile
from pyruntime.walk.walker import Walker

LABEL = "system_u:system_r:container_t:s0:c1,c2"


@pytest.fixture
def attr(tmp_path: Path) -> Path:
    """thread-self/attr of a folder."""
    folder = tmp_path / "thread-self" / "attr"
    (folder / "apparmor").mkdir(parents=True)
    return folder


@pytest.fixture
def walker(tmp_path: Path) -> "Iterator[Walker]":
    made = Walker([])
    made.fds["proc"] = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield made
    os.close(made.fds["proc"])


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (SetSELinuxLabel("process.selinuxLabel", LABEL, at_once=False), "exec"),
        (SetSELinuxLabel("process.selinuxLabel", LABEL, at_once=True), "current"),
        (LabelKeyring("process.selinuxLabel", LABEL), "keycreate"),
    ],
)
def test_a_label_is_written_to_its_file(walker: Walker, attr: Path, step: Step, name: str) -> None:
    (attr / name).touch()
    step.run(walker)
    assert (attr / name).read_text() == LABEL


def test_a_label_that_does_not_hold_is_an_error(walker: Walker, attr: Path) -> None:
    (attr / "exec").symlink_to("/dev/null")
    with pytest.raises(
        Error, match=r"^process.selinuxLabel: cannot set the SELinux label .*`/proc/thread-self/attr/exec`"
    ):
        SetSELinuxLabel("process.selinuxLabel", LABEL, at_once=False).run(walker)
    (attr / "exec").unlink()
    (attr / "exec").write_text("x" * 100)
    with pytest.raises(Error, match=r"`/proc/thread-self/attr/exec` says user:role:typexxx"):
        SetSELinuxLabel("process.selinuxLabel", "user:role:type", at_once=False).run(walker)


def test_the_kernel_may_spell_a_level_otherwise(walker: Walker, attr: Path) -> None:
    (attr / "exec").write_text(" " * len(LABEL) + ",c3\0")
    SetSELinuxLabel("process.selinuxLabel", LABEL, at_once=False).run(walker)


def test_a_profile_that_is_swallowed_is_an_error(walker: Walker, attr: Path) -> None:
    """An ordinary file gives back the command in place of the profile's name."""
    for name in ("apparmor/exec", "exec"):
        (attr / name).touch()
    step = SetAppArmorProfile("process.apparmorProfile", "box", at_once=False)
    with pytest.raises(Error) as caught:
        step.run(walker)
    assert caught.value.text == (
        "process.apparmorProfile: apparmor failed to apply profile box: "
        "`/proc/thread-self/attr/apparmor/exec` says exec box"
    )
    assert (attr / "exec").read_text() == ""


def test_an_old_kernel_has_one_set_of_files(walker: Walker, attr: Path) -> None:
    (attr / "exec").touch()
    (attr / "current").touch()
    with pytest.raises(Error, match="`/proc/thread-self/attr/exec` says exec box"):
        SetAppArmorProfile("process.apparmorProfile", "box", at_once=False).run(walker)
    with pytest.raises(Error, match="`/proc/thread-self/attr/current` says changeprofile box"):
        SetAppArmorProfile("process.apparmorProfile", "box", at_once=True).run(walker)


@pytest.mark.parametrize(
    ("found", "asked", "same"),
    [
        ("box (enforce)", "box", True),
        ("box (complain)", "box", True),
        ("box", "box", True),
        ("unconfined", "unconfined", True),
        ("/usr/bin/a (b) (enforce)", "/usr/bin/a", True),
        ("boxes (enforce)", "box", False),
        ("unconfined", "box", False),
        ("", "box", False),
        ("box//&unconfined (mixed)", "box", True),
        ("box (enforce)", ":ns:box", True),
        ("", ":ns:box", False),
        ("", "&box", False),
    ],
)
def test_the_answer_is_the_profile(found: str, asked: str, same: bool) -> None:
    assert _is_profile(found, asked) is same


@pytest.mark.skipif(lsm.apparmor_on() or lsm.selinux_on(), reason="needs a host without AppArmor and SELinux")
@pytest.mark.parametrize(
    "step",
    [
        SetAppArmorProfile("process.apparmorProfile", "box", at_once=False),
        SetSELinuxLabel("process.selinuxLabel", LABEL, at_once=False),
        LabelKeyring("process.selinuxLabel", LABEL),
    ],
)
def test_a_kernel_without_the_module_stops_the_start(step: Step) -> None:
    walker = Walker([])
    walker.fds["proc"] = open_private()
    try:
        with pytest.raises(Error, match=r"`/proc/thread-self/attr/\w+`: (invalid argument|no such file or directory)"):
            step.run(walker)
    finally:
        os.close(walker.fds["proc"])
