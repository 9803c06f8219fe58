"""`pause` and `resume`."""

import pytest

from tests.cli.verbs.box import Box

pytestmark = pytest.mark.root


@pytest.mark.parametrize("started", [False, True])
def test_pause_and_resume(host: Box, started: bool) -> None:
    name = host.running() if started else host.create()
    before = host.state(name)["status"]
    assert "container not paused" in host.error("resume", name)
    host.ok("pause", name)
    assert host.state(name)["status"] == "paused"
    assert "frozen 1" in (host.cgroup(name) / "cgroup.events").read_text()
    assert "container not running" in host.error("pause", name)
    assert "cannot start a container in the paused state" in host.error("start", name)
    host.ok("resume", name)
    assert host.state(name)["status"] == before


def test_a_paused_container_can_be_deleted_by_force(host: Box) -> None:
    name = host.running()
    host.ok("pause", name)
    assert "not stopped" in host.error("delete", name)
    cgroup = host.cgroup(name)
    host.ok("delete", "--force", name)
    assert not cgroup.exists()


def test_what_cannot_be_paused(host: Box) -> None:
    host.configure(process__args=["true"])
    name = host.running()
    while host.state(name)["status"] != "stopped":
        pass
    assert "container not running" in host.error("pause", name)
    assert "container not paused" in host.error("resume", name)
    assert "does not exist" in host.error("pause", "nobody")
    host.configure(process__args=["sleep", "600"])
    name = host.running("--cgroup-manager=disabled")
    assert "no cgroup" in host.error("pause", name)
