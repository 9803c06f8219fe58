"""Containers of ctr, podman (as root and as a user) and docker, under the profiles that these come with."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.engines import (
    ENGINES,
    Containerd,
    Engine,
    Podman,
    RootlessDocker,
    RootlessNerdctl,
    RootlessPodman,
    call,
    done,
    on_a_terminal,
)
from tests.guest.guests import HELLO, WASM, make_images
from tests.system.harness import new_id, wait_until

CONFINED = "grep -E '^(Seccomp|CapBnd):' /proc/self/status; cat /proc/self/attr/current"
HIDDEN = (RootlessDocker, RootlessNerdctl)  # whose daemons have mount namespaces of their own
UNSHARE = "busybox", "unshare", "-U", "true"
ALLOWED = "00000000a80425fb", "00000000800405fb"  # containerd's and docker's capabilities, and podman's


@pytest.fixture(autouse=True)
def no_leaks() -> None:
    """Instead of the look at everything: engines keep processes, mounts and cgroups of their own."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> "list[Path]":
    return make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module", params=ENGINES, ids=lambda kind: kind.name)
def engine(request: pytest.FixtureRequest, launcher: Path, images: "list[Path]") -> Engine:
    """An engine that has the images."""
    found: Engine = request.param(launcher)
    for image in images:
        found.load(image)
    return found


@pytest.fixture(scope="module")
def sleeper(engine: Engine) -> "Iterator[str]":
    """One container for those tests that leave it as it was."""
    id = new_id()
    engine.start(id, "sleep", "100000")
    yield id
    engine.remove(id)


@pytest.fixture(scope="module")
def module(engine: Engine) -> "Iterator[str]":
    """A container of one Wasm module that waits."""
    id = new_id()
    engine.start(id, "/wait.wat")
    wait_until(lambda: engine.output(id) == "waiting\n", "the module is at work", 60)
    yield id
    engine.remove(id)


def confined(engine: Engine, out: str) -> bool:
    """Whether CONFINED tells of the engine's filter, of its profile and of few capabilities."""
    bounding, seccomp, label = out.splitlines()
    assert bounding.split()[1] in ALLOWED
    assert seccomp.split() == ["Seccomp:", "2"]
    return label.startswith(engine.label)


def test_a_container_is_under_the_default_profiles(engine: Engine) -> None:
    result = engine.run(new_id(), "sh", "-c", CONFINED)
    assert result.returncode == 0, result
    assert confined(engine, result.stdout), result


def test_exec_is_under_them_too(engine: Engine, sleeper: str) -> None:
    result = engine.exec(sleeper, "sh", "-c", CONFINED)
    assert result.returncode == 0, result
    assert confined(engine, result.stdout), result


def test_who_forbids_user_namespaces(engine: Engine, sleeper: str) -> None:
    """What the engines differ in: the filter's EPERM, AppArmor's EACCES behind podman's filter, or nobody."""
    result = engine.exec(sleeper, *UNSHARE)
    assert result.returncode == (1 if engine.unshare else 0), result
    assert engine.unshare in result.stderr


@pytest.mark.parametrize("status", [0, 7])
def test_exit_status_of_run(engine: Engine, status: int) -> None:
    result = engine.run(new_id(), "sh", "-c", f"echo out; echo err >&2; exit {status}")
    assert (result.returncode, result.stdout) == (status, "out\n"), result
    assert "err\n" in result.stderr


def test_exit_status_of_exec(engine: Engine, sleeper: str) -> None:
    result = engine.exec(sleeper, "sh", "-c", "echo out; exit 8")
    assert result.stdout == "out\n", result
    assert result.returncode == 8 or "exec failed with exit code 8" in result.stderr, result  # as nerdctl tells it


@pytest.mark.parametrize(("kind", "program"), [("missing", "/bin/no-such-program"), ("folder", "/tmp")])
def test_a_program_that_can_not_be_run(engine: Engine, kind: str, program: str) -> None:
    result = engine.run(new_id(), program)
    assert result.returncode == engine.statuses[kind], result
    assert program in result.stderr


def test_a_terminal(engine: Engine) -> None:
    id = new_id()
    status, output = on_a_terminal(*engine.running(id, "sh", "-c", "tty; exit 9", flags=engine.terminal(id)))
    assert status == 9, output
    assert "/dev/pts/0" in output or "/dev/console" in output


def test_pause_and_resume(engine: Engine, sleeper: str) -> None:
    freeze = cgroup_of(engine, sleeper) / "cgroup.freeze"
    engine.pause(sleeper)
    try:
        assert engine.status(sleeper) == "paused"
        assert freeze.read_text() == "1\n"
    finally:
        engine.resume(sleeper)
    assert engine.status(sleeper) == "running"
    assert freeze.read_text() == "0\n"
    assert engine.exec(sleeper, "true").returncode == 0


