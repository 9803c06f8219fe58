"""Limits of a guest by annotation: what is taken, and what is refused by its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.engine.annotations import FUEL, MEMORY, NAMES, PREFIX, TIMEOUT, limits
from pyruntime.errors import ConfigError


def test_without_any_there_is_no_limit() -> None:
    found, demanded = limits({"org.example": "1"})
    assert (found.memory, found.fuel, found.seconds, found.address_space) == (None, None, None, None)
    assert demanded == ()


def test_all_of_them() -> None:
    found, demanded = limits({FUEL: "1000", TIMEOUT: "1.5", MEMORY: "64MiB"}, address_space=1 << 30)
    assert (found.memory, found.fuel, found.seconds, found.address_space) == (64 << 20, 1000, 1.5, 1 << 30)
    assert set(demanded) == {"memory", "fuel", "seconds"}


@pytest.mark.parametrize(
    ("container", "asked", "expected"),
    [(None, None, None), (-1, None, None), (0, None, None), (1 << 20, None, 1 << 20), (1 << 20, "64KiB", 1 << 16),
     (1 << 20, "1GiB", 1 << 20), (-1, "1GiB", 1 << 30), (None, "65536", 1 << 16)],
)  # fmt: skip
def test_memory_is_the_smaller_of_the_containers_and_the_annotations(
    container: "int | None", asked: "str | None", expected: "int | None"
) -> None:
    found, demanded = limits({} if asked is None else {MEMORY: asked}, container)
    assert found.memory == expected
    assert demanded == (() if asked is None else ("memory",))  # an engine need not keep the cgroup's


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((FUEL, value) for value in ("", "0", "-1", "1.5", "many", "1e9", "٣", "9223372036854775808", "1" * 400)),
        *((TIMEOUT, value) for value in ("", "0", "0.0", "-1", "1s", ".5", "1e9", "inf", "nan", "1000000001", "1.-5")),
        *((MEMORY, value) for value in ("", "0", "65535", "1MB", "64M", "-1", "1.5GiB", "MiB", "9000000TiB")),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        limits({name: value})
    assert caught.value.text.startswith(f'annotations["{name}"]: expected ')
    assert caught.value.text.endswith(f'got "{value}"')


@pytest.mark.parametrize("name", ["feul", "Fuel", "", "fuel.more"])
def test_a_name_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not known; there are") as caught:
        limits({PREFIX + name: "1"})
    assert all(known in caught.value.text for known in NAMES)


@given(st.dictionaries(st.sampled_from(NAMES[:3]), st.text(max_size=20)))
def test_any_text_gives_a_limit_or_is_refused(annotations: "dict[str, str]") -> None:
    try:
        found, _ = limits(annotations)
    except ConfigError:
        return
    assert found.fuel is None or found.fuel > 0
    assert found.seconds is None or found.seconds > 0
    assert found.memory is None or found.memory >= 65536
