"""Help texts: made from the table, narrow enough for any terminal."""

import pytest

from pyruntime.cli.help import WIDTH, app_help, verb_help
from pyruntime.cli.options import GLOBALS, GROUPS, VERBS


def test_the_programs_help_lists_every_command_in_its_group() -> None:
    text = app_help("pyruntime")
    assert text.startswith("NAME:\n   pyruntime, a drop-in for runc - Open Container Initiative runtime\n")
    places = [text.index(group) for group in GROUPS]
    assert places == sorted(places)
    for verb in VERBS.values():
        if verb.group:
            at = text.index(f"     {verb.name} ")
            assert at > text.index(verb.group)
            assert verb.summary in text[at:].partition("\n")[0]


def test_the_programs_help_lists_the_flags_that_are_not_hidden() -> None:
    section = app_help("pyruntime").partition("GLOBAL OPTIONS:")[2]
    for option in GLOBALS:
        assert (f"--{option.name}" in section) is not option.hidden


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_help_lists_its_flags(verb: str) -> None:
    text = verb_help("pyruntime", verb)
    assert text.startswith(f"NAME:\n   pyruntime {verb} - {VERBS[verb].summary}\n\nUSAGE:\n   pyruntime {verb}")
    assert f"EXAMPLE:\n   pyruntime {VERBS[verb].example}\n" in text
    lines = text.splitlines()
    for option in VERBS[verb].options:
        shown = any(line.split("--")[-1].split()[:1] == [option.name] for line in lines if "--" in line)
        assert shown is not option.hidden


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_help_fits_a_terminal(verb: "str | None") -> None:
    text = verb_help("pyruntime", verb) if verb else app_help("pyruntime")
    assert max(map(len, text.splitlines())) <= WIDTH == 80
    assert all(line == line.rstrip() for line in text.splitlines())
    assert text.endswith("\n")


def test_the_program_goes_by_the_name_it_was_called() -> None:
    assert "pyruntime" not in verb_help("runc", "start")
    assert "   runc start ID\n" in verb_help("runc", "start")
    assert app_help("runc").startswith("NAME:\n   runc - Open Container Initiative runtime\n")


def test_no_help_for_an_unknown_verb() -> None:
    with pytest.raises(KeyError):
        verb_help("pyruntime", "nonsense")
