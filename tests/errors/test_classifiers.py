"""The phrases that engines look for: in our own words where they are meant, and never in what we quote."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.cgroup.systemd.bus import Refused
from pyruntime.cgroup.systemd.manager import Manager
from pyruntime.config.hooks import Hook
from pyruntime.errors import Error, hushed
from pyruntime.steps.hooks import run_hook
from tests.errors import classifiers
from tests.errors.classifiers import ABSENT, CROOKED, DENIED, NO_CONTAINER, OTHER, kind

ROOT = Path(__file__).resolve().parents[2]
PHRASES = [phrase for table in (classifiers.DOCKER, classifiers.PODMAN, classifiers.PODMAN_RUN) for phrase, _ in table]
PHRASES += [*classifiers.GONE, "`/proc/thread-self/attr/exec`", "os: process already finished"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('exec: "x": Permission denied', DENIED),
        ("exec /x: no such file or directory: /x is no file, permission denied", DENIED),
        ('exec: "nope": executable file not found in $PATH (/bin)', ABSENT),
        ("mounts[1]: not a directory: source is a file", CROOKED),
        ("container does not exist: x", NO_CONTAINER),
        ("container not running", NO_CONTAINER),
        ("linux.sysctl: expected an object", OTHER),
    ],
)
def test_the_order_decides(text: str, expected: "tuple[int, int, bool]") -> None:
    assert kind(text) == expected


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_form_of_a_phrase_is_left(phrase: str) -> None:
    for form in (phrase, phrase.upper(), phrase.title(), f"a {phrase} {phrase}: b"):
        assert kind(hushed(form)) == OTHER


def test_a_label_is_looked_for_before_podmans_last_phrases() -> None:
    assert classifiers.podman("write `/proc/self/attr/exec`: not found") == 126
    assert classifiers.podman(hushed("write `/proc/self/attr/exec`: not found")) == 126


ALPHABET = st.sampled_from([*"aA\u0130\u212a `\x1b\n:", " ", *PHRASES, *(p.upper() for p in PHRASES)])


@given(st.lists(ALPHABET, max_size=12).map("".join))
def test_nothing_hushed_is_taken_for_a_verdict(text: str) -> None:
    quiet = hushed(text)
    assert kind(quiet) == OTHER
    assert len(quiet) == len(text)
    assert quiet.replace("-", " ").replace("'", "`") == text.replace("-", " ").replace("'", "`")


@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize("stream", [1, 2])
def test_what_a_hook_prints_is_no_verdict(phrase: str, stream: int) -> None:
    script = f"cat >/dev/null; printf '%s\\n' \"$0\" >&{stream}; exit 3"
    hook = Hook.read({"path": "/bin/sh", "args": ["sh", "-c", script, phrase]}, "hooks.prestart[0]")
    with pytest.raises(Error) as caught:
        run_hook("hooks.prestart[0]", hook, {"id": "x"})
    assert kind(caught.value.text) == OTHER
    word = phrase.split()[0].replace("`", "'")
    assert word in caught.value.text


def test_what_the_page_for_callers_says_of_them() -> None:
    page = (ROOT / "docs/reference/callers.md").read_text(encoding="utf-8")
    table = page.partition("## Docker and Podman")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?|none of them) \| (\d+).*? \| (\d+) \|", table, re.MULTILINE)
    assert len(rows) == 4
    for words, docker, podman in rows:
        for phrase in re.findall(r"`([^`]+)`", words) or ["error"]:
            assert (classifiers.docker(phrase), classifiers.podman(phrase)) == (int(docker), int(podman)), phrase


@pytest.mark.parametrize("phrase", PHRASES)
def test_what_systemd_says_is_no_verdict(phrase: str) -> None:
    told = Manager._failed(object.__new__(Manager), "box.scope", Refused("x", "AccessDenied", f"{phrase.title()}!"))
    assert kind(told.text) == OTHER
    assert told.text.startswith("systemd unit box.scope: AccessDenied: ")
