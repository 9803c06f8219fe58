"""Static pods of a kubelet that has no API server, over a containerd whose default is pyruntime with systemd's cgroups.

What runs in them is Linux and Wasm, told apart by the first bytes of what they run.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.guest.cri import Server
from tests.guest.guests import HELLO, NAME, UNTIL_TERM, WASM, make_images
from tests.guest.kubelet import (
    CGROUPS,
    Kubelet,
    OursByDefault,
    OursByDefault2,
    StaticPod,
    by_exec,
    container,
    left_of,
    poll,
)
from tests.system.harness import new_id

MIB = 1 << 20
LIMITS = {"limits": {"cpu": "500m", "memory": "64Mi"}}  # asked for as well, where nothing else is said: "Guaranteed"


@pytest.fixture(autouse=True)
def no_leaks() -> None:
    """Instead of the look at everything: the kubelet keeps mounts and cgroups of its own until the module's end."""


@pytest.fixture(scope="module", params=(OursByDefault, OursByDefault2), ids=lambda kind: kind.name)
def kubelet(
    request: pytest.FixtureRequest, launcher: Path, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Kubelet]":
    server: Server = request.param(launcher)
    made = Kubelet(server)
    server.start()
    try:
        server.load(*make_images(tmp_path_factory.mktemp("images")))
        made.start()
        yield made
        made.remove()
    finally:
        server.end()


@pytest.fixture(scope="module")
def pod(kubelet: Kubelet) -> "Iterator[StaticPod]":
    """One for those tests that leave it as it was: Linux and Wasm, one that comes first, and a sidecar that is Wasm."""
    shared = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}], "resources": LIMITS}
    first = container("first", NAME, "sh", "-c", "echo made by the first > /shared/file", **shared)
    beside = container("beside", WASM, "/wait.wat", restartPolicy="Always", resources=LIMITS)
    greeted, called = hook("sh", "-c", "echo greeted > /shared/hook"), hook("/hello.wat")
    linux = container("linux", NAME, "sh", "-c", f"cat /shared/file; {UNTIL_TERM}", lifecycle=greeted, **shared)
    wasm = container("wasm", WASM, "/wait.wat", lifecycle=called, resources=LIMITS)
    volumes = [{"name": "shared", "emptyDir": {}}]
    made = StaticPod(kubelet, new_id(), linux, wasm, initContainers=[first, beside], volumes=volumes)
    for each in ("linux", "wasm", "beside"):
        made.until_ready(each)
    yield made
    made.remove()


def hook(*command: str) -> "dict[str, Any]":
    """A program that runs after the start of a container, which is ended if it fails."""
    return {"postStart": {"exec": {"command": list(command)}}}


def lines(pod: StaticPod, container: str, count: int = 1, life: int = 0) -> "list[str]":
    """Of a container's log, after waiting for so many to be there."""
    poll(lambda: len(pod.log(container, life)) >= count, f"{container} has printed", 60)
    return pod.log(container, life)


def test_linux_and_wasm_run_in_one_pod(pod: StaticPod) -> None:
    assert lines(pod, "linux") == ["made by the first"]
    assert lines(pod, "wasm") == lines(pod, "beside") == ["waiting"]
    assert pod.seen()["status"]["phase"] == "Running"
    spaces = {os.readlink(f"/proc/{pod.pid(each)}/ns/net") for each in ("linux", "wasm", "beside")}
    assert len(spaces) == 1
    assert spaces != {os.readlink("/proc/self/ns/net")}


def test_the_one_that_comes_first_has_ended(pod: StaticPod) -> None:
    ended = pod.status("first")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")


def test_the_default_is_us(pod: StaticPod) -> None:
    server = pod.kubelet.server
    assert all(server.is_ours(pod.id(each)) for each in ("linux", "wasm", "beside"))


@pytest.mark.parametrize("kind", ["linux", "wasm", "beside"])
def test_limits_are_in_the_cgroup(pod: StaticPod, kind: str) -> None:
    """A scope in the pod's slice; that of a pod which gets what it asks for lies in no class's slice."""
    place = pod.cgroup(kind)
    slice = f"kubepods-pod{pod.uid.replace('-', '_')}.slice"
    assert place == CGROUPS / "kubepods.slice" / slice / f"cri-containerd-{pod.id(kind)}.scope"
    assert (place / "memory.max").read_text() == f"{64 * MIB}\n"
    assert (place / "cpu.max").read_text() == "50000 100000\n"
    assert int((place.parent / "memory.max").read_text()) == 3 * 64 * MIB
    assert Path(f"/proc/{pod.pid(kind)}/oom_score_adj").read_text() == "-997\n"


def test_the_kubelet_runs_a_program_in_it(pod: StaticPod) -> None:
    assert pod.run("linux", "cat", "/shared/file", "/shared/hook") == "made by the first\ngreeted\n"
    for each in ("wasm", "beside"):
        assert pod.run(each, "/hello.wat", "again") == f"{HELLO}again\n"


