"""Pods by crictl, of the handler pyruntime with systemd's cgroups, over containerd 1.7 and 2 and CRI-O.

Linux and Wasm are in one pod, told apart by the first bytes of what they run.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.guest.cri import POD_CGROUP, SERVERS, Pod, Server, ended, inspected, logged, state
from tests.guest.engines import on_a_terminal
from tests.guest.guests import HELLO, NAME, UNTIL_TERM, WASM, make_images
from tests.system.harness import new_id, wait_until

CONFINED = "grep -E '^(Seccomp|CapBnd):' /proc/self/status; cat /proc/self/attr/current"
MIB = 1 << 20


@pytest.fixture(autouse=True)
def no_leaks() -> None:
    """Instead of the look at everything: servers keep processes, mounts and cgroups of their own."""


@pytest.fixture(scope="module", params=SERVERS, ids=lambda kind: kind.name)
def server(
    request: pytest.FixtureRequest, launcher: Path, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Server]":
    """A server that has the images."""
    found: Server = request.param(launcher)
    found.start()
    found.load(*make_images(tmp_path_factory.mktemp("images")))
    yield found
    found.end()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pods")


@pytest.fixture(scope="module")
def pod(server: Server, folder: Path) -> "Iterator[Pod]":
    """One pod for those tests that leave it as it was."""
    made = Pod(server, folder, new_id())
    yield made
    made.remove()


@pytest.fixture(scope="module")
def linux(pod: Pod) -> str:
    """A container of the pod that runs until it is told to end."""
    return pod.run("linux", NAME, "sh", "-c", f"echo begun; {UNTIL_TERM}")


@pytest.fixture(scope="module")
def wasm(pod: Pod) -> str:
    """Another, that is a module: by its first bytes, without any annotation."""
    return pod.run("wasm", WASM, "/wait.wat")


def pid(server: Server, id: str) -> int:
    return int(inspected(server, id)["info"]["pid"])


def cgroup_of(server: Server, id: str) -> Path:
    lines = Path(f"/proc/{pid(server, id)}/cgroup").read_text().splitlines()
    return Path("/sys/fs/cgroup" + next(line[3:] for line in lines if line.startswith("0::")))


def test_linux_and_wasm_run_in_one_pod(server: Server, pod: Pod, linux: str, wasm: str) -> None:
    assert [state(server, each) for each in (linux, wasm)] == ["running", "running"]
    assert logged(server, linux) == "begun\n"
    assert logged(server, wasm) == "waiting\n"
    spaces = {os.readlink(f"/proc/{pid(server, each)}/ns/net") for each in (linux, wasm)}
    assert len(spaces) == 1
    assert spaces != {os.readlink("/proc/self/ns/net")}
    listed = json.loads(server.done("pods", "--id", pod.id, "-o", "json"))["items"]
    assert listed[0]["runtimeHandler"] == server.handler_of_pods


def test_the_handler_is_us(server: Server, linux: str) -> None:
    assert server.is_ours(linux)


@pytest.mark.parametrize("kind", ["linux", "wasm"])
def test_it_is_a_scope_below_the_slice_of_the_pod(server: Server, kind: str, request: pytest.FixtureRequest) -> None:
    id = request.getfixturevalue(kind)
    place = cgroup_of(server, id)
    assert place == Path(f"/sys/fs/cgroup{POD_CGROUP}/{server.scope}{id}.scope")
    assert (place / "memory.max").read_text() == f"{128 * MIB}\n"


@pytest.mark.parametrize("flags", [("-s",), ()], ids=["at once", "streamed"])
def test_exec(server: Server, linux: str, flags: "tuple[str, ...]") -> None:
    result = server.crictl("exec", *flags, linux, "sh", "-c", "echo out; echo err >&2")
    assert result.returncode == 0, result
    assert sorted((result.stdout + result.stderr).split()) == ["err", "out"]  # -s prints both to its stdout


@pytest.mark.parametrize("flags", [("-s",), ()], ids=["at once", "streamed"])
def test_exec_of_another_module(server: Server, wasm: str, flags: "tuple[str, ...]") -> None:
    result = server.crictl("exec", *flags, wasm, "/hello.wat", "again")
    assert (result.returncode, result.stdout.strip()) == (0, f"{HELLO}again"), result


@pytest.mark.parametrize(("kind", "command"), [("linux", ("sh", "-c", "exit 3")), ("wasm", ("/count.wat", "a", "b"))])
def test_exit_status_of_exec(
    server: Server, kind: str, command: "tuple[str, ...]", request: pytest.FixtureRequest
) -> None:
    result = server.crictl("exec", "-s", request.getfixturevalue(kind), *command)
    assert result.returncode != 0
    assert "exited with 3:" in result.stderr, result


def test_exec_of_what_is_not_there(server: Server, linux: str, wasm: str) -> None:
    for id in (linux, wasm):
        result = server.crictl("exec", "-s", id, "/bin/no-such-program")
        assert result.returncode != 0
        assert "/bin/no-such-program" in result.stderr, result


def test_exec_on_a_terminal(server: Server, linux: str) -> None:
    status, output = on_a_terminal(*server.client(), "exec", "-i", "-t", linux, "tty")
    assert (status, output.strip()) == (0, "/dev/pts/0")


def test_it_is_under_the_default_profiles(server: Server, linux: str) -> None:
    """The server's AppArmor profile; with containerd, a pod that names no seccomp profile has none."""
    bounding, seccomp, label = server.done("exec", "-s", linux, "sh", "-c", CONFINED).splitlines()
    assert bounding.split()[1] == server.capabilities
    assert seccomp.split()[1] == server.seccomp
    assert label.startswith(server.label)


