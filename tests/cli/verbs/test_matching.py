"""`kill --regex` and `delete --regex`."""

import json

import pytest

from tests.cli.verbs.box import Box, alive


@pytest.mark.parametrize("verb", ["kill", "delete"])
def test_no_match_and_no_expression(box: Box, verb: str) -> None:
    box.root.mkdir()
    assert box.ok(verb, "--regex", ".*") == ""
    assert "not a regular expression" in box.error(verb, "--regex", "(")
    assert "(" in box.error(verb, "--regex", "(")


@pytest.mark.root
def test_every_match_and_nothing_else(host: Box) -> None:
    names = [host.running() for _ in range(3)]
    other = names.pop()
    pattern = f"^({'|'.join(names)})$"
    host.ok("kill", "--regex", pattern, "KILL")
    while any(host.state(name)["status"] != "stopped" for name in names):
        pass
    assert host.state(other)["status"] == "running"
    host.ok("delete", "-r", pattern)
    assert json.loads(host.ok("list", "--format", "json"))[0]["id"] == other


@pytest.mark.root
def test_one_failure_does_not_save_the_others(host: Box) -> None:
    running, created = host.running(), host.create()
    text = host.error("delete", "--regex", f"^({running}|{created})$")
    assert text.startswith(f"1 of 2 containers: {running}: cannot delete")
    assert not (host.root / created).exists()
    init = host.state(running)["pid"]
    host.ok("delete", "--force", "--regex", running)
    assert not alive(init)
