"""`inspect` and `step` on what a container names as it likes, and on processes that end while they are read."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyruntime.errors import Error
from pyruntime.look.inspect import proc, show, subject
from pyruntime.look.inspect.compare import compare
from pyruntime.look.lines import Paint
from pyruntime.look.step import snapshot

EVIL = "\x1b]0;owned\x07\x1b[2J\n\x9b31m\u202e"


@pytest.fixture
def evil() -> "Iterator[subprocess.Popen[bytes]]":
    """A process whose name and words are escape sequences."""
    code = f"open('/proc/self/comm', 'w').write({EVIL[:14]!r}); print(flush=True); import time; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, EVIL], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def controls(page: str) -> "set[str]":
    return {letter for line in page.split("\n") for letter in line if not letter.isprintable()}


def test_a_process_does_not_write_on_the_terminal(evil: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    found = subject.of_pid(str(tmp_path), evil.pid)
    page = show.text(found, Paint())
    assert controls(page) == set()
    assert "\\x1b]0;owned" in page


def test_nor_does_any_other_word(tmp_path: Path) -> None:
    found = subject.of_pid(str(tmp_path), os.getpid())
    found["cgroup"]["path"] = f"/{EVIL}"
    found["label"] = EVIL
    found["mounts"] = [{**found["mounts"][0], "destination": EVIL, "source": EVIL, "readonly": False, "virtual": False}]
    found["container"] = {"id": "a", "status": "running", "bundle": EVIL, "wasm": EVIL, "args": [EVIL]}
    assert controls(show.text(found, Paint())) == set()
    host = subject.of_host()
    assert controls(show.comparison(compare(found, host), found, Paint())) == set()
    assert controls(show.comparison(compare(host, found), host, Paint())) == set()


def test_nor_what_lies_in_a_root_that_is_stepped_through() -> None:
    seen = snapshot.take(os.getpid())
    after = {**seen, "root": [EVIL], "hostname": EVIL, "cwd": EVIL, "cgroup": EVIL, "mounts": [EVIL, EVIL * 2]}
    assert controls("\n".join(snapshot.page(after))) == set()
    assert controls("\n".join(snapshot.changes(seen, after))) == set()


def test_a_process_that_ends_while_it_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen(["sleep", "60"])
    real = proc.mounts

    def ended(pid: int) -> object:
        child.kill()
        child.wait()
        return real(pid)

    monkeypatch.setattr(proc, "mounts", ended)
    with pytest.raises(Error, match="ended while it was looked at"):
        subject.of_pid(str(tmp_path), child.pid)


def test_what_may_not_be_read_is_not_called_none(tmp_path: Path) -> None:
    found = subject.of_pid(str(tmp_path), os.getpid())
    found["mounts"] = None
    page = show.text(found, Paint())
    assert "not readable for you" in page
    assert "of them 0 read-only" not in page
    against = compare(found, subject.of_host())
    assert against["mounts"] is None
    assert "not readable for you" in show.comparison(against, found, Paint())


def test_a_user_namespace_without_a_map_has_no_root_outside() -> None:
    child = subprocess.Popen(["unshare", "--user", "sleep", "60"])
    try:
        while proc.command(child.pid) != "sleep 60":
            pass
        found = subject._process(child.pid)
        if found["namespaces"]["user"]["own"] is not True:
            pytest.skip("pid 1's namespaces are not readable, or no user namespace could be made")
        found["container"] = None
        assert compare(found, subject.of_host())["users"][0] == "nobody outside"
    finally:
        child.kill()
        child.wait()


def test_a_hash_in_a_path_is_one_again() -> None:
    line = r"36 35 0:1 /a\043b /c\040\043\134d rw - tmpfs tm\011p\012 rw"
    assert proc._mount(line.split(" "))["destination"] == "/c #\\d"
    assert proc._mount(line.split(" "))["shows"] == "/a#b"
