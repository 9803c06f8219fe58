"""`inspect`: what it reads, decides and prints. Containers are looked at in tests/system/test_inspect.py."""

import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyruntime.config.seccomp import Seccomp
from pyruntime.look.inspect import calls, cgroups, proc, show, subject
from pyruntime.look.inspect.compare import compare, name
from pyruntime.report.paint import Paint
from pyruntime.seccomp import architectures
from pyruntime.seccomp.compile import compile_profile
from tests.seccomp import emulator

PROFILE = Seccomp.read(
    {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {"names": ["read", "write", "exit_group"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["mkdir"], "action": "SCMP_ACT_KILL_PROCESS"},
            {
                "names": ["personality"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}],
            },
        ],
    },
    "linux.seccomp",
)


def test_a_filter_is_summed_up_by_what_it_does() -> None:
    found = calls.summary(compile_profile(PROFILE, "x86_64").program, "x86_64")
    assert found["calls"]["allow"] == ["exit_group", "read", "write"]
    assert found["calls"]["kill process"] == ["mkdir"]
    assert found["calls"][calls.BY_ARGUMENTS] == ["personality"]
    assert "mount" in found["calls"]["errno"]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 500), st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6))
def test_it_decides_as_the_tests_own_machine(number: int, arguments: "list[int]") -> None:
    program = compile_profile(PROFILE, "x86_64").program
    token = architectures.wanted([], "x86_64")[0].token
    packed = struct.pack("=iIQ6Q", number, token, 0, *arguments)
    words = emulator.data(number, token, tuple(arguments))
    assert calls.decide(program, packed)[0] == emulator.Program(program).run(words)


@pytest.mark.parametrize(
    ("path", "engine"),
    [
        ("/system.slice/docker-" + "a" * 64 + ".scope", "Docker"),
        ("/docker/" + "b" * 64, "Docker"),
        ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + "c" * 64 + ".scope", "CRI (containerd)"),
        ("/machine.slice/libpod-" + "d" * 64 + ".scope/container", "Podman"),
        ("/user.slice/user-1000.slice", None),
    ],
)
def test_engines_are_known_by_their_cgroups(path: str, engine: "str | None") -> None:
    found = cgroups.engine(path)
    assert (found and found["engine"]) == engine


def test_our_own_process() -> None:
    found = subject.of_pid("/nonexistent", os.getpid())
    assert found["process"]["pids"][-1] == os.getpid() or len(found["process"]["pids"]) > 1
    assert found["process"]["uid"] == os.geteuid()
    assert found["container"] is None
    assert found["mounts"][0].keys() >= {"destination", "type", "readonly"}
    page = show.text(found, Paint(-1))
    assert page.startswith(name(found))
    assert "\nmounts" in page


def test_against_itself_nothing_differs() -> None:
    found = subject.of_pid("/nonexistent", os.getpid())
    difference = compare(found, found)
    assert all(same is not False for same in difference["namespaces"].values())
    assert difference["capabilities"]["only"] == difference["capabilities"]["lacking"] == []
    assert "apart: none" in show.comparison(difference, found, Paint(-1))


def test_a_list_of_capabilities_is_read_at_a_glance() -> None:
    every = list(proc.NAMES)
    assert show._listed(every) == "all 41"
    assert show._listed([]) == "none"
    assert show._listed(["CAP_KILL"]) == "kill (1 of 41)"
    assert show._listed(every[1:]) == "all but chown"


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (64 << 20, "64.0 MiB"), (None, "no limit")]
)
def test_sizes(size: "int | None", shown: str) -> None:
    assert show._size(size) == shown
