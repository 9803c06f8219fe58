"""`ps`."""

import json

import pytest

from pyruntime.cli.verbs.ps import only
from pyruntime.errors import Error
from tests.cli.verbs.box import Box

SAMPLE = "UID   PID  PPID CMD\nroot    1     0 init\nroot   12     1 sh -c x 13\nroot   13    12 sleep\n\n"


def test_lines_are_kept_by_the_pid_column() -> None:
    assert only(SAMPLE, [13, 99]) == "UID   PID  PPID CMD\nroot   13    12 sleep\n"
    assert only(SAMPLE, []) == "UID   PID  PPID CMD\n"
    assert only("  PID\n    7\n   17\n", [7]) == "  PID\n    7\n"


@pytest.mark.parametrize("text", ["", "CMD\nsh\n", "PIDS CMD\n1 sh\n"])
def test_no_pid_column(text: str) -> None:
    with pytest.raises(Error, match="couldn't find PID field in ps output"):
        only(text, [1])


@pytest.mark.root
def test_processes_of_the_whole_subtree(host: Box) -> None:
    host.configure(process__args=["sh", "-c", "sleep 600 & sleep 601 & wait"])
    name = host.running()
    init = host.state(name)["pid"]
    below = host.cgroup(name) / "below"
    below.mkdir()
    pids = json.loads(host.ok("ps", "--format", "json", name))
    while len(pids) < 3:
        pids = json.loads(host.ok("ps", "--format", "json", name))
    assert init == pids[0]
    (below / "cgroup.procs").write_text(str(pids[2]))
    assert json.loads(host.ok("ps", "-f", "json", name)) == pids
    lines = host.ok("ps", name).splitlines()
    assert "PID" in lines[0].split()
    assert sorted(int(line.split()[1]) for line in lines[1:]) == pids
    assert host.ok("ps", name, "-o", "pid,comm").splitlines()[1].split() == [str(init), "sh"]
    assert "couldn't find PID field" in host.error("ps", name, "-o", "comm")
    assert "ended with exit status" in host.error("ps", name, "--no-such-option")


@pytest.mark.root
def test_without_a_cgroup_the_descendants_of_init(host: Box) -> None:
    host.configure(process__args=["sh", "-c", "sleep 600 & wait"])
    name = host.running("--cgroup-manager=disabled")
    init = host.state(name)["pid"]
    pids = json.loads(host.ok("ps", "--format", "json", name))
    while len(pids) < 2:
        pids = json.loads(host.ok("ps", "--format", "json", name))
    assert pids[0] == init


@pytest.mark.root
def test_a_stopped_container_has_none(host: Box) -> None:
    host.configure(process__args=["true"])
    name = host.running()
    while host.state(name)["status"] != "stopped":
        pass
    assert host.ok("ps", "--format", "json", name) == "[]\n"
    assert host.ok("ps", name).count("\n") == 1
