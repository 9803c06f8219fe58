"""What podman has beyond what all engines have: pods, play kube, health checks, restarts; as root and as a user."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.engines import Podman, RootlessPodman, call, done
from tests.guest.guests import HELLO, NAME, PAUSE, UNTIL_TERM, WASM, make_images
from tests.system.harness import new_id, wait_until

LINUX_AND_WASM = pytest.mark.parametrize("command", [("sleep", "100000"), ("/wait.wat",)], ids=["linux", "wasm"])
NO_NETWORK = ("--network", "none")


@pytest.fixture(autouse=True)
def no_leaks() -> None:
    """Instead of the look at everything: podman keeps processes, mounts and cgroups of its own."""


@pytest.fixture(scope="module", params=[Podman, RootlessPodman], ids=lambda kind: kind.name)
def podman(request: pytest.FixtureRequest, launcher: Path, tmp_path_factory: pytest.TempPathFactory) -> Podman:
    engine: Podman = request.param(launcher)
    for image in make_images(tmp_path_factory.mktemp("images")):
        engine.load(image)
    return engine


def told(podman: Podman, id: str, words: str) -> str:
    return done(*podman.base, "inspect", "--format", f"{{{{{words}}}}}", id)


@pytest.fixture
def pod(podman: Podman) -> "Iterator[str]":
    """A pod whose infra container is a Linux one of ours, too."""
    name = new_id()
    done(*podman.base, "pod", "create", "--name", name, "--infra-image", PAUSE, *NO_NETWORK, "--memory", "256m")
    yield name
    call(*podman.base, "pod", "rm", "--force", "--time", "0", name)


def test_a_pod_of_linux_and_wasm(podman: Podman, pod: str) -> None:
    linux, wasm = new_id(), new_id()
    for id, command in ((linux, ("sh", "-c", UNTIL_TERM)), (wasm, ("/wait.wat",))):
        done(*podman.base, "run", "--detach", "--pod", pod, "--name", id, NAME, *command)
    wait_until(lambda: podman.output(wasm) == "waiting\n", "the module is at work", 60)
    spaces = [
        {kind: os.readlink(f"/proc/{podman.pid(id)}/ns/{kind}") for kind in ("net", "ipc", "uts", "pid")}
        for id in (linux, wasm)
    ]
    assert [spaces[0][kind] == spaces[1][kind] for kind in ("net", "ipc", "uts", "pid")] == [True, True, True, False]
    assert len(json.loads(done(*podman.base, "pod", "inspect", pod))[0]["Containers"]) == 3
    listed = json.loads(done(*podman.base, "pod", "stats", "--no-stream", "--format", "json", pod))
    assert {each["Name"] for each in listed} >= {linux, wasm}
    for verb, status in (("pause", "paused"), ("unpause", "running"), ("stop", "exited"), ("start", "running")):
        done(*podman.base, "pod", verb, pod)
        assert {podman.status(id) for id in (linux, wasm)} == {status}


def test_play_kube(podman: Podman, tmp_path: Path) -> None:
    name = new_id()
    containers = [
        {"name": "linux", "image": NAME, "command": ["sh", "-c", f"echo begun; {UNTIL_TERM}"]},
        {"name": "wasm", "image": WASM, "args": ["/wait.wat"], "command": ["/wait.wat"]},
        {"name": "once", "image": WASM, "resources": {"limits": {"memory": "64Mi"}}},
    ]
    for each in containers:
        each["imagePullPolicy"] = "Never"
    spec = {"restartPolicy": "Never", "containers": containers}
    kube = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    tmp_path.chmod(0o755)
    file = tmp_path / "pod.yaml"
    file.write_text(json.dumps(kube))
    done(*podman.base, "kube", "play", *NO_NETWORK, str(file))
    try:
        wait_until(lambda: podman.output(f"{name}-wasm") == "waiting\n", "the module is at work", 60)
        assert podman.output(f"{name}-linux") == "begun\n"
        wait_until(lambda: podman.status(f"{name}-once") == "exited", "the other one has ended", 60)
        assert podman.output(f"{name}-once") == HELLO
        assert told(podman, f"{name}-once", ".HostConfig.Memory") == str(64 << 20)
    finally:
        done(*podman.base, "kube", "down", "--force", str(file))
    assert not podman.known(f"{name}-linux")


def test_health(podman: Podman) -> None:
    """Exec by a timer of systemd's, and by hand; of a module in a container that is a module, too."""
    for command, check in ((("sleep", "100000"), ("test", "-e", "/tmp/well")), (("/wait.wat",), ("/count.wat",))):
        id = new_id()
        flags = ("--health-cmd", json.dumps(["CMD", *check]), "--health-interval", "disable", "--health-retries", "1")
        podman.start(id, *command, flags=flags)
        assert call(*podman.base, "healthcheck", "run", id).returncode == 1
        assert told(podman, id, ".State.Health.Status") == "unhealthy"
        podman.remove(id)
    id = new_id()
    podman.start(id, "sleep", "100000", flags=("--health-cmd", "test -e /tmp/well", "--health-interval", "2s"))
    assert podman.exec(id, "touch", "/tmp/well").returncode == 0
    wait_until(lambda: told(podman, id, ".State.Health.Status") == "healthy", "it is well", 60)
    podman.remove(id)


