"""A process of `exec` is held by whatever holds the container's first one, whoever calls from wherever."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, new_id, wait_until

Make = Callable[..., Bundle]


@contextmanager
def started(rt: Runtime, bundle: Bundle, *around: str) -> "Iterator[str]":
    """A running container; `around`: a command that creates it in other surroundings."""
    bundle.process["args"], name = ["sleep", "600"], new_id()
    bundle.write()
    command = [*around, *rt.command("create", "--bundle", bundle.path, name)]
    try:
        assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=30).returncode == 0
        assert rt("start", name).rc == 0
        yield name
    finally:
        assert rt("delete", "--force", name).rc == 0


def by_file(rt: Runtime, bundle: Bundle, name: str, **changed: object) -> str:
    """What `exec --process` of this process prints; a None takes a key out."""
    process = {key: value for key, value in {**bundle.process, **changed}.items() if value is not None}
    (bundle.path / "exec.json").write_text(json.dumps(process))
    result = rt("exec", "--process", bundle.path / "exec.json", name)
    assert result.rc == 0, result
    return result.out


def test_personality(rt: Runtime, make: Make) -> None:
    bundle = make()
    bundle.linux["personality"] = {"domain": "LINUX32"}
    with started(rt, bundle) as name:
        assert rt("exec", name, "cat", "/proc/self/personality").out == "00000008\n"


def test_no_new_privs(rt: Runtime, make: Make) -> None:
    """The container is promised that a setuid file gives nothing, whoever starts what executes it."""
    bundle = make()
    assert bundle.process["noNewPrivileges"]
    with started(rt, bundle) as name:
        for asked in (None, False):
            args = ["grep", "NoNewPrivs", "/proc/self/status"]
            assert by_file(rt, bundle, name, args=args, noNewPrivileges=asked) == "NoNewPrivs:\t1\n"


@pytest.mark.parametrize("user_namespace", [False, True])
def test_oom_score_where_the_process_names_none(rt: Runtime, make: Make, user_namespace: bool) -> None:
    """An engine's helper is hard to kill for the kernel; what it starts in a container is not to inherit that."""
    bundle = make()
    if user_namespace:
        bundle.user_namespace()
    bundle.process["oomScoreAdj"] = 321
    with started(rt, bundle) as name:
        args = ["cat", "/proc/self/oom_score_adj"]
        assert by_file(rt, bundle, name, args=args, oomScoreAdj=None) == "321\n"
        assert by_file(rt, bundle, name, args=args, oomScoreAdj=432) == "432\n"


@pytest.mark.parametrize("kind", ["net", "ipc", "uts"])
def test_namespaces_that_were_the_caller_s(rt: Runtime, make: Make, kind: str) -> None:
    """Not in config.json, so the container lives in those of who created it: that is where `exec` belongs too."""
    bundle = make()
    bundle.without({"net": "network"}.get(kind, kind))
    with started(rt, bundle, "unshare", f"--{kind}") as name:
        first = os.readlink(f"/proc/{rt.state(name)['pid']}/ns/{kind}")
        assert first != os.readlink(f"/proc/self/ns/{kind}")
        assert rt("exec", name, "readlink", f"/proc/self/ns/{kind}").out == f"{first}\n"


def test_pid_namespace_that_is_ours(rt: Runtime, make: Make) -> None:
    bundle = make()
    for entry in bundle.linux["namespaces"]:
        if entry["type"] == "pid":
            entry["path"] = "/proc/self/ns/pid"
    with started(rt, bundle) as name:
        result = rt("exec", name, "readlink", "/proc/self/ns/pid")
        assert result.out == os.readlink("/proc/self/ns/pid") + "\n", result


@pytest.fixture
def groupless() -> "Iterator[int]":
    """A process in a user namespace of an ordinary user's making, which forbids setgroups."""
    words = ["unshare", "--user", "--map-root-user", "sleep", "600"]
    process = subprocess.Popen(words, user=1000, group=1000, extra_groups=[], stdin=subprocess.DEVNULL)
    wait_until(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(b"sleep"), "the maps are written")
    yield process.pid
    process.kill()
    process.wait()


def test_groups_of_the_caller_stay_outside(rt: Runtime, make: Make, groupless: int, tmp_path: Path) -> None:
    """Root may lay its groups down before it enters, and nobody can afterwards."""
    assert Path(f"/proc/{groupless}/setgroups").read_text() == "deny\n"
    bundle = make("grep", "Groups", "/proc/self/status").user_namespace(1000, 1)
    bundle.linux["namespaces"][-1]["path"] = f"/proc/{groupless}/ns/user"
    del bundle.linux["uidMappings"], bundle.linux["gidMappings"], bundle.process["rlimits"]
    bundle.config["mounts"] = [each for each in bundle.config["mounts"] if each["type"] in ("proc", "tmpfs")]
    bundle.write()
    run = rt.command("run", "--bundle", bundle.path, new_id())
    found = subprocess.run(run, extra_groups=[4711, 4712], capture_output=True, text=True, timeout=30)
    assert found.stdout.split() == ["Groups:"], found.stderr
    with started(rt, bundle) as name:
        inside = rt.command("exec", name, "grep", "Groups", "/proc/self/status")
        found = subprocess.run(inside, extra_groups=[4711, 4712], capture_output=True, text=True, timeout=30)
        assert found.stdout.split() == ["Groups:"], found.stderr


def test_the_host_s_null_where_the_container_has_none(rt: Runtime, make: Make) -> None:
    """Who calls for a process without input has /dev/null on stdin; root inside could close it to all of the host."""
    with started(rt, make()) as name:
        assert rt("exec", name, "rm", "/dev/null").rc == 0
        script = "test -w /proc/self/fd/0 && echo x >&0 && head -c 1 && chmod 666 /proc/self/fd/0"  # as it is anyway
        result = rt("exec", name, "sh", "-c", script)
        assert (result.rc, result.out) == (1, ""), result
        assert "Read-only file system" in result.err


def test_command_line_tells_nothing_of_the_host(rt: Runtime, make: Make) -> None:
    """Every process in a shared pid namespace can read it, between the fork and execve."""
    bundle, name = make("true"), new_id()
    assert rt.create(bundle, id=name).rc == 0
    shown = Path(f"/proc/{rt.state(name)['pid']}/cmdline").read_bytes()
    assert rt("delete", "--force", name).rc == 0
    assert shown.rstrip(b"\0") == b"pyruntime init"


def test_capabilities_under_a_filter_that_feigns_success(rt: Runtime, make: Make) -> None:
    """Without no_new_privs the filter comes first: what it answers in the kernel's place is no confirmation."""
    bundle = make("grep", "Cap", "/proc/self/status")
    bundle.process["noNewPrivileges"] = False
    bundle.process["capabilities"] = {}
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    feigned = {"names": ["capset", "capget"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0}
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [feigned]}
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, ""), result
    assert "process.capabilities: expected the sets" in result.err
