"""What Docker has beyond what all engines have: restarts, --init, stats, live update, ids that are mapped for all."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.engines import DAEMON, Docker, call, done
from tests.guest.guests import HELLO, NAME, WASM, make_images
from tests.system.harness import new_id, wait_until

LINUX_AND_WASM = pytest.mark.parametrize("command", [("sleep", "100000"), ("/wait.wat",)], ids=["linux", "wasm"])


@pytest.fixture(autouse=True)
def no_leaks() -> None:
    """Instead of the look at everything: the daemon keeps processes, mounts and cgroups of its own."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> "list[Path]":
    return make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def docker(launcher: Path, images: "list[Path]") -> Docker:
    engine = Docker(launcher)
    for image in images:
        engine.load(image)
    return engine


def told(id: str, words: str) -> str:
    return done("docker", "inspect", "--format", f"{{{{{words}}}}}", id)


def files(engine: Docker, id: str) -> Path:
    line = Path(f"/proc/{engine.pid(id)}/cgroup").read_text().splitlines()[-1]
    return Path("/sys/fs/cgroup" + line[3:])


@LINUX_AND_WASM
def test_restarted_when_it_is_killed(docker: Docker, command: "tuple[str, ...]") -> None:
    id = new_id()
    docker.start(id, *command, flags=("--restart", "always"))
    first = docker.pid(id)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: told(id, ".RestartCount") == "1" and docker.status(id) == "running", "it was restarted", 60)
    assert docker.pid(id) != first
    docker.remove(id)


def test_restarted_until_it_has_failed_often_enough(docker: Docker) -> None:
    id = new_id()
    docker.start(id, "/count.wat", "a", "b", flags=("--restart", "on-failure:2"))
    wait_until(lambda: told(id, ".RestartCount") == "2" and docker.status(id) == "exited", "it has ended", 120)
    assert told(id, ".State.ExitCode") == "3"
    docker.remove(id)


def test_stopped_and_started_again(docker: Docker) -> None:
    id = new_id()
    docker.start(id, "sh", "-c", "echo once >> /tmp/file; cat /tmp/file; trap exit TERM; sleep 100000 & wait")
    assert docker.stop(id) in (0, 143)
    done("docker", "start", id)
    wait_until(lambda: docker.output(id) == "once\nonce\nonce\n", "both runs have printed", 60)
    docker.remove(id)


def test_an_init_of_dockers(docker: Docker) -> None:
    result = docker.run(new_id(), "sh", "-c", "cat /proc/1/comm; echo $$", flags=("--init",))
    name, pid = result.stdout.split()
    assert name == "docker-init"
    assert int(pid) > 1


@LINUX_AND_WASM
def test_update_and_stats(docker: Docker, command: "tuple[str, ...]") -> None:
    id = new_id()
    docker.start(id, *command)
    place = files(docker, id)
    done("docker", "update", "--cpus", "0.5", "--pids-limit", "33", "--cpu-shares", "512", id)
    assert (place / "cpu.max").read_text() == "50000 100000\n"
    assert (place / "pids.max").read_text() == "33\n"
    assert int((place / "cpu.weight").read_text()) < 100
    stats = json.loads(done("docker", "stats", "--no-stream", "--format", "json", id))
    assert stats["MemUsage"].endswith("/ 64MiB")
    assert int(stats["PIDs"]) >= 1
    docker.remove(id)


def test_top_sees_what_exec_has_started(docker: Docker) -> None:
    id = new_id()
    docker.start(id, "sleep", "100000")
    done("docker", "exec", "--detach", id, "sleep", "99999")
    lines = done("docker", "top", id, "-eo", "pid,args").splitlines()[1:]
    assert sorted(line.split(None, 1)[1] for line in lines) == ["sleep 100000", "sleep 99999"]
    docker.remove(id)


def test_health(docker: Docker) -> None:
    """Exec every second, by the daemon."""
    id = new_id()
    flags = ("--health-cmd", "test -e /tmp/well", "--health-interval", "1s", "--health-retries", "1")
    docker.start(id, "sleep", "100000", flags=flags)
    wait_until(lambda: told(id, ".State.Health.Status") == "unhealthy", "it is not well", 60)
    assert docker.exec(id, "touch", "/tmp/well").returncode == 0
    wait_until(lambda: told(id, ".State.Health.Status") == "healthy", "it is well", 60)
    docker.remove(id)


def test_a_network_of_dockers(docker: Docker) -> None:
    id = new_id()
    done("docker", "run", "--detach", "--runtime", "pyruntime", "--name", id, NAME, "sleep", "100000")
    address = told(id, ".NetworkSettings.IPAddress")
    assert f"inet addr:{address}" in docker.exec(id, "ifconfig", "eth0").stdout
    docker.remove(id)


def test_options_that_change_the_container(docker: Docker, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("content\n")
    flags = ("--read-only", "--tmpfs", "/run", "--volume", f"{tmp_path}:/mnt:ro", "--user", "1000:1000")
    more = ("--hostname", "h", "--sysctl", "net.ipv4.ip_forward=1", "--ulimit", "nofile=99:99", "--cap-drop", "ALL")
    script = "id -u; hostname; cat /mnt/file /proc/sys/net/ipv4/ip_forward; ulimit -n; touch /new || echo REFUSED"
    result = docker.run(new_id(), "sh", "-c", script, flags=(*flags, *more))
    assert result.stdout.splitlines() == ["1000", "h", "content", "1", "99", "REFUSED"], result


@LINUX_AND_WASM
def test_it_outlives_the_daemon(docker: Docker, command: "tuple[str, ...]") -> None:
    settings = DAEMON.read_text()
    DAEMON.write_text(json.dumps({**json.loads(settings), "live-restore": True}))
    try:
        done("systemctl", "restart", "docker")
        id = new_id()
        docker.start(id, *command)
        pid = docker.pid(id)
        done("systemctl", "restart", "docker")
        assert (docker.status(id), docker.pid(id)) == ("running", pid)
        docker.kill(id)
        docker.remove(id)
    finally:
        DAEMON.write_text(settings)
        done("systemctl", "restart", "docker")


@pytest.fixture
def mapped(launcher: Path, images: "list[Path]") -> "Iterator[Docker]":
    """A daemon that maps the ids of all its containers; its images are others then."""
    engine = Docker(launcher)
    settings = DAEMON.read_text()
    DAEMON.write_text(json.dumps({**json.loads(settings), "userns-remap": "user"}))
    done("systemctl", "restart", "docker")
    for image in images:
        engine.load(image)
    yield engine
    DAEMON.write_text(settings)
    done("systemctl", "restart", "docker")


def test_ids_that_are_mapped_for_all(mapped: Docker) -> None:
    result = mapped.run(new_id(), "sh", "-c", "id -u; cat /proc/self/uid_map; touch /new && echo WRITTEN")
    first = Path("/etc/subuid").read_text().split(":")[1]
    assert result.stdout.split() == ["0", "0", first, "65536", "WRITTEN"], result
    result = mapped.run(new_id(), image=WASM)
    assert (result.returncode, result.stdout) == (0, HELLO), result
    id = new_id()
    mapped.start(id, "/wait.wat")
    wait_until(lambda: mapped.output(id) == "waiting\n", "the module is at work", 60)
    assert Path(f"/proc/{mapped.pid(id)}").stat().st_uid == int(first)
    assert mapped.exec(id, "/hello.wat").stdout == HELLO
    assert call("docker", "update", "--memory", "96m", "--memory-swap", "96m", id).returncode == 0
    assert mapped.stop(id) == 143
    mapped.remove(id)