@pytest.mark.parametrize(("image", "command"), [(NAME, ("sh", "-c", CONFINED)), (WASM, ("/hello.wat",))])
def test_the_default_seccomp_profile(server: Server, pod: Pod, image: str, command: "tuple[str, ...]") -> None:
    context = {"security_context": {"seccomp": {"profile_type": 0}, "no_new_privs": True}}
    id = pod.run(new_id(), image, *command, linux=context)
    assert ended(server, id) == 0
    assert "Seccomp:\t2" in logged(server, id) or logged(server, id) == HELLO


def test_update(server: Server, linux: str, wasm: str) -> None:
    for id in (linux, wasm):
        place = cgroup_of(server, id)
        server.done("update", "--memory", str(160 * MIB), "--cpu-quota", "50000", "--cpu-period", "100000", id)
        assert (place / "memory.max").read_text() == f"{160 * MIB}\n"
        assert (place / "cpu.max").read_text() == "50000 100000\n"
        server.done("update", "--memory", str(128 * MIB), "--cpu-quota", "-1", id)
        assert (place / "memory.max").read_text() == f"{128 * MIB}\n"
        assert (place / "cpu.max").read_text().split()[0] == "max"


def test_stats(server: Server, pod: Pod, linux: str, wasm: str) -> None:
    def stats(id: str) -> "dict[str, Any]":
        found: "dict[str, Any]" = json.loads(server.done("stats", "--id", id, "-o", "json"))["stats"][0]
        return found

    for id in (linux, wasm):
        told = stats(id)
        assert int(told["memory"]["workingSetBytes"]["value"]) > 0
        assert int(told["cpu"]["usageCoreNanoSeconds"]["value"]) > 0
    pods = json.loads(server.done("statsp", "--id", pod.id, "-o", "json"))["stats"]
    assert int(pods[0]["linux"]["process"]["processCount"]["value"]) >= 3


@pytest.mark.parametrize(("image", "command"), [(NAME, ("sh", "-c", "exit 3")), (WASM, ("/count.wat", "a", "b"))])
def test_one_that_ends_by_itself(server: Server, pod: Pod, image: str, command: "tuple[str, ...]") -> None:
    id = pod.run(new_id(), image, *command)
    assert ended(server, id) == 3
    assert inspected(server, id)["status"]["reason"] == "Error"
    server.done("rm", id)
    assert id not in server.done("ps", "--all", "--quiet")


@pytest.mark.parametrize("image", [NAME, WASM])
def test_output_is_logged(server: Server, pod: Pod, image: str) -> None:
    name = new_id()
    id = pod.run(name, image, "/hello.wat", "two words")
    assert ended(server, id) == 0
    assert logged(server, id) == f"{HELLO}two words\n"
    assert " stdout F two words\n" in (pod.logs / f"{name}.log").read_text()


def test_a_program_that_is_not_there(server: Server, pod: Pod) -> None:
    if server.looks_at_create:
        with pytest.raises(AssertionError, match="stat /bin/no-such-program: no such file"):
            pod.create(new_id(), NAME, "/bin/no-such-program")
        return
    id = pod.create(new_id(), NAME, "/bin/no-such-program")
    result = server.crictl("start", id)
    assert result.returncode != 0
    assert "/bin/no-such-program" in result.stderr
    status = inspected(server, id)["status"]
    assert (status["reason"], status["exitCode"]) == ("StartError", 128)


