"""The systemd cgroup driver before the service manager of an ordinary user."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.guest.units import MIB, TREE, cgroup_of, is_gone, shown, unit_of
from tests.guest.units import rt as rt
from tests.system import leaks
from tests.system.harness import Bundle, Runtime, chown_tree, new_id, wait_until


class User:
    """pyruntime by the guest's ordinary user, who has a manager of their own; from wherever this test runs."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.root = rt.folder / "user-state"

    def __call__(self, *words: object) -> "subprocess.CompletedProcess[str]":
        become = ("setpriv", "--reuid", "user", "--regid", "user", "--init-groups", "env", "-i")
        place = ("HOME=/home/user", "XDG_RUNTIME_DIR=/run/user/1000", "PATH=/usr/bin:/bin:/usr/sbin")
        flags = ("--root", self.root, "--systemd-cgroup")
        command = [*become, *place, self.rt.binary, *map(str, (*flags, *words))]
        base = self.rt.folder / "user-call"
        with open(base.with_suffix(".out"), "w+") as out, open(base.with_suffix(".err"), "w+") as err:
            process = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=300, check=False, cwd="/"
            )
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, process.returncode, out.read(), err.read())


@pytest.fixture
def user(rt: Runtime, bundle: Bundle) -> "Iterator[tuple[User, str]]":
    """A user, and the id of the container they run with 30 tasks and 64 MiB."""
    found, id = User(rt), new_id()
    bundle.process["args"] = ["sleep", "100000"]
    bundle.linux["namespaces"] = [each for each in bundle.linux["namespaces"] if each["type"] != "network"]
    bundle.linux["namespaces"].append({"type": "user"})
    for name in ("uidMappings", "gidMappings"):
        bundle.linux[name] = [{"containerID": 0, "hostID": 1000, "size": 1}]
    bundle.linux["resources"] = {"pids": {"limit": 30}, "memory": {"limit": 64 * MIB}}
    bundle.config["mounts"] = [each for each in bundle.config["mounts"] if each["destination"] in ("/proc", "/dev")]
    bundle.write()
    chown_tree(bundle.path, 1000)
    bundle.path.parent.chmod(0o755)
    rt.folder.chmod(0o777)
    result = found("run", "--detach", "--bundle", bundle.path, id)
    assert result.returncode == 0, result
    yield found, id
    leaks.reap()
    found("delete", "--force", id)
    leaks.reap()


def test_rootless(user: "tuple[User, str]") -> None:
    """By the user's manager, though the command comes from a cgroup beside it: run, exec, update, delete."""
    run, id = user
    state = json.loads(run("state", id).stdout)
    where = f"/user.slice/user-1000.slice/user@1000.service/user.slice/{unit_of(id)}"
    assert cgroup_of(state["pid"]) == where
    assert (TREE / where[1:] / "pids.max").read_text() == "30\n"
    assert shown(unit_of(id), "TasksMax", "MemoryMax", user=True) == {"TasksMax": "30", "MemoryMax": str(64 * MIB)}
    result = run("exec", "--detach", "--pid-file", run.rt.folder / "user-pid", id, "sleep", "1000")
    assert result.returncode == 0, result
    assert cgroup_of((run.rt.folder / "user-pid").read_text()) == where
    result = run("update", "--pids-limit", "40", id)
    assert result.returncode == 0, result
    assert (TREE / where[1:] / "pids.max").read_text() == "40\n"
    assert shown(unit_of(id), "TasksMax", user=True) == {"TasksMax": "40"}
    assert run("kill", id, "KILL").returncode == 0

    def ended() -> bool:
        leaks.reap()
        return not os.path.exists(f"/proc/{state['pid']}")

    wait_until(ended, "it has ended", 60)
    result = run("delete", "--force", id)
    assert result.returncode == 0, result
    assert is_gone(unit_of(id), user=True)
    assert not (TREE / where[1:]).exists()
