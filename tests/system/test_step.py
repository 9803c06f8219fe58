"""`step`: what is shown at a stop is so, and whoever quits leaves nothing behind (which the leak check sees to)."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Result, Runtime, new_id


@pytest.fixture
def step(rt: Runtime, bundle: Bundle, tmp_path: Path) -> "Callable[..., Result]":
    """Walk the bundle by the lines of a script; `words` are further flags."""

    def walk(*lines: str, words: "tuple[str, ...]" = ()) -> Result:
        bundle.write()
        file = tmp_path / "script"
        file.write_text("".join(f"{line}\n" for line in lines))
        return rt("step", "--script", file, *words, bundle.path, new_id(), timeout=60)

    return walk


def stops(out: str) -> "list[str]":
    return re.findall(r"^step (\d+) of \d+: ", out, re.MULTILINE)


def number_of(rt: Runtime, bundle: Bundle, kind: str) -> int:
    """The place of a step in the plan that `step` walks: run's, which has no barrier."""
    text = rt("step", "--auto", bundle.write().path, new_id(), timeout=60).out
    return int(re.findall(rf"^step (\d+) of \d+: {kind}", text, re.MULTILINE)[0])


def test_auto_stops_everywhere_and_the_program_runs(rt: Runtime, bundle: Bundle) -> None:
    bundle.sh("echo hello; exit 3").write()
    result = rt("step", "--auto", bundle.path, new_id(), timeout=60)
    assert result.rc == 3
    shown = stops(result.out)
    assert shown == [str(number) for number in range(1, len(shown) + 1)]
    assert f" of {len(shown)}: " in result.out
    assert "hello\n" in result.out
    assert "capabilities " in result.out
    assert "no_new_privs no → yes" in result.out


def test_look_diff_why_and_config(rt: Runtime, bundle: Bundle, step: "Callable[..., Result]") -> None:
    at = number_of(rt, bundle, "sethostname")
    out = step(f"u {at}", "l", "c", "", "d", "w", "h", "u").out
    assert "its own: mount uts ipc network pid" in out
    assert '  config.json:1: {"ociVersion": ' in out
    assert re.search(r"^  hostname \S+ → inside$", out, re.MULTILINE)
    assert re.search(r"^why +\S", out, re.MULTILINE)
    assert "q          quit, take all back" in out


def test_a_script_may_end_early_and_have_comments(step: "Callable[..., Result]", bundle: Bundle) -> None:
    bundle.sh("echo done")
    result = step("# to the fifth", "u 5  # then on")
    assert (result.rc, "done\n" in result.out) == (0, True)


def test_a_shell_inside(rt: Runtime, bundle: Bundle) -> None:
    """On a terminal, as a person would: the shell is in the container's namespaces and root."""
    bundle.sh("true").write()
    at = number_of(rt, bundle, "prctl\\(PR_SET_NO_NEW_PRIVS")
    master, slave = pty.openpty()
    command = rt.command("step", bundle.path, new_id())
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    for line in (f"u {at}", "s", "hostname; ls -d /bin/busybox; echo pid=$$", "exit", "q"):
        os.write(master, f"{line}\n".encode())
    text = ""
    try:
        while part := os.read(master, 65536):
            text += part.decode()
    except OSError:  # EIO: everybody has closed the terminal
        pass
    os.close(master)
    assert process.wait(timeout=30) == 0
    assert "NOT held by its" in text
    assert "\ninside" in text.replace("\r", "")
    assert re.search(r"^pid=[2-9]", text.replace("\r", ""), re.MULTILINE)


def test_a_word_leads_to_a_step(step: "Callable[..., Result]") -> None:
    out = step("u sethostname", "u no such thing", "q").out
    assert re.search(r"^step \d+ of \d+: sethostname inside\n.*\n> u no such thing\n", out, re.MULTILINE)
    assert "no stop after this one is at a step with 'no such thing'" in out


def test_any_number_leads_to_the_end(step: "Callable[..., Result]") -> None:
    """int() reads 4300 digits at most."""
    result = step("u " + "9" * 5000)
    assert (result.rc, "error" in result.err) == (0, False)


