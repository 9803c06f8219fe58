"""When a filter is loaded, and what of it is refused while planning."""

from typing import Any

import pytest

from pyruntime.config.seccomp import Seccomp
from pyruntime.errors import ConfigError
from pyruntime.kernel.seccomp import FLAGS, NEW_LISTENER
from pyruntime.plan import seccomp
from tests.plan.made import document, facts, names, plan, request

LISTED = {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}
DENIED = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}


def profile(**more: object) -> "dict[str, Any]":
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [DENIED], **more}


def planned(no_new_privs: bool, **more: object) -> "list[str]":
    config = document(process={"noNewPrivileges": no_new_privs}, linux={"seccomp": profile(**more)})
    return names(plan(config, asked=request()))


def test_last_of_all_with_no_new_privs() -> None:
    assert planned(True)[-2:] == ["LoadSeccomp", "Execve"]


def test_while_there_is_a_right_to_without() -> None:
    found = planned(False)
    at = found.index("LoadSeccomp")
    assert (found[at - 1], found[at + 1]) == ("SetUser", "SetCapabilities")


def test_before_create_ends_with_a_listener() -> None:
    found = planned(True, syscalls=[LISTED], listenerPath="/run/l")
    assert found.index("LoadSeccomp") + 1 == found.index("SendListener") < found.index("WaitForStart")


def read(**more: object) -> Seccomp:
    return Seccomp.read(profile(**more), "linux.seccomp")


def test_no_profile_is_none() -> None:
    assert seccomp.compiled(None, facts()) == (None, [])
    assert seccomp.compiled(Seccomp.read({"defaultAction": ""}, ""), facts()) == (None, [])


def made(*, supported: "tuple[str, ...]" = tuple(FLAGS), **more: object) -> seccomp.Profile:
    found, _ = seccomp.compiled(read(**more), facts(seccomp_flags=supported))
    assert found is not None
    return found


def test_speculation_is_allowed_where_nothing_is_said_about_flags() -> None:
    allow = FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    assert made().flags == allow
    assert made(supported=()).flags == 0
    assert made(flags=[]).flags == 0


def test_flags_about_threads_and_listeners_we_have_not_are_left_out() -> None:
    assert made(flags=["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]).flags == 0
    wait = made(flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], syscalls=[LISTED], listenerPath="/l")
    assert wait.flags == NEW_LISTENER | 32


def test_a_flag_the_kernel_has_not() -> None:
    with pytest.raises(ConfigError, match=r"linux.seccomp.flags\[0\]: this kernel has no SECCOMP_FILTER_FLAG_LOG"):
        made(flags=["SECCOMP_FILTER_FLAG_LOG"], supported=())


def test_what_exec_loads_is_what_create_stored() -> None:
    first = made(syscalls=[LISTED], listenerPath="/l", listenerMetadata="m")
    assert vars(seccomp.Profile.from_json(first.to_json())) == vars(first)


def test_without_root_the_listener_is_sent_and_that_may_not_be_held_up() -> None:
    rules = [{"names": ["mkdir", "sendmsg"], "action": "SCMP_ACT_NOTIFY"}]
    with pytest.raises(ConfigError, match=r"syscalls\[0\].names: \"sendmsg\" with SCMP_ACT_NOTIFY"):
        seccomp.compiled(read(syscalls=rules, listenerPath="/l"), facts(euid=1000))


def test_a_call_without_a_number_is_told_where_it_was_to_be_forbidden() -> None:
    rules = [{"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}]
    _, warnings = seccomp.compiled(read(syscalls=rules), facts())
    assert warnings == ["linux.seccomp.syscalls: not known, so not filtered: no_such_call"]
    allowing = read(defaultAction="SCMP_ACT_ERRNO", syscalls=[{**rules[0], "action": "SCMP_ACT_ALLOW"}])
    assert seccomp.compiled(allowing, facts())[1] == []
