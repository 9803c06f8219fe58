"""`--debug`: every step of a plan in the log, and nothing of it in the container's output."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.verbs.box import Box

pytestmark = pytest.mark.root

STEP = re.compile(r"step (\d+) of (\d+): (host|init): (.+) \[(.+)\]")


def told(host: Box, *words: str) -> "list[tuple[int, str]]":
    """Number and lane of each step in the log of a command that writes debug lines to a file."""
    log = host.folder / "debug.json"
    log.unlink(missing_ok=True)
    done = host("--debug", "--log", str(log), "--log-format", "json", *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["level"] for line in lines} == {"debug"}
    assert words[0] in lines[0]["msg"]
    found = [STEP.fullmatch(line["msg"]) for line in lines[1:]]
    return [(int(each[1]), each[3]) for each in found if each]


def test_the_steps_of_both_processes_are_told_in_order(host: Box) -> None:
    name = host.id()
    steps = told(host, "create", "-b", str(host.bundle), name)
    numbers = [number for number, _ in steps]
    assert numbers == sorted(numbers)
    assert numbers[0] == 1
    assert {lane for _, lane in steps} == {"host", "init"}
    assert numbers == list(range(1, len(numbers) + 1))  # the last two, wait and execve, have no log any more
    host.ok("start", name)
    assert {lane for _, lane in told(host, "exec", name, "true")} == {"host", "init"}


def test_without_a_file_the_container_s_own_stderr_stays_clean(host: Box) -> None:
    name = host.id()
    host.configure(process__args=["sh", "-c", "echo out; echo err >&2"])
    done = host("--debug", "run", "-b", str(host.bundle), name)
    assert (done.returncode, done.stdout) == (0, "out\n")
    ours = [line for line in done.stderr.splitlines() if "level=debug" in line]
    assert [line for line in done.stderr.splitlines() if line not in ours] == ["err"]
    assert any(": host: " in line for line in ours)
    assert not any(": init: " in line for line in ours)


def test_a_failure_is_the_last_line(host: Box) -> None:
    log = host.folder / "debug.json"
    host.configure(process__args=["/nope"])
    done = host("--debug", "--log", str(log), "--log-format", "json", "create", "-b", str(host.bundle), host.id())
    assert done.returncode == 1
    levels = [json.loads(line)["level"] for line in log.read_text().splitlines()]
    assert levels[-1] == "error"
    assert set(levels[:-1]) == {"debug"}


def test_the_flags_of_the_filter_are_told_in_runcs_words(host: Box) -> None:
    host.configure(
        process__args=["true"], linux__seccomp={"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}
    )
    done = host("--debug", "run", "-b", str(host.bundle), host.id())
    assert 'level=debug msg="seccomp filter flags: 2"' in done.stderr


def test_what_scripts_look_for_in_runcs_log_is_said_in_its_order(host: Box) -> None:
    name = host.id()
    done = host("--debug", "create", "-b", str(host.bundle), name)
    marks = ("nsexec container setup", "child process in init()", "init: closing the pipe to signal completion")
    said = [line for line in done.stderr.splitlines() if any(f'msg="{mark}"' in line for mark in marks)]
    assert [mark in line for mark, line in zip(marks, said, strict=True)] == [True] * 3
    host.ok("start", name)
    process = host.folder / "process.json"
    process.write_text(json.dumps({"args": ["true"], "cwd": "/", "execCPUAffinity": {"initial": "0"}}))
    done = host("--debug", "exec", "--process", str(process), name)
    assert done.returncode == 0
    marks = ("nsexec: affinity: 0x1", "nsexec container setup", "child process in init()", "setns_init: about to exec")
    said = [line for line in done.stderr.splitlines() if any(f'msg="{mark}"' in line for mark in marks)]
    assert [mark in line for mark, line in zip(marks, said, strict=True)] == [True] * 4


def test_who_calls_us_runc_is_answered_as_by_runc(host: Box, tmp_path: Path) -> None:
    link = tmp_path / "runc"
    link.symlink_to(host.launcher)
    same = Box(link, host.folder)
    host.configure(process__args=["/nope"])
    words = ("create", "-b", str(host.bundle))
    plain = host.error(*words, host.id())
    assert plain.startswith('exec: "/nope": ')
    start = "runc create failed: unable to start container process: error during container init: "
    assert same.error(*words, host.id()) == start + plain
    assert same.error("run", "-b", "/nonexist", host.id()).startswith("runc run failed: --bundle /nonexist: ")
    assert same.error("state", "nobody").startswith("container does not exist")