def bundle_of(pid: int) -> Path:
    """The bundle of a container, as its watching parent knows it: conmon by a flag, a shim by its folder."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    words = Path(f"/proc/{stat[1]}/cmdline").read_text().split("\0")
    return Path(words[words.index("-b") + 1]) if "-b" in words else Path(f"/proc/{stat[1]}/cwd").resolve()


def test_check_has_no_alarm_for_what_the_engine_wrote(engine: Engine, sleeper: str, launcher: Path) -> None:
    if isinstance(engine, HIDDEN):
        pytest.skip("its bundles lie in a mount namespace of its daemon's")
    result = call(str(launcher), "check", str(bundle_of(engine.pid(sleeper))))
    assert " error " not in result.stdout, result
    assert " warning " not in result.stdout, result
    assert result.stdout.splitlines()[-1].startswith("/"), result


def cgroup_of(engine: Engine, id: str) -> Path:
    """A container's cgroup, as the host sees it."""
    lines = Path(f"/proc/{engine.pid(id)}/cgroup").read_text().splitlines()
    return Path("/sys/fs/cgroup" + next(line[3:] for line in lines if line.startswith("0::")))


def test_the_cgroup_is_who_the_engine_asks_for(engine: Engine, sleeper: str) -> None:
    """A unit of systemd's that is at work, or a directory that is no unit."""
    name = cgroup_of(engine, sleeper).name
    if type(engine) is Containerd:
        assert name == sleeper
        return
    assert name.endswith(".scope")
    user = ("--user", "--machine", "user@") if isinstance(engine, (RootlessPodman, *HIDDEN)) else ()
    assert done("systemctl", *user, "show", "--property", "ActiveState", "--value", name) == "active"


def test_memory_is_limited_and_the_limit_changed(engine: Engine, sleeper: str) -> None:
    limit = cgroup_of(engine, sleeper) / "memory.max"
    assert limit.read_text() == f"{64 << 20}\n"
    engine.limit_memory(sleeper, 96)
    assert limit.read_text() == f"{96 << 20}\n"


def test_killed_and_removed(engine: Engine) -> None:
    id = new_id()
    engine.start(id, "sleep", "100000")
    pid, cgroup = engine.pid(id), cgroup_of(engine, id)
    assert engine.kill(id) == 137
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the process has ended", 60)
    engine.remove(id)
    assert not engine.known(id)
    assert not cgroup.exists()
    assert not [path for root in ("/run/pyruntime", "/run/user/1000/pyruntime") for path in Path(root).glob(f"*{id}*")]


def test_an_image_of_wasm_alone(engine: Engine) -> None:
    """By its first bytes: no annotation, no platform, and the entry point of the image."""
    result = engine.run(new_id(), image=WASM)
    assert (result.returncode, result.stdout) == (0, HELLO), result
    result = engine.run(new_id(), "/count.wat", "a", "b", image=WASM)
    assert result.returncode == 3, result


def test_exec_of_another_module(engine: Engine, module: str) -> None:
    result = engine.exec(module, "/hello.wat", "two words")
    assert (result.returncode, result.stdout) == (0, f"{HELLO}two words\n"), result
    counted = engine.exec(module, "/count.wat", "a")
    assert counted.returncode == 2 or "exec failed with exit code 2" in counted.stderr, counted  # as nerdctl tells it


def test_a_module_is_under_the_profiles_and_limits_too(engine: Engine, module: str) -> None:
    status = Path(f"/proc/{engine.pid(module)}/status").read_text()
    told = [line for line in status.splitlines() if line.startswith(("CapBnd", "Seccomp:"))]
    label = Path(f"/proc/{engine.pid(module)}/attr/current").read_text().strip()
    assert confined(engine, "\n".join([*told, label])), (told, label)
    assert (cgroup_of(engine, module) / "memory.max").read_text() == f"{64 << 20}\n"


def test_a_module_is_paused_stopped_and_removed(engine: Engine) -> None:
    id = new_id()
    engine.start(id, "/wait.wat")
    wait_until(lambda: engine.output(id) == "waiting\n", "the module is at work", 60)
    engine.pause(id)
    assert engine.status(id) == "paused"
    engine.resume(id)
    cgroup = cgroup_of(engine, id)
    assert engine.stop(id) == 143
    engine.remove(id)
    assert not engine.known(id)
    assert not cgroup.exists()


@pytest.mark.parametrize("kind", ["auto", "nomap", "keep-id"])
def test_user_namespaces_of_podman(engine: Engine, kind: str) -> None:
    if not isinstance(engine, Podman) or (kind == "auto") is isinstance(engine, RootlessPodman):
        pytest.skip("a mode that this engine does not have")
    if kind == "auto" and "containers:" not in Path("/etc/subuid").read_text():
        for name in ("/etc/subuid", "/etc/subgid"):
            with open(name, "a") as file:
                file.write("containers:1000000:655360\n")
    script = f"{CONFINED}; cat /proc/self/uid_map"
    result = engine.run(new_id(), "sh", "-c", script, flags=(f"--userns={kind}",))
    assert result.returncode == 0, result
    lines = result.stdout.splitlines()
    assert confined(engine, "\n".join(lines[:3])), result
    maps = [line.split() for line in lines[3:]]
    assert maps[0][0] == "0"
    assert sum(int(line[2]) for line in maps) < 1 << 20


def test_ctr_tells_no_less_without_profiles(engine: Engine) -> None:
    """What the other tests are held against: without the flags for them there is no filter and no profile."""
    if not isinstance(engine, Containerd):
        pytest.skip("only ctr has its profiles switched off by default")
    plain = Containerd(Path(engine.runtime))
    plain.run_flags = plain.run_flags[:2]
    result = plain.run(new_id(), "sh", "-c", f"{CONFINED}; {' '.join(UNSHARE)} && echo FREE")
    assert "Seccomp:\t0" in result.stdout, result
    assert result.stdout.splitlines()[2:] == ["unconfined", "FREE"]
