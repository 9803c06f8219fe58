"""`exec --tty` in the foreground: the terminal's other end is with the command before the program starts."""

import pytest

from tests.cli.verbs.box import Box

pytestmark = pytest.mark.root


@pytest.mark.parametrize("options", [(), ("--pid-file", "pid")])
def test_exec_with_a_terminal_of_its_own(host: Box, options: "tuple[str, ...]") -> None:
    name = host.running()
    options = tuple(str(host.folder / word) if word == "pid" else word for word in options)
    done = host(
        "exec", *options, "--tty", name, "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo terminal; exit 5"
    )
    assert (done.returncode, done.stdout, done.stderr) == (5, "terminal\n", "")


def test_input_reaches_it(host: Box) -> None:
    done = host("exec", "--tty", host.running(), "sh", "-c", "read word; echo got $word", stdin="letters\n")
    assert done.returncode == 0
    assert done.stdout.endswith("got letters\n")
