"""When a plan labels, and what of it."""

from typing import Any

import pytest

from pyruntime.config.process import Process
from pyruntime.engine.select import Selection
from pyruntime.plan import identity
from pyruntime.plan.lsm import mount_data
from pyruntime.steps.mounts import MountFilesystem
from tests.plan.made import document, facts, names, namespaces, plan, request

LABEL = "system_u:system_r:container_t:s0:c1,c2"
STEPS = {"OpenProcfs", "SetAppArmorProfile", "SetSELinuxLabel", "LabelKeyring"}


def labelling(process: "dict[str, Any]", **found: Any) -> "list[str]":
    return [name for name in names(plan(document(process=process), facts(**found))) if name in STEPS]


def test_nothing_is_written_for_nobody() -> None:
    assert labelling({}) == []
    assert labelling({"apparmorProfile": "", "selinuxLabel": ""}) == []


def test_a_profile_needs_a_procfs_and_comes_before_the_rights_go() -> None:
    assert labelling({"apparmorProfile": "box"}, apparmor=True) == ["OpenProcfs", "SetAppArmorProfile"]
    found = names(plan(document(process={"apparmorProfile": "box", "noNewPrivileges": True}), facts(apparmor=True)))
    assert found.index("ChangeRoot") < found.index("SetAppArmorProfile") < found.index("SetNoNewPrivs")
    assert found.index("SetAppArmorProfile") < found.index("DropBounding")


def test_unconfined_is_a_profile_where_apparmor_is_on_and_nothing_where_it_is_off() -> None:
    assert "SetAppArmorProfile" in labelling({"apparmorProfile": "unconfined"}, apparmor=True)
    assert "SetAppArmorProfile" not in labelling({"apparmorProfile": "unconfined"}, apparmor=False)


def test_the_keyring_has_its_label_before_it_is_made() -> None:
    found = names(plan(document(process={"selinuxLabel": LABEL})))
    assert found.index("OpenProcfs") < found.index("LabelKeyring") < found.index("JoinKeyring")
    assert "LabelKeyring" not in names(plan(document(process={"selinuxLabel": LABEL}), asked=request(keyring=False)))


def test_a_module_is_labelled_at_once_and_last() -> None:
    """There is no execve that would bring a profile into force."""
    process = Process(cwd="/", apparmorProfile="box", selinuxLabel=LABEL)
    module = facts(module=Selection("", "/m.wasm", b"", "process.args[0]"), apparmor=True)
    assert identity.labels(process, module, at_once=False) == []
    assert [step.describe() for step in identity.labels(process, module, at_once=True)] == [
        "AppArmor profile box, from now on", f"SELinux label {LABEL}, from now on",
    ]  # fmt: skip
    assert identity.labels(process, facts(apparmor=True), at_once=True) == []


CONTEXT = ("context", LABEL)


@pytest.mark.parametrize(
    ("fstype", "data", "label", "wanted"),
    [
        ("tmpfs", [("size", "1m")], LABEL, [("size", "1m"), CONTEXT]),
        ("devpts", [], LABEL, [CONTEXT]),
        ("overlay", [], LABEL, [CONTEXT]),
        ("proc", [], LABEL, []),
        ("sysfs", [], LABEL, []),
        ("mqueue", [], LABEL, []),
        ("tmpfs", [("context", "a:b:c:d")], LABEL, [("context", "a:b:c:d")]),
        ("tmpfs", [("rootcontext", '"a:b:c:s0:c1,c2"')], "", [("rootcontext", "a:b:c:s0:c1,c2")]),
        ("tmpfs", [("ro", None), ("mode", '"1"')], "", [("ro", None), ("mode", '"1"')]),
        ("tmpfs", [("context", '"')], "", [("context", '"')]),
    ],
)
def test_what_a_filesystem_is_told(
    fstype: str, data: "list[tuple[str, str | None]]", label: str, wanted: "list[tuple[str, str | None]]"
) -> None:
    assert mount_data(fstype, data, label) == wanted


def test_mounts_of_a_labelled_container() -> None:
    mounts = [
        {"destination": "/proc", "type": "proc"},
        {"destination": "/dev", "type": "tmpfs"},
        {"destination": "/tmp", "type": "tmpfs", "options": ["tmpcopyup"]},
        {"destination": "/dev/mqueue", "type": "mqueue"},
        {"destination": "/data", "source": "/srv", "options": ["rbind"]},
    ]
    steps = plan(
        document(mounts=mounts, linux={"mountLabel": LABEL, "namespaces": namespaces("mount"), "maskedPaths": ["/a"]})
    )
    found = {step.destination: step for step in steps if isinstance(step, MountFilesystem)}
    assert {where: CONTEXT in step.options for where, step in found.items()} == {
        "/proc": False, "/dev": True, "/tmp": True, "/dev/mqueue": False,
    }  # fmt: skip
    assert found["/dev/mqueue"].describe().endswith(f"with the label {LABEL}")
    assert next(step.label for step in steps if type(step).__name__ == "MaskPaths") == LABEL  # type: ignore[attr-defined]
