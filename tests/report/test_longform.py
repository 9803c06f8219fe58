"""The parts of an error's line."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.report.longform import Parts, first_word, text

PARTS = [  # the line, then error, why, because, the step, what to do
    ("container not running", ("container not running", "", "", "", "")),
    (
        "exec /run.sh: no such file or directory: its first line needs /bin/x, which is not in the container "
        "[step 35 of 40: FindProgram; process.args[0]]",
        (
            "exec /run.sh: no such file or directory",
            "its first line needs /bin/x, which is not in the container",
            "process.args[0]",
            "FindProgram",
            "",
        ),
    ),
    (
        'linux.uidMappings: linux.namespaces has "user; x" but (a; b) is empty; map at least one id; or two',
        (
            'linux.uidMappings: linux.namespaces has "user; x" but (a; b) is empty',
            "",
            "",
            "",
            "map at least one id; or two",
        ),
    ),
    (
        "error running prestart hook #0: exit status 1, stdout: a; b, stderr: not a directory: c (/h) "
        '[step 3 of 4: RunHook; annotations["a; b"]]',
        (
            "error running prestart hook #0: exit status 1, stdout: a; b, stderr: not a directory: c (/h)",
            "",
            'annotations["a; b"]',
            "RunHook",
            "",
        ),
    ),
    ("what [step of us", ("what [step of us", "", "", "", "")),
    ('an open "quote; here', ('an open "quote; here', "", "", "", "")),
]


@pytest.mark.parametrize(("line", "expected"), PARTS, ids=range(len(PARTS)))
def test_parts(line: str, expected: "tuple[str, str, str, str, str]") -> None:
    parts = Parts(line)
    assert (parts.error, parts.why, parts.because, parts.walked, parts.advice) == expected


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("mounts[7].source /nope: no such file", "mounts[7].source"),
        ('linux.sysctl["a: b"] = "1": no', 'linux.sysctl["a: b"]'),
        ("process.user.uid: expected", "process.user.uid"),
        ("", ""),
    ],
)
def test_the_path_at_the_beginning(said: str, word: str) -> None:
    assert first_word(said) == word


@given(st.text())
def test_nothing_is_lost_and_no_line_is_broken(line: str) -> None:
    parts = Parts(line)
    for part in (parts.error, parts.why, parts.because, parts.advice, parts.walked):
        assert part in line
    lines = text(parts, "", "", 80).splitlines()
    assert all(each.isprintable() for each in lines)


def test_long_lines_are_folded_below_their_beginning() -> None:
    line = "a: no such file or directory: " + "word " * 40 + "; do " + "x" * 200
    lines = text(Parts(line), "box/config.json:3  a", "", 60).splitlines()
    assert lines[0] == "error: a: no such file or directory"
    assert lines[1].startswith("why:   word word")
    assert all(len(each) < 60 for each in lines[:-1])
    assert all(each.startswith(("error:", "why:   ", "from:  ", "try:   ", " " * 7)) for each in lines)
    assert lines[-1].strip() == "x" * 200
    assert "from:  box/config.json:3  a" in lines


def test_the_kernels_words_are_known() -> None:
    for number in (1, 2, 13, 20, 28, 95, 110):
        word = os.strerror(number).lower()
        assert Parts(f"x: {word}: because of y").why == "because of y"
