"""Who the process becomes."""

from typing import Any

import pytest

from pyruntime.config.process import Process
from pyruntime.plan import identity
from pyruntime.steps.identity import DropBounding, SetCapabilities
from pyruntime.steps.limits import SetUmask
from tests.plan.made import document, names, plan


def the(found: "list[Any]", kind: "type[Any]") -> Any:
    (step,) = [step for step in found if isinstance(step, kind)]
    return step


@pytest.mark.parametrize(("user", "umask"), [({}, 0o022), ({"umask": 0}, 0), ({"umask": 0o77}, 0o77)])
def test_umask(user: "dict[str, int]", umask: int) -> None:
    assert the(plan(document(process={"user": {"uid": 0, "gid": 0, **user}})), SetUmask).umask == umask


@pytest.mark.parametrize("process", [{}, {"capabilities": {}}])
def test_what_is_not_granted_is_taken(process: "dict[str, Any]") -> None:
    found = plan(document(process=process))
    assert the(found, DropBounding).names == []
    step = the(found, SetCapabilities)
    assert step.effective == step.permitted == step.inheritable == step.ambient == []


def test_unknown_capabilities_are_left_out_with_a_warning() -> None:
    document_ = {"cwd": "/", "capabilities": {"bounding": ["CAP_KILL", "CAP_FLY"]}}
    process = Process.read(document_, "process")
    assert identity.known(["CAP_KILL", "CAP_FLY"]) == ["CAP_KILL"]
    assert identity.warnings(process) == ["ignoring unknown or unavailable capabilities: CAP_FLY"]


def test_only_what_is_permitted_and_inheritable_can_be_ambient() -> None:
    both = ["CAP_KILL", "CAP_CHOWN"]
    sets = {"ambient": both, "permitted": both, "inheritable": ["CAP_KILL"]}
    process = Process.read({"cwd": "/", "capabilities": sets}, "process")
    assert process.capabilities is not None
    assert identity.raisable(process.capabilities) == ["CAP_KILL"]
    (warning,) = identity.warnings(process)
    assert "CAP_CHOWN" in warning


@pytest.mark.parametrize("terminal", [True, False])
def test_stdio_is_given_away_unless_it_is_a_terminal(terminal: bool) -> None:
    found = names(plan(document(process={"terminal": terminal})))
    assert ("OwnStdio" in found) is not terminal
    assert ("OpenConsole" in found) is terminal


def test_no_new_privileges_only_on_demand() -> None:
    assert "SetNoNewPrivs" not in names(plan(document()))
    assert "SetNoNewPrivs" in names(plan(document(process={"noNewPrivileges": True})))
