"""Ids, pids and locks: nothing is done to what is not this container's."""

import json
import os
import subprocess

import pytest

from tests.cli.verbs.box import Box, alive

VERBS = {
    **{verb: [] for verb in ("create", "run", "start", "state", "kill", "delete", "ps", "pause", "resume", "events")},
    **{"update": ["--pids-limit", "-1"], "checkpoint": [], "restore": [], "exec": []},
}
BAD = ["", ".", "..", "../x", "a/b", "a b", "a\n", "x" * 2000, "\udcff", "ä", "a\x01", "%2e%2e", "a;b"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_checks_the_id(box: Box, verb: str) -> None:
    for name in BAD:
        done = box(verb, *VERBS[verb], name, *(["true"] if verb == "exec" else []))
        assert done.returncode == (255 if verb == "exec" else 1)
        assert "container id cannot be empty" in done.stderr or "invalid container ID format" in done.stderr
    assert not box.root.exists()


@pytest.mark.parametrize("verb", ["start", "state", "kill", "delete", "ps", "pause", "resume", "events", "update"])
def test_every_verb_says_that_there_is_none(box: Box, verb: str) -> None:
    assert "does not exist" in box.error(verb, *VERBS[verb], "nobody")


@pytest.mark.root
def test_a_pid_of_somebody_else_is_left_alone(host: Box) -> None:
    name = host.running()
    state = json.loads(host.file(name).read_text())
    with subprocess.Popen(["sleep", "60"]) as bystander:
        state["init_process_pid"] = bystander.pid
        host.file(name).write_text(json.dumps(state))
        assert host.state(name)["status"] == "stopped"
        assert "container not running" in host.error("kill", name, "KILL")
        cgroup = host.cgroup(name)
        host.ok("delete", "--force", name)
        assert alive(bystander.pid)
        bystander.kill()
    assert not cgroup.exists()


@pytest.mark.root
def test_of_many_creates_of_one_id_one_succeeds(host: Box) -> None:
    name = host.id()
    command = [str(host.launcher), "--root", str(host.root), "create", "-b", str(host.bundle), name]
    errors = [(host.folder / f"error{number}").open("w+") for number in range(20)]
    children = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file) for file in errors
    ]
    codes = [child.wait(60) for child in children]
    texts = []
    for file in errors:
        file.seek(0)
        texts.append(file.read())
        file.close()
    assert sorted(codes) == [0] + [1] * 19
    for code, text in zip(codes, texts, strict=True):
        assert code == 0 or "already exists" in text
    assert host.state(name)["status"] == "created"


@pytest.mark.root
def test_files_of_a_container_are_for_their_owner(host: Box) -> None:
    name = host.create()
    folder = host.root / name
    modes = {entry.name: entry.stat(follow_symlinks=False).st_mode & 0o777 for entry in os.scandir(folder)}
    assert set(modes) == {"state.json", "exec.fifo", "claim"}
    assert folder.stat().st_mode & 0o777 == 0o711
    assert modes["state.json"] == 0o600
    assert host.root.stat().st_mode & 0o777 == 0o700


@pytest.mark.root
def test_deleting_at_once_from_many_sides(host: Box) -> None:
    name = host.running()
    command = [str(host.launcher), "--root", str(host.root), "delete", "--force", name]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(8)]
    for child in children:
        _, text = child.communicate(timeout=60)
        assert (child.returncode, text) == (0, b"")
    assert not (host.root / name).exists()
