"""runc's words: where in a walk they are said, and what is put before an error."""

import pytest

from pyruntime.cli.runcwords import marks, wrapped
from pyruntime.steps.base import HOST, Step
from pyruntime.steps.mounts import Attributes, BindMount
from pyruntime.steps.namespaces import Clone
from pyruntime.steps.program import AwaitExec
from pyruntime.steps.scheduling import SetAffinity

TEXT = "mounts[1].source /nope: no such file or directory"
START = "unable to start container process: "
INIT = "error during container init: "


class HostStep(Step):
    lane = HOST


class InitStep(Step):
    pass


def bind() -> BindMount:
    return BindMount("mounts[1]", "/nope", "/data", False, Attributes(), False, "")


def clone(in_cgroup: bool) -> Clone:
    return Clone("the container's namespaces", [], in_cgroup, hide=False)


@pytest.mark.parametrize(
    ("verb", "step", "text", "expected"),
    [
        ("run", None, TEXT, f"runc run failed: {TEXT}"),
        ("create", HostStep("the id"), TEXT, f"runc create failed: {START}{TEXT}"),
        ("create", InitStep("hostname"), TEXT, f"runc create failed: {START}{INIT}{TEXT}"),
        ("run", bind(), TEXT, f'runc run failed: {START}{INIT}error mounting "/nope" to rootfs at "/data": {TEXT}'),
        ("exec", None, f"exec failed: {TEXT}", f"exec failed: {TEXT}"),
        ("exec", InitStep("hostname"), f"exec failed: {TEXT}", f"exec failed: {START}{INIT}{TEXT}"),
        (
            "exec",
            clone(True),
            "clone3: device or resource busy",
            f"exec failed: {START}error adding pid of the new process to cgroups: clone3: device or resource busy",
        ),
        ("exec", clone(False), "clone3: no", f"exec failed: {START}clone3: no"),
        ("delete", None, TEXT, TEXT),
        (None, None, TEXT, TEXT),
    ],
)
def test_an_error_begins_as_runcs_and_is_kept_whole(
    verb: "str | None", step: "Step | None", text: str, expected: str
) -> None:
    assert wrapped(verb, text, step) == expected


def test_the_marks_of_a_start_and_of_an_exec() -> None:
    assert marks(clone(False), "run") == ["nsexec container setup"]
    assert marks(AwaitExec("rule"), "run") == []
    assert marks(AwaitExec("rule"), "exec") == ["child process in init()", "setns_init: about to exec"]
    assert marks(SetAffinity("process.execCPUAffinity.initial", [0, 2], by_host=True), "exec") == [
        "nsexec: affinity: 0x5"
    ]
    assert marks(InitStep("hostname"), "run") == []