def test_a_program_of_it_that_fails(pod: StaticPod) -> None:
    with pytest.raises(OSError, match="exited with 3"):
        pod.run("wasm", "/count.wat", "a", "b")
    with pytest.raises(OSError, match="no-such-program"):
        pod.run("linux", "/bin/no-such-program")


def test_a_kubelet_that_is_started_again_leaves_them_alone(pod: StaticPod) -> None:
    before = {each: pod.id(each) for each in ("linux", "wasm", "beside")}
    pod.kubelet.stop()
    pod.kubelet.start()
    for each, id in before.items():
        status = pod.until_ready(each)
        assert (status["restartCount"], pod.id(each)) == (0, id)


def test_probes_that_are_programs(kubelet: Kubelet) -> None:
    """Ready once the probe succeeds; ended and started again when the other fails."""
    probes = {
        "readinessProbe": by_exec("test", "-e", "/tmp/ready"),
        "livenessProbe": by_exec("test", "!", "-e", "/ill"),
    }
    pod = StaticPod(kubelet, new_id(), container("linux", NAME, "sh", "-c", f"echo begun; {UNTIL_TERM}", **probes))
    assert pod.until("linux", "is started", "started", True)["ready"] is False
    pod.run("linux", "touch", "/tmp/ready")
    pod.until_ready("linux")
    pod.run("linux", "touch", "/ill")
    status = pod.until_restarted("linux")
    assert status["lastState"]["terminated"]["exitCode"] == 0  # it heeds SIGTERM
    assert lines(pod, "linux", life=1) == ["begun"]
    pod.remove()


def test_probes_that_are_modules(kubelet: Kubelet) -> None:
    well = container("well", WASM, "/wait.wat", readinessProbe=by_exec("/hello.wat"))
    late = {**by_exec("/count.wat"), "initialDelaySeconds": 30}  # not before the module heeds SIGTERM
    ill = container("ill", WASM, "/wait.wat", livenessProbe=late)
    pod = StaticPod(kubelet, new_id(), well, ill)
    pod.until_ready("well")
    status = pod.until_restarted("ill")
    assert status["lastState"]["terminated"]["exitCode"] == 143  # by SIGTERM
    assert pod.status("well")["restartCount"] == 0
    pod.remove()


def test_what_has_ended_is_started_again(kubelet: Kubelet) -> None:
    linux = container("linux", NAME, "sh", "-c", "echo begun; exit 3")
    wasm = container("wasm", WASM, "/count.wat", "a", "b", "c")
    pod = StaticPod(kubelet, new_id(), linux, wasm, restartPolicy="Always")
    for each, code in (("linux", 3), ("wasm", 4)):
        ended = pod.until_restarted(each)["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (code, "Error")
    pod.remove()


def test_one_that_runs_once(kubelet: Kubelet) -> None:
    once = container("wasm", WASM, "/hello.wat", "two words")
    pod = StaticPod(kubelet, new_id(), once, restartPolicy="Never")
    poll(lambda: pod.seen().get("status", {}).get("phase") == "Succeeded", "it ends")
    assert lines(pod, "wasm", 3) == [*HELLO.splitlines(), "two words"]
    assert pod.status("wasm")["state"]["terminated"]["exitCode"] == 0
    pod.remove()


def test_a_pod_in_a_user_namespace(kubelet: Kubelet) -> None:
    if not json.loads(kubelet.server.done("info")).get("runtimeHandlers"):
        pytest.skip("this containerd tells of no handler's features, by which a kubelet knows of user namespaces")
    linux = container("linux", NAME, "sh", "-c", f"cat /proc/self/uid_map; {UNTIL_TERM}")
    pod = StaticPod(kubelet, new_id(), linux, container("wasm", WASM, "/wait.wat"), hostUsers=False)
    for each in ("linux", "wasm"):
        pod.until_ready(each)
    inside, outside, length = map(int, lines(pod, "linux")[0].split())
    assert (inside, length) == (0, 65536)
    assert outside >= 65536
    assert lines(pod, "wasm") == ["waiting"]
    assert {os.stat(f"/proc/{pod.pid(each)}").st_uid for each in ("linux", "wasm")} == {outside}
    pod.remove()


def test_nothing_is_left_of_a_pod(kubelet: Kubelet) -> None:
    linux = container("linux", NAME, "sh", "-c", f"echo begun; {UNTIL_TERM}")
    pod = StaticPod(kubelet, new_id(), linux, container("wasm", WASM, "/wait.wat"))
    for each in ("linux", "wasm"):
        pod.until_ready(each)
        lines(pod, each)
    uid, pids = pod.uid, [pod.pid(each) for each in ("linux", "wasm")]
    sandbox = kubelet.server.done("pods", "--quiet", "--name", pod.name)
    ids = [sandbox, pod.id("linux"), pod.id("wasm")]
    seen = left_of(kubelet, uid, ids, pids)
    assert all(seen.values()), seen
    pod.remove()
    poll(lambda: not pod.seen(), "the kubelet forgets it")
    poll(lambda: not any(left_of(kubelet, uid, ids, pids).values()), "nothing is left", 180)
