"""Every decision of our programs is libseccomp's, with runc's ENOSYS stub; proof.py says how it is asked.

PYRUNTIME_SECCOMP_PROFILES names a folder of profiles (engines' own files are read too), PYRUNTIME_SECCOMP_RUNC a
program that prints what runc loads (proof.Runc). `-s` shows what was compared.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.seccomp import libseccomp, made, own, profiles, proof
from tests.seccomp.emulator import JEQ, Program
from tests.seccomp.libseccomp import NAME, Reference

pytestmark = pytest.mark.skipif(NAME is None, reason="libseccomp.so.2 is not installed (Debian: libseccomp2)")
GIVEN = os.environ.get("PYRUNTIME_SECCOMP_PROFILES", "")
unhurried = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def show(title: str, result: "tuple[Any, set[str]]") -> None:
    """Fail on a difference; else tell what was compared."""
    tally, left_out = result
    print(f"{title}: {tally}; left out: {' '.join(sorted(left_out)) or 'nothing'}")
    assert tally.different[:5] == []
    assert tally.decisions > 100


@pytest.mark.parametrize("title", own.PROFILES)
@pytest.mark.parametrize("machine", profiles.MACHINES)
def test_our_own_profiles(title: str, machine: str) -> None:
    profile = own.on(machine, own.PROFILES[title])
    show(f"{title} on {machine}", proof.against_libseccomp(profile, machine))
    assert proof.against_model(profile, machine).different[:5] == []


def test_profiles_of_engines() -> None:
    files = sorted(Path(GIVEN).glob("*.json")) if GIVEN else []
    if not files:
        pytest.skip("PYRUNTIME_SECCOMP_PROFILES names no folder with *.json files")
    for file in files:
        for title, (machine, profile) in profiles.read(file).items():
            show(title, proof.against_libseccomp(profile, machine))


@pytest.fixture(scope="module")
def runc() -> "Iterator[proof.Runc]":
    """The program, if there is one."""
    path = os.environ.get("PYRUNTIME_SECCOMP_RUNC")
    if not path:
        pytest.skip("PYRUNTIME_SECCOMP_RUNC names no program")
    if os.uname().machine != "x86_64":
        pytest.skip("the comparison with runc is for x86_64")
    program = proof.Runc(path)
    yield program
    program.close()


@pytest.mark.parametrize("title", own.PROFILES)
def test_our_own_profiles_as_runc_loads_them(title: str, runc: proof.Runc) -> None:
    show(title, proof.against_runc(own.on("x86_64", own.PROFILES[title]), "x86_64", runc))


@unhurried
@given(profile=made.profiles("x86_64", of_one_action=False))
def test_made_profiles_as_runc_loads_them(runc: proof.Runc, profile: "dict[str, Any]") -> None:
    theirs = proof.outcome(runc.program, proof.without(profile, set()))
    if isinstance(theirs, bytes):
        assert proof.against_runc(profile, "x86_64", runc, every=False)[0].different[:5] == []


@pytest.mark.parametrize("machine", made.FOREIGN)
@unhurried
@given(data=st.data())
def test_made_profiles_mean_what_they_say(machine: str, data: "Any") -> None:
    profile = data.draw(made.profiles(machine, of_one_action=True))
    assert proof.against_model(profile, machine, every=False).different[:5] == []


@pytest.mark.parametrize("machine", made.FOREIGN)
@unhurried
@given(data=st.data())
def test_made_profiles_decide_as_libseccomp(machine: str, data: "Any") -> None:
    """With several actions for one call libseccomp refuses some profiles; where it does not, neither do we."""
    profile = data.draw(made.profiles(machine, of_one_action=False))
    reference = Reference(machine)
    common = proof.without(profile, proof.disputed(profile, machine, reference))
    if isinstance(proof.outcome(reference.program, common), bytes):
        assert proof.against_libseccomp(profile, machine, every=False)[0].different[:5] == []


def test_a_libseccomp_that_comes_to_no_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """2.5.4 has such profiles for s390x, which are found once in some hundred runs."""
    monkeypatch.setattr(libseccomp, "PATIENCE", 0.1)
    monkeypatch.setattr(Reference, "_program", lambda *_: signal.pause())
    with pytest.raises(libseccomp.Refused, match="no end within 0.1 s"):
        Reference("x86_64").program({"defaultAction": "SCMP_ACT_ALLOW"})


def test_a_wrong_program_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof can fail: any one comparison changed in our program is a difference."""
    profile = own.on("x86_64", own.PROFILES["arguments"])
    right = proof.ours(profile, "x86_64")
    places = [place for place, found in enumerate(Program(right).instructions) if found[0] == JEQ]
    assert len(places) > 20
    for place in places:
        wrong = bytearray(right)
        wrong[8 * place + 4] ^= 1
        monkeypatch.setattr(proof, "ours", lambda *_, wrong=wrong: bytes(wrong))
        assert proof.against_libseccomp(profile, "x86_64", every=False)[0].different, f"instruction {place}"
