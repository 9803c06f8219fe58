"""`update`. The files written are those that every cgroup2 tree has; translations are tested in tests/cgroup."""

import json

import pytest

from tests.cli.verbs.box import Box

pytestmark = pytest.mark.root


def saved(box: Box, name: str) -> "dict[str, object]":
    found: "dict[str, object]" = json.loads(box.file(name).read_text())["pyruntime"]["resources"]
    return found


@pytest.mark.parametrize("source", ["stdin", "file", "equals"])
def test_a_resources_document(host: Box, source: str) -> None:
    name = host.running()
    document = json.dumps({"unified": {"cgroup.max.descendants": "5"}, "memory": {"limit": -1}})
    path = host.folder / "resources.json"
    path.write_text(document)
    words = {"stdin": ["--resources", "-"], "file": ["-r", str(path)], "equals": ["--resources=-"]}[source]
    host.ok("update", *words, name, stdin=document)
    assert (host.cgroup(name) / "cgroup.max.descendants").read_text() == "5\n"
    assert saved(host, name)["unified"] == {"cgroup.max.descendants": "5"}
    assert saved(host, name)["memory"] == {"limit": -1, "swap": -1}
    assert saved(host, name)["devices"] == [{"allow": False, "access": "rwm"}]


def test_a_part_in_two_cases_is_joined_and_changes_what_it_names(host: Box) -> None:
    name = host.running()
    document = {"memory": {"limit": -1}, "Memory": {"Swap": -1}, "CPU": {"Quota": -1}}
    assert host("update", "-r", "-", name, stdin=json.dumps(document)).stderr == ""
    found = saved(host, name)
    assert (found["memory"], found["cpu"]) == ({"limit": -1, "swap": -1}, {"quota": -1})
    document = {"memory": {"limit": -1}, "Memory": {"Limit": 4096}}
    done = host("update", "-r", "-", name, stdin=json.dumps(document))
    assert (done.returncode, "resources.Memory.Limit: is there twice" in done.stderr) == (1, True), done
    assert saved(host, name) == found


def test_flags_and_what_they_leave_alone(host: Box) -> None:
    name = host.running()
    host.ok("update", "--memory", "-1", "--cpu-quota", "-1", name)
    host.ok("update", "--pids-limit=-1", name)
    assert saved(host, name)["memory"] == {"limit": -1, "swap": -1}
    assert saved(host, name)["cpu"] == {"quota": -1}
    assert saved(host, name)["pids"] == {"limit": -1}


def test_a_refused_limit_changes_nothing(host: Box) -> None:
    name = host.running()
    before = host.file(name).read_bytes()
    (host.folder / "r.json").write_text(
        json.dumps({"unified": {"cgroup.max.depth": "3", "cgroup.max.descendants": "x"}})
    )
    assert "cgroup.max.descendants" in host.error("update", "-r", str(host.folder / "r.json"), name)
    assert (host.cgroup(name) / "cgroup.max.depth").read_text() == "max\n"
    assert host.file(name).read_bytes() == before


def test_devices_are_not_changed_but_mentioned(host: Box) -> None:
    name = host.running()
    rules = [{"allow": True, "access": "rwm"}]
    done = host("update", "-r", "-", name, stdin=json.dumps({"devices": rules}))
    assert done.returncode == 0
    assert "resources.devices" in done.stderr
    assert saved(host, name)["devices"] == [{"allow": False, "access": "rwm"}]
    same = json.dumps({"devices": saved(host, name)["devices"]})
    assert host("update", "-r", "-", name, stdin=same).stderr == ""


def test_warnings_and_refusals(host: Box) -> None:
    name = host.running()
    done = host("update", "--kernel-memory", "64m", name)
    assert (done.returncode, done.stderr.count("deprecated")) == (0, 1)
    done = host("update", "-r", "-", name, stdin='{"memory": {"swappiness": 60}}')
    assert (done.returncode, done.stderr.count("memory.swappiness is not applied")) == (0, 1)
    assert "--l3-cache-schema: " in host.error("update", "--l3-cache-schema", "L3:0=f", name)
    assert "--mem-bw-schema: " in host.error("update", "--mem-bw-schema", "MB:0=50", name)
    assert "resources.cpu.idle: expected" in host.error("update", "--cpu-idle", "2", name)
    assert "does not exist" in host.error("update", "--memory", "64m", "nobody")
    assert "cannot be read" in host.error("update", "-r", str(host.folder / "nothing"), name)
    host.ok("kill", name, "KILL")
    while host.state(name)["status"] != "stopped":
        pass
    assert "container not running" in host.error("update", "--memory", "-1", name)
