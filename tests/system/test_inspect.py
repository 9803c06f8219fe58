"""`inspect` of real containers: what it says is what they are."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.system.harness import Bundle, Runtime, new_id


@pytest.fixture
def running(rt: Runtime, make: "Callable[..., Bundle]") -> "Iterator[tuple[str, Bundle]]":
    id, bundle = new_id(), make("sleep", "100")
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "keyctl"], "action": "SCMP_ACT_ERRNO"}],
    }
    bundle.user_namespace()
    result = rt.create(bundle, id=id)
    assert result.rc == 0, result.err
    assert rt("start", id).rc == 0
    yield id, bundle
    rt("delete", "--force", id)


def test_what_it_says(rt: Runtime, running: "tuple[str, Bundle]") -> None:
    id, bundle = running
    pid = rt.state(id)["pid"]
    found = json.loads(rt("inspect", "--json", id).out)
    assert (found["pid"], found["container"]["id"], found["container"]["status"]) == (pid, id, "running")
    own = {kind for kind, entry in found["namespaces"].items() if entry["own"]}
    assert own == {"pid", "network", "ipc", "uts", "mount", "user"}
    for kind in own:
        file = {"network": "net", "mount": "mnt"}.get(kind, kind)
        assert found["namespaces"][kind]["inode"] == os.stat(f"/proc/{pid}/ns/{file}").st_ino
    assert found["capabilities"]["effective"] == sorted(found["capabilities"]["effective"], key=found_order)
    assert set(found["capabilities"]["effective"]) == set(bundle.process["capabilities"]["effective"])
    assert found["noNewPrivileges"] is True
    assert found["seccomp"]["mode"] == "filter"
    assert found["container"]["filter"]["calls"]["errno"] == ["keyctl", "mkdir"]
    assert found["idMaps"]["uid"] == [{"containerID": 0, "hostID": 100000, "size": 65536}]
    assert "/proc" in [entry["destination"] for entry in found["mounts"]]


def found_order(name: str) -> int:
    from pyruntime.kernel.caps import NUMBERS

    return NUMBERS[name]


def test_the_page(rt: Runtime, running: "tuple[str, Bundle]") -> None:
    id, _ = running
    page = rt("inspect", id).out
    assert page.startswith(f"{id}  running  bundle ")
    assert "→ 1 inside" in page
    assert "errno: keyctl mkdir" in page
    assert "0 is 100000 (65536 ids)" in page
    assert max(map(len, page.splitlines())) < 200


def test_against_the_host_and_against_itself(rt: Runtime, running: "tuple[str, Bundle]") -> None:
    id, _ = running
    host = json.loads(rt("inspect", "--json", "--against", "host", id).out)
    assert host["namespaces"]["pid"] is False
    assert host["users"][0] == "uid 100000 outside"
    own = json.loads(rt("inspect", "--json", "--against", id, id).out)
    assert all(own["namespaces"].values())
    assert "only host has" in rt("inspect", "--against", "host", id).out


def test_a_pid_leads_to_its_container(rt: Runtime, running: "tuple[str, Bundle]") -> None:
    id, _ = running
    pid = rt.state(id)["pid"]
    assert json.loads(rt("inspect", "--json", "--pid", pid).out)["container"]["id"] == id
    child = subprocess.Popen(["sleep", "20"])
    try:
        assert json.loads(rt("inspect", "--json", "--pid", child.pid).out)["container"] is None
    finally:
        child.kill()
        child.wait()
    gone = rt("inspect", "--pid", child.pid)
    assert gone.rc == 1
    assert "no such process" in gone.err


def test_watching_ends_with_the_container(rt: Runtime, running: "tuple[str, Bundle]") -> None:
    id, _ = running
    process, base = rt.popen("inspect", "--watch", "--interval", "100ms", id)
    time.sleep(1)
    assert process.poll() is None
    rt("delete", "--force", id)
    assert process.wait(timeout=10) == 0
    shown = next(base.parent.glob(f"{base.name}*out*")).read_text()
    assert shown.count(f"{id}  running") > 1


def test_what_is_not_running_is_told(rt: Runtime, bundle: Bundle) -> None:
    unknown = rt("inspect", "nobody")
    assert (unknown.rc, "container does not exist" in unknown.err) == (1, True)
    id = new_id()
    assert rt.run(bundle, "--keep", id=id).rc == 0
    stopped = rt("inspect", id)
    rt("delete", "--force", id)
    assert (stopped.rc, f"container not running: {id} is stopped" in stopped.err) == (1, True)
    assert rt("inspect").rc == 1
