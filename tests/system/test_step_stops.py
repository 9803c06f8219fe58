"""`step` at every one of its stops: a shell opens there; to quit there leaves nothing, which the leak check sees to."""

import os
import pty
import re
import select
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, new_id
from tests.system.users import User, own, private_etc
from tests.system.wasm import Wasm
from tests.system.wasm_cache import hello

RUNS = "the program runs"
Make = Callable[..., Bundle]
PROMPT = re.compile(r"(elp > |not confined\) # (\x1b\[6n)?)$")  # a shell may ask where the cursor is
SHELL = "s\necho inside-$((1+1))\nexit\n\n"  # where there is none, the words mean nothing to the prompt


@pytest.fixture(scope="module")
def account(own_mounts: None, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[None]":
    if os.geteuid():
        yield
        return
    yield from private_etc(tmp_path_factory.mktemp("account"))


@pytest.fixture
def user(account: None, readable: Path, tmp_path: Path) -> User:
    return User(readable, tmp_path / "user")


def quick(make: Make) -> Bundle:
    return make().sh(f"echo {RUNS}")


def busybox(make: Make) -> Bundle:
    return make().sh(f"echo {RUNS}; sleep 5")


def nameless(make: Make) -> Bundle:
    """A rootfs with one program and no shell: it comes by descriptor."""
    bundle = make("/bin/busybox", "sh", "-c", f"echo {RUNS}; exec busybox sleep 5")
    for path in (bundle.rootfs / "bin").iterdir():
        if path.name != "busybox":
            path.unlink()
    return bundle


def empty(make: Make) -> Bundle:
    """A rootfs with nothing at all: the walk ends where the program is looked for, and stops everywhere before."""
    bundle = make("/program")
    for path in bundle.rootfs.rglob("*"):
        if not path.is_dir():
            path.unlink()
    return bundle


ROOTS = {"busybox": busybox, "nameless": nameless, "empty": empty}


def typed(rt: Runtime, bundle: Bundle, lines: str) -> "tuple[int, str]":
    """Exit status and output of `step` on a terminal where somebody types these lines."""
    bundle.write()
    pid, master = pty.fork()
    if pid == 0:
        command = rt.command("step", bundle.path, new_id())
        os.execvpe(command[0], command, {**os.environ, "TERM": "dumb"})
    text, waiting = "", iter(lines.splitlines(keepends=True))
    try:
        while select.select([master], [], [], 60)[0]:
            text += os.read(master, 65536).decode("utf-8", "replace")
            if PROMPT.search(text):
                os.write(master, next(waiting, "u\n").encode())
    except OSError:  # EIO: everybody has closed the terminal
        pass
    os.close(master)  # whoever still waits is hung up
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text.replace("\r", "")


def stops(text: str) -> "list[int]":
    return [int(number) for number in re.findall(r"^step (\d+) of \d+: ", text, re.MULTILINE)]


def check_shells(text: str, last: int) -> None:
    """At each stop after init's first there was a shell that ran what was typed."""
    before = text.count("nothing of the container is there yet")
    assert 0 < before < 12
    assert stops(text)[-1] >= last
    assert text.count("\ninside-2\n") == text.count("left the shell") == len(stops(text)) - before
    assert "can't be joined" not in text
    assert "no shell in its root" not in text


@pytest.mark.parametrize("kind", ROOTS)
def test_a_shell_at_every_stop(rt: Runtime, make: Make, kind: str) -> None:
    status, text = typed(rt, ROOTS[kind](make), SHELL * 50)
    check_shells(text, 35)
    assert (status, RUNS in text) == ((1, False) if kind == "empty" else (0, True))


@pytest.mark.parametrize("kind", ROOTS)
def test_a_shell_at_every_stop_without_root(user: User, make: Make, kind: str) -> None:
    status, text = typed(user, own(ROOTS[kind](make)), SHELL * 50)
    check_shells(text, 35)
    assert (status, RUNS in text) == ((1, False) if kind == "empty" else (0, True))


def test_a_shell_at_every_stop_beside_a_module(rt: Runtime, wasm: Wasm) -> None:
    status, text = typed(rt, wasm(hello(f"{RUNS}\n")), SHELL * 50)
    check_shells(text, 35)
    assert (status, RUNS in text) == (0, True)


def test_nobody_stops_under_the_filter(rt: Runtime, wasm: Wasm, tmp_path: Path) -> None:
    """The module's filter is loaded before it is entered, so there is no stop to go to."""
    (tmp_path / "script").write_text("u enter the Wasm module\nq\n")
    result = rt("step", "--script", tmp_path / "script", wasm(hello()).write().path, new_id(), timeout=60)
    assert (result.rc, "no stop after this one is at a step with 'enter the Wasm module'" in result.out) == (0, True)


def every_quit(rt: Runtime, bundle: Bundle, folder: Path, each: int) -> int:
    """Walk to every `each`-th stop and quit there; the number of stops."""
    bundle.write()
    count = len(stops(rt("step", "--auto", bundle.path, new_id(), timeout=60).out))
    script = folder / "script"
    for at in range(1, count + 1, each):
        script.write_text(f"u {at}\nq\n" if at > 1 else "q\n")
        result = rt("step", "--script", script, bundle.path, new_id(), timeout=60)
        assert (result.rc, result.err) == (0, ""), at
        assert stops(result.out)[-1] == at
        assert "what was made is taken back" in result.out
        assert rt.containers() == []
    return count


def test_quitting_at_every_stop(rt: Runtime, make: Make, tmp_path: Path) -> None:
    assert every_quit(rt, quick(make), tmp_path, 1) > 35


def test_quitting_without_root(user: User, make: Make, tmp_path: Path) -> None:
    assert every_quit(user, own(quick(make)), tmp_path, 4) > 35


def test_quitting_beside_a_module(rt: Runtime, wasm: Wasm, tmp_path: Path) -> None:
    assert every_quit(rt, wasm(hello()), tmp_path, 4) > 35


WHAT_IF = [  # the act that is left out; status and words with root, and without
    ("skip-private", (1, "pivot_root into"), (0, "the kernel makes its mounts slaves by itself")),
    ("chroot", (0, "chroot into"), (0, "chroot into")),
    ("no-proc", (0, "ps shows nothing"), (0, "ps shows nothing")),
    ("no-pids-limit", (1, "has no such step"), (1, "has no such step")),
]


@pytest.mark.parametrize("how", ["auto", "script"])
@pytest.mark.parametrize(("what", "root", "_"), WHAT_IF, ids=[row[0] for row in WHAT_IF])
def test_what_if(
    rt: Runtime, make: Make, tmp_path: Path, what: str, root: "tuple[int, str]", _: "tuple[int, str]", how: str
) -> None:
    check_what_if(rt, quick(make), tmp_path, what, root, how)


def test_what_if_in_a_user_namespace_of_roots(rt: Runtime, make: Make, tmp_path: Path) -> None:
    what, _, expected = WHAT_IF[0]
    check_what_if(rt, quick(make).user_namespace(), tmp_path, what, expected, "auto")


@pytest.mark.parametrize("how", ["auto", "script"])
@pytest.mark.parametrize(("what", "_", "ordinary"), WHAT_IF, ids=[row[0] for row in WHAT_IF])
def test_what_if_without_root(
    user: User, make: Make, tmp_path: Path, what: str, _: "tuple[int, str]", ordinary: "tuple[int, str]", how: str
) -> None:
    check_what_if(user, own(quick(make)), tmp_path, what, ordinary, how)


@pytest.mark.parametrize(("what", "root", "_"), WHAT_IF, ids=[row[0] for row in WHAT_IF])
def test_what_if_beside_a_module(
    rt: Runtime, wasm: Wasm, tmp_path: Path, what: str, root: "tuple[int, str]", _: "tuple[int, str]"
) -> None:
    check_what_if(rt, wasm(hello(f"{RUNS}\n")), tmp_path, what, root, "auto")


def check_what_if(rt: Runtime, bundle: Bundle, folder: Path, what: str, expected: "tuple[int, str]", how: str) -> None:
    """What is left out shows, and not a mount of it on the host."""
    (folder / "script").write_text("\n\n\n")
    before = Path("/proc/self/mountinfo").read_text()
    words = ["--auto"] if how == "auto" else ["--script", folder / "script"]
    result = rt("step", *words, "--what-if", what, bundle.write().path, new_id(), timeout=60)
    assert (result.rc, expected[1] in result.out + result.err) == (expected[0], True), result
    assert (RUNS in result.out) is (expected[0] == 0)
    assert Path("/proc/self/mountinfo").read_text() == before
    assert rt.containers() == []
