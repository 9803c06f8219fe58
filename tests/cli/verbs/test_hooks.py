"""poststart and poststop, which run in `start` and `delete`."""

import json

import pytest

from tests.cli.verbs.box import Box, alive

pytestmark = pytest.mark.root


def hook(script: str) -> "dict[str, object]":
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["A=1"]}


def test_they_are_told_the_state(host: Box) -> None:
    after, end = host.folder / "after", host.folder / "end"
    host.configure(
        hooks={"poststart": [hook(f"cat > {after}; echo $A >> {after}")], "poststop": [hook(f"cat > {end}")]},
        annotations={"a/b": "c"},
    )
    name = host.create()
    assert not after.exists()
    host.ok("start", name)
    text, variable = after.read_text().rsplit("}", 1)
    told = json.loads(text + "}")
    state = host.state(name)
    wanted = {
        "ociVersion": state["ociVersion"],
        "id": name,
        "status": "running",
        "pid": state["pid"],
        "bundle": str(host.bundle),
        "annotations": {"a/b": "c"},
    }
    assert told == wanted
    assert '"a/b"' in text
    assert variable.strip() == "1"
    assert not end.exists()
    host.ok("delete", "--force", name)
    del wanted["pid"]
    assert json.loads(end.read_text()) == {**wanted, "status": "stopped"}


def test_a_poststart_hook_that_fails_ends_the_container(host: Box) -> None:
    second = host.folder / "second"
    host.configure(hooks={"poststart": [hook("echo no; exit 3"), hook(f"touch {second}")]})
    name = host.create()
    init = host.state(name)["pid"]
    text = host.error("start", name)
    assert "poststart hook #0: exit status 3" in text
    assert "no" in text
    while host.state(name)["status"] != "stopped":
        assert not second.exists()
    assert not alive(init)
    host.ok("delete", name)


def test_a_poststop_hook_that_fails_is_a_warning(host: Box) -> None:
    second = host.folder / "second"
    host.configure(hooks={"poststop": [hook("exit 3"), hook(f"touch {second}")]})
    name = host.create()
    done = host("delete", name)
    assert done.returncode == 0
    assert "level=warning" in done.stderr
    assert "poststop hook #0: exit status 3" in done.stderr
    assert second.exists()
    assert not (host.root / name).exists()


def test_a_hook_that_hangs_is_ended(host: Box) -> None:
    host.configure(hooks={"poststart": [{**hook("sleep 30"), "timeout": 1}]})
    name = host.create()
    assert "hook ran past specified timeout of 1.0s" in host.error("start", name)
