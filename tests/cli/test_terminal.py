"""What a person at a terminal is told when something fails; engines, which have none, get one line."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest

from tests.plan.made import document


def on_terminal(
    launcher: Path, *words: str, cwd: "Path | None" = None, columns: int = 200, **env: str
) -> "tuple[int, str]":
    """The exit status, and what a terminal on stderr was sent."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    done = subprocess.run(
        ["/usr/bin/python3", "-IBSXutf8", str(launcher), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", **env},
        check=False,
        timeout=60,
    )
    os.close(theirs)
    got = b""
    try:
        while part := os.read(ours, 65536):
            got += part
    except OSError:  # EIO: nobody is left at the other end
        pass
    os.close(ours)
    return done.returncode, got.decode().replace("\r\n", "\n")


def bundle(folder: Path, **more: "Any") -> Path:
    (folder / "rootfs").mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(document(**more), indent=1))
    return folder


PLAIN = {"TERM": "dumb"}


def test_the_parts_and_the_line_of_the_configuration(launcher: Path, tmp_path: Path) -> None:
    made = bundle(tmp_path, linux={"namespaces": [{"type": "user"}]})
    number = (made / "config.json").read_text().splitlines().index(' "linux": {') + 1
    status, told = on_terminal(launcher, "--root", str(tmp_path / "s"), "run", "x", cwd=made, **PLAIN)
    assert status == 1
    assert told.splitlines() == [
        'error: linux.uidMappings: linux.namespaces has "user" but linux.uidMappings is empty',
        f"from:  config.json:{number}  linux.uidMappings",
        "try:   map at least one id",
    ]


@pytest.mark.parametrize(
    "named", [["--bundle", "box"], ["--bundle", "box/"], ["--bundle", "box", "--config", "box/config.json"]]
)
def test_the_file_is_named_as_the_command_line_does(launcher: Path, tmp_path: Path, named: "list[str]") -> None:
    (tmp_path / "box").mkdir()
    bundle(tmp_path / "box", hostname=5)
    _, told = on_terminal(launcher, "--root", str(tmp_path / "s"), "create", *named, "x", cwd=tmp_path, **PLAIN)
    text = (tmp_path / "box/config.json").read_text().splitlines()
    number = next(at for at, line in enumerate(text, 1) if '"hostname"' in line)
    assert told.splitlines() == [
        "error: hostname: expected a string, got 5",
        f"from:  box/config.json:{number}  hostname",
    ]


@pytest.mark.parametrize("words", [["run", "box"], ["step", "--auto", "box", "x"]])
def test_a_bundle_without_a_flag_is_named_too(launcher: Path, tmp_path: Path, words: "list[str]") -> None:
    (tmp_path / "box").mkdir()
    bundle(tmp_path / "box", hostname=5)
    _, told = on_terminal(launcher, "--root", str(tmp_path / "s"), *words, cwd=tmp_path, **PLAIN)
    assert told.splitlines()[0] == "error: hostname: expected a string, got 5"
    assert told.splitlines()[1].startswith("from:  box/config.json:")


def test_a_file_that_cannot_be_read_again_is_no_second_error(launcher: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hostname": ')
    status, told = on_terminal(launcher, "--root", str(tmp_path / "s"), "run", "x", cwd=tmp_path, **PLAIN)
    assert status == 1
    assert told.startswith("error: ")
    assert "internal" not in told
    (tmp_path / "config.json").unlink()
    _, told = on_terminal(launcher, "--root", str(tmp_path / "s"), "run", "x", cwd=tmp_path, **PLAIN)
    assert told.splitlines() == [
        f"error: JSON specification file config.json not found in {tmp_path}",
        "try:   make one: pyruntime spec, or name the bundle: -b DIR",
    ]


def test_what_has_no_configuration(launcher: Path, tmp_path: Path) -> None:
    status, told = on_terminal(launcher, "--root", str(tmp_path), "state", "nope", **PLAIN)
    assert status == 1
    assert told == f"error: container does not exist: nope in {tmp_path}\ntry:   another --root or user?\n"
    status, told = on_terminal(launcher, "frobnicate", **PLAIN)
    assert (status, told) == (3, 'error: unknown command "frobnicate"\n')
    status, told = on_terminal(launcher, "--root", str(tmp_path), "exec", "nope", "true", **PLAIN)
    assert status == 255
    assert told.startswith("error: exec failed: container does not exist: nope")


def test_colour(launcher: Path, tmp_path: Path) -> None:
    words = ("--root", str(tmp_path), "state", "nope")
    _, told = on_terminal(launcher, *words, TERM="xterm")
    assert told.startswith("\x1b[31merror:\x1b[0m container does not exist: nope")
    for plain in ({"TERM": "xterm", "NO_COLOR": "1"}, PLAIN):
        assert "\x1b" not in on_terminal(launcher, *words, **plain)[1]


def test_long_lines_are_folded(launcher: Path, tmp_path: Path) -> None:
    _, told = on_terminal(launcher, "--systemd-cgroup", "--root", str(tmp_path), "list", "x" * 3, columns=60, **PLAIN)
    assert all(len(line) < 60 or " " not in line.strip() for line in told.splitlines())


def test_nothing_drives_the_terminal(launcher: Path, tmp_path: Path) -> None:
    bundle(tmp_path, hostname="\x1b[2J\x9b" + "x" * 80)
    _, told = on_terminal(launcher, "--root", str(tmp_path / "s"), "run", "x", cwd=tmp_path, TERM="xterm", NO_COLOR="1")
    assert told.startswith("error: hostname: ")
    assert all(line.isprintable() for line in told.splitlines())


def test_an_engine_gets_its_line(launcher: Path, tmp_path: Path) -> None:
    """A log file, JSON, or a pipe: as ever."""
    log = tmp_path / "log"
    words = ("--root", str(tmp_path), "state", "nope")
    line = f"container does not exist: nope in {tmp_path}; another --root or user?"
    _, told = on_terminal(launcher, "--log", str(log), "--log-format", "json", *words, TERM="xterm")
    assert told == line + "\n"
    assert [entry["msg"] for entry in map(json.loads, log.read_text().splitlines())] == [line]
    _, told = on_terminal(launcher, "--log-format", "json", *words, TERM="xterm")
    assert json.loads(told)["msg"] == line
    done = subprocess.run(
        ["/usr/bin/python3", "-IBSXutf8", launcher, *words], capture_output=True, text=True, check=False
    )
    assert done.stderr.count("\n") == 1
    assert f'level=error msg="{line}"' in done.stderr
