"""What a guest may do on the network, by annotations: values, refusals, and whom they are about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyruntime.engine.annotations import HTTP, NETWORK
from pyruntime.engine.base import Network
from pyruntime.engine.permissions import ADDRESS, allowed, network, prefix_of, split_address
from pyruntime.engine.select import Selection
from pyruntime.errors import ConfigError, Error

SERVICE = Selection("", "/s", b"\0asm wasi:http/incoming-handler@0.2.3 ", "the test", "wasm-component")
COMMAND = Selection("", "/c", b"\0asm wasi:cli/run@0.2.3 ", "the test", "wasm-component")
MODULE = Selection("", "/m", b"\0asm", "the test", "wasm-module")


def told(found: "Network | None") -> "tuple[tuple[int, ...], str, bool, tuple[str, ...]] | None":
    return (found.listeners, found.http, found.outgoing, found.addresses) if found else None


@pytest.mark.parametrize("selection", [COMMAND, MODULE])
def test_without_annotations_there_is_no_network(selection: Selection) -> None:
    assert network({}, selection) is None


def test_a_service_listens_somewhere() -> None:
    assert told(network({}, SERVICE)) == ((), ADDRESS, False, ())
    assert told(network({HTTP: "[::1]:80"}, SERVICE)) == ((), "[::1]:80", False, ())
    assert told(network({}, SERVICE, 2)) == ((3, 4), ADDRESS, False, ())


def test_sockets_that_are_passed_on_are_for_everybody() -> None:
    assert told(network({}, MODULE, 1)) == ((3,), "", False, ())


def test_all_addresses_or_some() -> None:
    assert told(network({NETWORK: "all"}, COMMAND)) == ((), "", True, ())
    assert told(network({NETWORK: "10.0.0.0/8, ::1"}, COMMAND)) == ((), "", True, ("10.0.0.0/8", "::1"))


@pytest.mark.parametrize(
    "value",
    ["", "none", "all, 10.0.0.1", "10.0.0.0/33", "10.0.0", "localhost", "::1/129", "1.2.3.4/", "::1/" + "9" * 5000],
)
def test_other_values_are_errors(value: str) -> None:
    with pytest.raises(ConfigError) as error:
        network({NETWORK: value}, COMMAND)
    assert f'annotations["{NETWORK}"]: expected "all", or addresses' in str(error.value)


def test_annotations_that_are_not_about_this_program() -> None:
    with pytest.raises(ConfigError, match="is no component that exports"):
        network({HTTP: "127.0.0.1:1"}, COMMAND)
    with pytest.raises(ConfigError, match="no way to connect"):
        network({NETWORK: "all"}, MODULE)
    assert network({HTTP: "127.0.0.1:1", NETWORK: "all"}, MODULE, joins=True) is None
    assert told(network({HTTP: "127.0.0.1:1", NETWORK: "all"}, COMMAND, joins=True)) == ((), "", True, ())


@pytest.mark.parametrize(
    "address",
    [
        "",
        "80",
        ":80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "::1:80",
        "[::1]",
        "a:80",
        "[127.0.0.1]:80",
        "127.0.0.1:\uff18",
        "127.0.0.1:" + "9" * 5000,
    ],
)
def test_what_is_no_address_to_serve_at(address: str) -> None:
    with pytest.raises(Error, match="is no address to serve at"):
        split_address(address)


@pytest.mark.parametrize(
    ("address", "entries", "expected"),
    [
        ("10.1.2.3", (), True),
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("11.1.2.3", ("10.0.0.0/8",), False),
        ("11.1.2.3", ("0.0.0.0/0",), True),
        ("10.1.2.3", ("10.1.2.3",), True),
        ("10.1.2.4", ("10.1.2.3", "::/0"), False),
        ("fd00::1", ("fd00::/16",), True),
        ("fd01::1", ("fd00::/16",), False),
        ("::ffff:10.1.2.3", ("::/0",), False),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), True),
        ("::ffff:11.1.2.3", ("10.0.0.0/8", "::/0"), False),
        ("10.1.2.3", ("::ffff:10.0.0.0/104",), True),
        ("11.1.2.3", ("::ffff:10.0.0.0/104",), False),
    ],
)
def test_addresses_that_may_be_reached(address: str, entries: "tuple[str, ...]", expected: bool) -> None:
    assert allowed(address, Network(outgoing=True, addresses=entries)) is expected
    assert not allowed(address, Network(http="x", addresses=entries))
    assert not allowed(address, None)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32))
def test_prefixes_are_those_of_the_standard_library(one: object, two: object, length: int) -> None:
    import ipaddress

    inside = ipaddress.ip_address(str(one)) in ipaddress.ip_network(f"{two}/{length}", strict=False)
    assert allowed(str(one), Network(outgoing=True, addresses=(f"{two}/{length}",))) is inside
    assert prefix_of(f"{two}/{length}") is not None