def test_a_shell_is_brought_where_there_is_none(rt: Runtime, make: "Callable[..., Bundle]", tmp_path: Path) -> None:
    """The rootfs holds one program that is no shell; busybox comes by descriptor, and the shell reads its commands."""
    bundle = make("true")
    for name in ("sh", "ash"):
        (bundle.path / "rootfs/bin" / name).unlink(missing_ok=True)
    bundle.write()
    script = tmp_path / "script"
    script.write_text("u 30\ns\nq\n")
    result = rt("step", "--script", script, bundle.path, new_id(), timeout=60)
    assert (result.rc, "left the shell" in result.out) == (0, True)


def on_a_terminal(rt: Runtime, bundle: Bundle, at: int) -> "tuple[int, int]":
    """`step` as the leader of a session with a terminal of its own, standing before step `at`: pid and terminal."""
    command = rt.command("step", bundle.path, new_id())
    pid, master = pty.fork()
    if pid == 0:
        for number in (signal.SIGINT, signal.SIGQUIT):  # ignored in what a shell runs in the background
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)
    os.write(master, f"u {at}\n".encode())
    text = b""
    while not re.search(rb"step %d of .*elp > " % at, text, re.DOTALL):
        text += os.read(master, 65536)
    return pid, master


def ended(pid: int, within: float = 8) -> int:
    """The wait status of our child, and not a process of its session is left."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise AssertionError("step did not end")
    while time.monotonic() < end and session(pid):
        time.sleep(0.05)
    assert session(pid) == []
    return status


def session(leader: int) -> "list[str]":
    """The living processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z" and int(fields[3]) == leader:  # an orphan's remains are for whoever adopted it
                found.append((folder / "cmdline").read_text())
        except (OSError, IndexError):
            continue
    return found


@pytest.mark.parametrize("at", [2, 6, 12, 20, 30])
def test_an_interrupt_takes_all_back(rt: Runtime, bundle: Bundle, at: int) -> None:
    pid, master = on_a_terminal(rt, bundle.write(), at)
    os.write(master, b"\x03")
    text = b""
    with contextlib.suppress(OSError):
        while part := os.read(master, 65536):
            text += part
    os.close(master)
    assert os.waitstatus_to_exitcode(ended(pid)) == 130
    assert b"Traceback" not in text
    assert rt.containers() == []


@pytest.mark.parametrize("at", [2, 6, 12, 20, 30])
def test_a_terminal_that_is_closed_takes_all_back(rt: Runtime, bundle: Bundle, at: int) -> None:
    pid, master = on_a_terminal(rt, bundle.write(), at)
    os.close(master)
    ended(pid)
    assert rt.containers() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_killed_takes_all_back(rt: Runtime, bundle: Bundle, number: int) -> None:
    pid, master = on_a_terminal(rt, bundle.write(), 20)
    os.kill(pid, number)
    ended(pid)
    os.close(master)
    assert rt.containers() == []


def test_what_if_leaves_a_limit_out(rt: Runtime, bundle: Bundle) -> None:
    refused = rt("step", "--auto", "--what-if", "no-pids-limit", bundle.write().path, new_id())
    assert (refused.rc, "has no such step" in refused.err) == (1, True)
    assert "expected one of skip-private" in rt("step", "--auto", "--what-if", "x", bundle.path, new_id()).err


def test_without_a_terminal_it_asks_for_words(rt: Runtime, bundle: Bundle) -> None:
    result = rt("step", bundle.write().path, new_id())
    assert (result.rc, "give --auto, or --script FILE" in result.err) == (1, True)


def test_an_id_may_begin_with_a_dash(rt: Runtime, bundle: Bundle) -> None:
    result = rt("step", "--auto", "--", bundle.write().path, f"-{new_id()}", timeout=60)
    assert result.rc == 0, result


def test_a_config_that_is_refused_stops_nowhere(rt: Runtime, bundle: Bundle) -> None:
    bundle.process["cwd"] = "here"
    result = rt("step", "--auto", bundle.write().path, new_id())
    assert (result.rc, result.out) == (1, "")
    assert "process.cwd" in result.err


def test_in_a_user_namespace(rt: Runtime, bundle: Bundle) -> None:
    bundle.sh("id -u").user_namespace()
    result = rt("step", "--auto", bundle.write().path, new_id(), timeout=60)
    assert (result.rc, "\n0\n" in result.out) == (0, True)
    assert "uid map none → 0=100000+65536" in result.out
