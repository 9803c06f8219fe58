"""`events`."""

import json
import subprocess
import time

import pytest

from pyruntime.cli.verbs import events
from tests.cli.verbs.box import Box

PARTS = {"cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"}


@pytest.mark.root
def test_one_sample(host: Box) -> None:
    name = host.running()
    text = host.ok("events", "--stats", name)
    assert text.count("\n") == 1
    event = json.loads(text)
    assert (event["type"], event["id"], set(event["data"])) == ("stats", name, PARTS)
    assert "interval" in host.error("events", "--interval", "0", name)
    assert "interval" in host.error("events", "--interval=-1s", name)


@pytest.mark.root
def test_a_stream_that_ends_with_the_container(host: Box) -> None:
    name = host.running()
    command = [str(host.launcher), "--root", str(host.root), "events", "--interval", "50ms", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stream:
        assert stream.stdout is not None
        lines = [stream.stdout.readline() for _ in range(3)]
        began = time.monotonic()
        host.ok("kill", name, "KILL")
        assert stream.wait(timeout=10) == 0
        assert time.monotonic() - began < 5
    assert [json.loads(line)["type"] for line in lines] == ["stats"] * 3
    assert f"container with id {name} is not running" in host.error("events", name)


@pytest.mark.root
def test_a_reader_that_leaves_is_no_error(host: Box) -> None:
    name = host.running()
    command = f"{host.launcher} --root {host.root} events --interval 10ms {name} | head -n 2; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 2)


@pytest.mark.root
def test_no_cgroup(host: Box) -> None:
    name = host.running("--cgroup-manager=disabled")
    assert "no cgroup" in host.error("events", "--stats", name)


def test_kills_are_told_at_once_and_samples_on_time(monkeypatch: pytest.MonkeyPatch) -> None:
    told: "list[str]" = []
    happenings = iter([["oom", "oom"], [], ["oom", "empty"]])
    clock = iter([0.0, 0.0, 1.0, 1.0, 5.0, 5.0, 5.0])
    waits: "list[float]" = []

    class Watch:
        def __init__(self, directory: str) -> None:
            assert directory == "/cgroup"

        def wait(self, seconds: float) -> "list[str]":
            waits.append(seconds)
            return next(happenings)

    monkeypatch.setattr(events, "Watch", Watch)
    monkeypatch.setattr(events, "stats", lambda directory: {"of": directory})
    monkeypatch.setattr(events, "monotonic", lambda: next(clock))
    monkeypatch.setattr(events, "write_out", told.append)
    events._follow("x", "/cgroup", 5.0)
    oom = '{"type":"oom","id":"x"}\n'
    assert told == [oom, oom, '{"type":"stats","id":"x","data":{"of":"/cgroup"}}\n', oom]
    assert waits == [5.0, 4.0, 5.0]
