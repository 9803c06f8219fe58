"""`checkpoint`, `restore` and `help`."""

import pytest

from tests.cli.verbs.box import Box


@pytest.mark.parametrize("verb", ["checkpoint", "restore"])
def test_not_there_and_says_so(box: Box, verb: str) -> None:
    if verb == "restore":
        assert box.error(verb, "box1").startswith("restore is not supported yet")
    assert "invalid container ID format" in box.error(verb, "../x")
    assert box.plain(verb, "--help").returncode == 1  # an engine takes 0 for support


def test_a_flag_without_its_value(box: Box) -> None:
    done = box.plain("restore", "--lsm-mount-context")
    assert done.returncode == 1
    assert "flag needs an argument" in done.stderr


def test_help(box: Box) -> None:
    assert box.ok("help") == box.plain("--help").stdout
    assert box.ok("help", "run") == box.plain("run", "--help").stdout
    assert box.error("help", "fly", code=3).startswith("No help topic for 'fly': there is no such command")


@pytest.mark.root
def test_what_is_wrong_with_a_checkpoint_is_told_before(host: Box) -> None:
    assert "does not exist" in host.error("checkpoint", "box1")
    name = host.id()
    host.configure(process__args=["sleep", "60"])
    host.ok("create", "-b", str(host.bundle), name)
    assert host.error("checkpoint", name) == "Container cannot be checkpointed in created state"
    host.ok("start", name)
    (host.folder / "images").mkdir()
    (host.folder / "file").touch()
    images = ["--image-path", str(host.folder / "images")]
    assert host.error("checkpoint", *images, name).startswith("checkpoint is not supported yet")
    (host.folder / "before").mkdir()
    assert "not supported" in host.error("checkpoint", *images, "--parent-path", "../before", name)
    for parent, told in {
        str(host.folder / "before"): "--parent-path must be relative: it is looked up from --image-path",
        "../nope": f"invalid --parent-path: {host.folder}/images/../nope: no such file or directory",
        "../file": f"invalid --parent-path: {host.folder}/images/../file: not a directory",
    }.items():
        assert host.error("checkpoint", *images, "--parent-path", parent, name) == told