def test_one_that_takes_too_much_memory_is_told_so(server: Server, pod: Pod) -> None:
    """With time before and after: containerd 1.7 misses one at once, or one that ends the cgroup (its issue 8180)."""
    small = {"resources": {"memory_limit_in_bytes": 24 * MIB, "memory_swap_limit_in_bytes": 24 * MIB}}
    script = "sleep 10; tail /dev/zero; told=$?; sleep 10; exit $told"
    id = pod.run(new_id(), NAME, "sh", "-c", script, linux=small)
    assert ended(server, id) == 137
    wait_until(lambda: inspected(server, id)["status"]["reason"] in server.reasons_of_oom, "it is told", 30)


@pytest.mark.parametrize(
    ("image", "command", "status"), [(NAME, ("sh", "-c", UNTIL_TERM), 0), (WASM, ("/wait.wat",), 143)]
)
def test_stop_is_heeded(server: Server, pod: Pod, image: str, command: "tuple[str, ...]", status: int) -> None:
    """By SIGTERM, well before the time is over that would make it SIGKILL."""
    id = pod.run(new_id(), image, *command)
    place = cgroup_of(server, id)
    if image == WASM:
        assert logged(server, id) == "waiting\n"
    server.done("stop", "--timeout", "200", id)
    assert ended(server, id) == status
    server.done("rm", id)
    assert not place.exists()


def test_one_that_does_not_heed_it_is_killed(server: Server, pod: Pod) -> None:
    id = pod.run(new_id(), NAME, "sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    server.done("stop", "--timeout", "1", id)
    assert ended(server, id) == 137


def test_a_privileged_container(server: Server, folder: Path) -> None:
    context = {"security_context": {"privileged": True}}
    pod = Pod(server, folder, new_id(), linux=context)
    try:
        id = pod.run("all", NAME, "sh", "-c", f"{CONFINED}; mount -t tmpfs none /tmp && echo MOUNTED", linux=context)
        assert ended(server, id) == 0
        bounding, seccomp, label, mounted = logged(server, id).splitlines()
        assert bounding.split()[1] == Path("/proc/self/status").read_text().partition("CapBnd:\t")[2].split()[0]
        assert (seccomp.split()[1], label, mounted) == ("0", "unconfined", "MOUNTED")
    finally:
        pod.remove()


@pytest.mark.parametrize(("image", "command"), [(NAME, ("cat", "/proc/self/uid_map")), (WASM, ("/hello.wat",))])
def test_a_pod_in_a_user_namespace(server: Server, folder: Path, image: str, command: "tuple[str, ...]") -> None:
    ids = [{"host_id": 200000, "container_id": 0, "length": 65536}]
    spaces = {"userns_options": {"mode": 0, "uids": ids, "gids": ids}, "pid": 1}
    context = {"security_context": {"namespace_options": spaces}}
    pod = Pod(server, folder, new_id(), linux=context)
    try:
        id = pod.run("mapped", image, *command, linux=context)
        assert ended(server, id) == 0
        assert logged(server, id).split() == ["0", "200000", "65536"] or logged(server, id) == HELLO
    finally:
        pod.remove()


def test_a_pod_that_shares_its_pids(server: Server, folder: Path) -> None:
    context = {"security_context": {"namespace_options": {"pid": 0}}}
    pod = Pod(server, folder, new_id(), linux=context)
    try:
        first = pod.run("first", NAME, "sh", "-c", UNTIL_TERM, linux=context)
        second = pod.run("second", WASM, "/wait.wat", linux=context)
        assert logged(server, second) == "waiting\n"
        seen = server.done("exec", "-s", first, "sh", "-c", "cat /proc/[0-9]*/comm | wc -l")
        assert int(seen) >= 4, seen  # the pod's own, both containers, and the one that looks
    finally:
        pod.remove()


def test_nothing_is_left_of_a_pod(server: Server, folder: Path) -> None:
    pod = Pod(server, folder, new_id())
    ids = [pod.run("linux", NAME, "sleep", "100000"), pod.run("wasm", WASM, "/wait.wat")]
    places = [cgroup_of(server, id) for id in ids]
    server.done("rmp", "--force", pod.id)
    assert not [place for place in places if place.exists()]
    for id in (pod.id, *ids):
        assert not list(Path("/run").glob(f"{server.name}/**/{id}*"))
        assert not list(Path(server.states).glob(f"{id}*"))
