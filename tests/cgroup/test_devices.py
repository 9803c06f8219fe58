"""The device program decides what the ordered rules say: it is run here by a small machine of our own."""

import _struct
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.cgroup import devices
from pyruntime.cgroup.devices import ANY, BLOCK, CHAR, EVERY_ACCESS, MKNOD, READ, WRITE, Rule
from pyruntime.errors import ConfigError

MASK = (1 << 64) - 1
OPERATIONS: "dict[int, Callable[[int, int], int]]" = {
    0x57: lambda a, b: a & b,
    0x77: lambda a, b: a >> b,
    0xB7: lambda _, b: b,
}
CONDITIONS: "dict[int, Callable[[int, int], bool]]" = {
    0x05: lambda a, b: True,
    0x45: lambda a, b: bool(a & b),
    0x55: lambda a, b: a != b,
}


def run(code: bytes, kind: int, major: int, minor: int, access: int) -> int:
    """Interpret the program as the kernel would; every jump goes forward, so it ends."""
    context = _struct.pack("<III", access << 16 | kind, major, minor)
    instructions = list(_struct.iter_unpack("<BBhi", code))
    registers: dict[int, int] = {1: 0}
    place = 0
    while True:
        opcode, both, offset, immediate = instructions[place]
        source, target = both >> 4, both & 15
        place += 1
        if opcode == 0x95:
            return registers[0]
        if opcode == 0x61:
            assert source == 1, "only the context is memory"
            registers[target] = _struct.unpack_from("<I", context, offset)[0]
        elif opcode == 0xBF:
            registers[target] = registers[source]
        elif opcode in CONDITIONS:
            assert offset >= 0
            if CONDITIONS[opcode](registers.get(target, 0), immediate & MASK):
                place += offset
        else:
            registers[target] = OPERATIONS[opcode](registers.get(target, 0), immediate & MASK)


def allowed(rules: "list[Rule]", kind: int, major: int, minor: int, access: int) -> bool:
    """What is meant: the last rule about this device and this kind of access decides, and none means no."""

    def one(bit: int) -> bool:
        for rule in reversed(rules):
            matches = (
                rule.kind in (ANY, kind)
                and rule.major in (None, major)
                and rule.minor in (None, minor)
                and rule.access & bit
            )
            if matches:
                return rule.allow
        return False

    return all(one(bit) for bit in (MKNOD, READ, WRITE) if access & bit)


NUMBERS = st.one_of(st.none(), st.integers(0, 3), st.sampled_from([4095, 4096, 1 << 20, 1 << 31, 1 << 40]))
RULES = st.lists(
    st.builds(Rule, st.booleans(), st.sampled_from([ANY, BLOCK, CHAR]), NUMBERS, NUMBERS, st.integers(1, EVERY_ACCESS)),
    max_size=8,
)


@given(RULES, st.sampled_from([BLOCK, CHAR]), st.integers(0, 4), st.integers(0, 4), st.integers(1, EVERY_ACCESS))
def test_the_program_decides_as_the_rules(rules: "list[Rule]", kind: int, major: int, minor: int, access: int) -> None:
    assert run(devices.program(rules), kind, major, minor, access) == allowed(rules, kind, major, minor, access)


@given(RULES)
def test_every_instruction_can_be_reached(rules: "list[Rule]") -> None:
    """The verifier refuses dead code, and a jump out of the program."""
    instructions = list(_struct.iter_unpack("<BBhi", devices.program(rules)))
    reached = {0}
    for place, (opcode, _, offset, _) in enumerate(instructions):
        if place in reached:
            if opcode not in (0x95, 0x05):
                reached.add(place + 1)
            if opcode in CONDITIONS:
                reached.add(place + 1 + offset)
    assert reached == set(range(len(instructions)))


@given(RULES)
def test_allows_everything_means_it(rules: "list[Rule]") -> None:
    if devices.allows_everything(rules):
        code = devices.program(rules)
        for kind in (BLOCK, CHAR):
            for major, minor in ((0, 0), (1, 2), (3, 3), (4095, 1)):
                assert all(run(code, kind, major, minor, access) for access in range(1, 8))


def test_allows_everything() -> None:
    everything = Rule(True, ANY, None, None, EVERY_ACCESS)
    assert devices.allows_everything([everything, *devices.DEFAULTS])
    assert not devices.allows_everything([everything, Rule(False, CHAR, 1, 3, READ)])
    assert not devices.allows_everything(devices.DEFAULTS)
    assert not devices.allows_everything([])


def spec(**rule: object) -> SimpleNamespace:
    return SimpleNamespace(**{"allow": True, "type": "a", "major": None, "minor": None, "access": "rwm", **rule})


def test_defaults_come_last() -> None:
    code = devices.program(devices.from_spec([spec(allow=False)]))
    for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, 42), (10, 200)):
        assert run(code, CHAR, major, minor, READ | WRITE | MKNOD)
    assert run(code, BLOCK, 8, 0, MKNOD)
    assert run(code, CHAR, 1, 11, MKNOD)
    for kind, major, minor in (
        (BLOCK, 8, 0),
        (CHAR, 1, 1),
        (CHAR, 1, 11),
        (CHAR, 5, 1),
        (CHAR, 10, 229),
        (BLOCK, 1, 3),
    ):
        for access in (READ, WRITE, READ | WRITE, READ | MKNOD):
            assert not run(code, kind, major, minor, access)


def test_an_empty_list_means_deny() -> None:
    assert devices.program([]) == devices.program([Rule(False, ANY, None, None, EVERY_ACCESS)])
    assert not run(devices.program([]), CHAR, 1, 3, READ)


def test_a_hole_in_a_wildcard() -> None:
    rules = devices.from_spec([spec(allow=True), spec(allow=False, type="b", major=8, access="w")])
    code = devices.program(rules)
    assert run(code, BLOCK, 8, 0, READ)
    assert not run(code, BLOCK, 8, 0, READ | WRITE)
    assert run(code, BLOCK, 9, 0, READ | WRITE)


def test_from_spec() -> None:
    rules = devices.from_spec([spec(type="c", major=-1, minor=7, access="rw"), spec(type="u", major=1, access="m")])
    assert [repr(rule) for rule in rules[:2]] == ["allow c *:7 rw", "allow c 1:* m"]
    assert len(rules) == 2 + len(devices.DEFAULTS)


@pytest.mark.parametrize(("rule", "path"), [({"type": "p"}, "devices[1].type"), ({"access": ""}, "devices[1].access")])
def test_from_spec_refuses(rule: "dict[str, str]", path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        devices.from_spec([spec(), spec(**rule)])
    assert caught.value.path == f"linux.resources.{path}"


def test_a_letter_that_is_no_kind_of_access_allows_nothing_and_denies_all() -> None:
    asked = [spec(access="rx"), spec(allow=False, type="c", major=1, access="rwa"), spec(access="w")]
    rules = devices.from_spec(asked)[: len(asked)]
    assert [repr(rule) for rule in rules] == ["allow a *:* r", "deny c 1:* rwm", "allow a *:* w"]
    assert devices.unknown_letters(asked) == [
        ("linux.resources.devices[0].access", '"x": no such kind of access; ignored'),
        (
            "linux.resources.devices[1].access",
            '"a": no such kind of access; the rule denies all of them, as "rwm" does',
        ),
    ]


@pytest.mark.parametrize("access", ["", "a", "RWM"])
def test_letters_none_of_which_means_anything_are_refused(access: str) -> None:
    with pytest.raises(ConfigError):
        devices.from_spec([spec(access=access)])
