"""`checkpoint`, `restore` and `help`."""

import pytest

from tests.cli.verbs.box import Box


@pytest.mark.parametrize("verb", ["checkpoint", "restore"])
def test_not_there_and_says_so(box: Box, verb: str) -> None:
    assert box.error(verb, "box1").startswith(f"{verb} is not supported yet")
    assert "invalid container ID format" in box.error(verb, "../x")
    assert box.plain(verb, "--help").returncode == 1  # an engine takes 0 for support


def test_a_flag_without_its_value(box: Box) -> None:
    done = box.plain("restore", "--lsm-mount-context")
    assert done.returncode == 1
    assert "flag needs an argument" in done.stderr


def test_help(box: Box) -> None:
    assert box.ok("help") == box.plain("--help").stdout
    assert box.ok("help", "run") == box.plain("run", "--help").stdout
    assert "no such command" in box.error("help", "fly", code=3)
