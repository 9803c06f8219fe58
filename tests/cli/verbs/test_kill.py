"""`kill`: which signal, and to whom."""

import signal
import time

import pytest

from pyruntime.cli.verbs.kill import parse_signal
from pyruntime.errors import UsageError
from tests.cli.verbs.box import Box, alive


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("9", signal.SIGKILL),
        ("KILL", signal.SIGKILL),
        ("SIGKILL", signal.SIGKILL),
        ("sigkill", signal.SIGKILL),
        ("usr1", signal.SIGUSR1),
        ("64", 64),
        ("0", 0),
    ],
)
def test_signals(word: str, number: int) -> None:
    assert parse_signal(word) == number


@pytest.mark.parametrize(
    "word",
    ["", "65", "-1", "1.0", "FOO", "SIGFOO", "SIG", "SIG_IGN", "_DFL", "SIG_SETMASK", "\u0669", "9" * 5000],
)
def test_what_is_no_signal(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_signal(word)
    assert caught.value.text.startswith(f'unknown signal "{word[:64]}"; ')


@pytest.mark.root
def test_signal_0_asks_whether_it_runs(host: Box) -> None:
    name = host.running()
    pid = host.state(name)["pid"]
    host.ok("kill", name, "0")
    assert alive(pid)
    host.ok("kill", name, "KILL")
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "container not running" in host.error("kill", name, "0")