@LINUX_AND_WASM
def test_update_and_stats(podman: Podman, command: "tuple[str, ...]") -> None:
    id = new_id()
    podman.start(id, *command)
    line = Path(f"/proc/{podman.pid(id)}/cgroup").read_text().splitlines()[-1]
    place = Path("/sys/fs/cgroup" + line[3:])
    done(*podman.base, "update", "--cpus", "0.5", "--pids-limit", "33", id)
    assert (place / "cpu.max").read_text() == "50000 100000\n"
    assert (place / "pids.max").read_text() == "33\n"
    stats = json.loads(done(*podman.base, "stats", "--no-stream", "--format", "json", id))[0]
    assert stats["mem_usage"].endswith("/ 67.11MB")
    assert int(stats["pids"]) >= 1
    podman.remove(id)


@LINUX_AND_WASM
def test_restarted_when_it_is_killed(podman: Podman, command: "tuple[str, ...]") -> None:
    id = new_id()
    podman.start(id, *command, flags=("--restart", "always"))
    first = podman.pid(id)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: told(podman, id, ".RestartCount") == "1" and podman.pid(id) not in (0, first), "a restart", 60)
    podman.remove(id)


def test_an_init_of_podmans(podman: Podman) -> None:
    result = podman.run(new_id(), "sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '; echo; echo $$", flags=("--init",))
    first, pid = result.stdout.splitlines()
    assert first.startswith("/run/podman-init -- sh -c"), result
    assert int(pid) > 1


def test_attach_logs_top_and_wait(podman: Podman) -> None:
    id = new_id()
    podman.start(id, "sh", "-c", "echo begun; sleep 100000")
    assert "sleep 100000" in done(*podman.base, "top", id, "args")
    wait_until(lambda: podman.output(id) == "begun\n", "it has printed", 60)
    assert podman.kill(id) == 137
    podman.remove(id)


def test_a_network_of_podmans(podman: Podman) -> None:
    """netavark's bridge as root, pasta as a user: the namespace is made by podman and joined by us."""
    result = call(*podman.base, "run", "--rm", "--runtime", podman.runtime, NAME, "ls", "/sys/class/net")
    assert result.returncode == 0, result
    assert "lo" in result.stdout.split()
    assert len(result.stdout.split()) >= 2, result


def test_options_that_change_the_container(podman: Podman, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("content\n")
    flags = ("--read-only", "--tmpfs", "/run", "--volume", f"{tmp_path}:/mnt:ro", "--user", "1000:1000")
    more = ("--hostname", "h", "--sysctl", "net.ipv4.ip_forward=1", "--ulimit", "nofile=99:99", "--cap-drop", "ALL")
    script = "id -u; hostname; cat /mnt/file /proc/sys/net/ipv4/ip_forward; ulimit -n; touch /new || echo REFUSED"
    result = podman.run(new_id(), "sh", "-c", script, flags=(*flags, *more))
    assert result.stdout.splitlines() == ["1000", "h", "content", "1", "99", "REFUSED"], result


def test_a_failure_is_told_by_its_log(podman: Podman) -> None:
    """Podman reads the runtime's log, and has one line of ours in its own."""
    result = podman.run(new_id(), "true", flags=("--annotation", "run.oci.handler=no-such-engine"))
    assert result.returncode == 126
    assert "run.oci.handler" in result.stderr
