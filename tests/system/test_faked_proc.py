"""A container whose /proc is a folder of its own making: what the runtime must know or set, it does elsewhere."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.harness import Bundle, Runtime, new_id


def faked(bundle: Bundle) -> Path:
    """/proc as a folder with files of the kernel's names."""
    fake = bundle.path / "fake"
    (fake / "self/fd").mkdir(parents=True)
    for name, text in {"setgroups": "deny\n", "oom_score_adj": "0\n", "uid_map": "0 0 4294967295\n"}.items():
        (fake / "self" / name).write_text(text)
    entry = next(each for each in bundle.config["mounts"] if each["destination"] == "/proc")
    entry.update(type="bind", source=str(fake), options=["rbind"])
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    return fake / "self"


def with_groups(words: "list[str]") -> "subprocess.CompletedProcess[str]":
    """A command of a caller who is in groups of the host."""
    return subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, extra_groups=[4, 4242]
    )


@pytest.mark.parametrize("user", [False, True], ids=["root", "user namespace"])
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_groups_of_the_caller_are_never_kept(rt: Runtime, make: "Callable[..., Bundle]", verb: str, user: bool) -> None:
    """A setgroups file that says `deny` is no reason to keep them."""
    bundle, name = make("id", "-G"), new_id()
    faked(bundle)
    if user:
        bundle.user_namespace()
    if verb == "run":
        done = with_groups(rt.command("run", "--bundle", bundle.write().path, name))
    else:
        bundle.process["args"] = ["sleep", "60"]
        assert rt.run(bundle, "--detach", id=name).rc == 0
        done = with_groups(rt.command("exec", name, "id", "-G"))
        assert rt("delete", "--force", name).rc == 0
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_oom_score_of_exec_is_set_by_the_host(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle, name = make("sleep", "60"), new_id()
    fake = faked(bundle)
    assert rt.run(bundle, "--detach", id=name).rc == 0
    document = rt.folder / "process.json"
    document.write_text(json.dumps({**bundle.process, "args": ["sleep", "60"], "oomScoreAdj": 345}))
    pid_file = rt.folder / "pid"
    try:
        assert rt("exec", "--detach", "--pid-file", pid_file, "--process", document, name).rc == 0
        assert Path(f"/proc/{pid_file.read_text()}/oom_score_adj").read_text() == "345\n"
        assert (fake / "oom_score_adj").read_text() == "0\n"
    finally:
        os.kill(int(pid_file.read_text()), 9)
        os.waitpid(int(pid_file.read_text()), 0)  # its parent is gone, and we are the reaper
        assert rt("delete", "--force", name).rc == 0


def test_settings_of_run_are_in_force_or_refused(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    """A sysctl and an OOM score reach the kernel though /proc leads elsewhere."""
    bundle, name = make("sleep", "60"), new_id()
    fake = faked(bundle)
    bundle.process["oomScoreAdj"] = 234
    bundle.linux["sysctl"] = {"kernel.msgmax": "4095", "net.ipv4.ip_default_ttl": "35"}
    assert rt.run(bundle, "--detach", id=name).rc == 0
    try:
        pid = rt.state(name)["pid"]
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "234\n"
        assert (fake / "oom_score_adj").read_text() == "0\n"
        enter = ["nsenter", f"--net=/proc/{pid}/ns/net", f"--ipc=/proc/{pid}/ns/ipc", "cat"]
        files = ["/proc/sys/net/ipv4/ip_default_ttl", "/proc/sys/kernel/msgmax"]
        seen = subprocess.run([*enter, *files], capture_output=True, text=True, timeout=30).stdout
        assert seen == "35\n4095\n"
    finally:
        assert rt("delete", "--force", name).rc == 0
