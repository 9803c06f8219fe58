"""Hooks: when each kind runs, where, and with what on its stdin; and that none of them can hang a command."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system import harness
from tests.system.harness import Bundle, Runtime, new_id

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def hook(script: str, **values: object) -> "dict[str, object]":
    """A hook that is a shell script."""
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"], **values}


def noting(bundle: Bundle) -> Path:
    """Let a hook of every kind note its state and its place in a folder that is seen inside and outside."""
    notes = bundle.path / "notes"
    notes.mkdir()
    (bundle.rootfs / "notes").mkdir()
    bundle.config["mounts"].append(harness.mount("/notes", "bind", ["rbind"], str(notes)))
    bundle.config["annotations"] = {"org.example": "a/b"}
    bundle.config["hooks"] = {}
    for kind in KINDS:
        folder = "/notes" if kind == "startContainer" else notes
        script = (
            f"cat > {folder}/{kind}; echo {kind} >> {folder}/order; echo some output; echo more >&2; "
            f"echo $PWD $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net) $MARK $0 > {folder}/{kind}.place"
        )
        bundle.config["hooks"][kind] = [hook(script, env=["PATH=/bin:/usr/bin", f"MARK={kind}"])]
    return notes


def test_order_state_and_place(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle, name = make("sh", "-c", "echo program >> /notes/order; exec sleep 60"), new_id()
    notes = noting(bundle)
    order = notes / "order"

    created = rt.create(bundle, id=name)
    assert (created.rc, created.out, created.err) == (0, "", "")
    pid = rt.state(name)["pid"]
    assert order.read_text().split() == ["prestart", "createRuntime", "createContainer"]
    inside = {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "net")}
    outside = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "net")}
    assert rt("start", name).rc == 0
    harness.wait_until(lambda: "program" in order.read_text(), "the program runs")
    assert order.read_text().split()[3] == "startContainer"
    assert set(order.read_text().split()[4:]) == {"program", "poststart"}
    assert rt("delete", "--force", name).rc == 0
    assert order.read_text().split()[-1] == "poststop"

    expected = {"prestart": pid, "createRuntime": pid, "createContainer": 1, "startContainer": 1, "poststart": pid}
    for kind in KINDS:
        text = (notes / kind).read_text()
        state = json.loads(text)
        assert "\\/" not in text
        assert state["id"] == name
        assert state["bundle"] == str(bundle.path)
        assert state["annotations"] == {"org.example": "a/b"}
        assert state["ociVersion"]
        assert state.get("pid") == expected.get(kind)
        wanted = {"startContainer": "created", "poststart": "running", "poststop": "stopped"}.get(kind, "creating")
        assert state["status"] == wanted
        folder, mnt, net, mark, argv0 = (notes / f"{kind}.place").read_text().split()
        where = inside if kind in ("createContainer", "startContainer") else outside
        assert (mnt, net, mark, argv0) == (where["mnt"], where["net"], kind, "sh")
        if kind in ("prestart", "createRuntime"):
            assert folder == str(bundle.path)
        if kind == "createContainer":
            assert folder == str(bundle.rootfs)


def test_run_runs_all_kinds(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle = make("sh", "-c", "echo program >> /notes/order")
    notes = noting(bundle)
    result = rt.run(bundle)
    assert (result.rc, result.out, result.err) == (0, "", "")
    order = (notes / "order").read_text().split()
    assert order[:4] == list(KINDS[:4])
    assert sorted(order[4:6]) == ["poststart", "program"]
    assert order[6:] == ["poststop"]


def test_several_of_one_kind_run_in_order(rt: Runtime, bundle: Bundle) -> None:
    notes = bundle.path / "notes"
    bundle.config["hooks"] = {"createRuntime": [hook(f"echo {n} >> {notes}") for n in range(5)]}
    assert rt.run(bundle).rc == 0
    assert notes.read_text().split() == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("kind", KINDS[:4])
def test_failure_stops_everything(rt: Runtime, bundle: Bundle, kind: str) -> None:
    later = bundle.rootfs / "later"
    shown = "/later" if kind == "startContainer" else later
    bad = hook("echo to out; echo to err >&2; exit 3")
    bundle.sh("touch /ran").config["hooks"] = {kind: [bad, hook(f"touch {shown}")]}
    result = rt.run(bundle, log=True)
    assert result.rc == 1
    assert result.err.count("\n") == 1
    assert f"error running {kind} hook #0: exit status 3, stdout: to out, stderr: to err" in result.err
    assert [line["level"] for line in result.log] == ["error"]
    assert not later.exists()
    assert not (bundle.rootfs / "ran").exists()
    assert rt.containers() == []


def test_failing_poststart_ends_the_container(rt: Runtime, make: "Callable[..., Bundle]") -> None:
    bundle, name = make("sleep", "60"), new_id()
    bundle.config["hooks"] = {"poststart": [hook("exit 3")]}
    assert rt.create(bundle, id=name).rc == 0
    result = rt("start", name)
    assert result.rc == 1
    assert "poststart hook #0: exit status 3" in result.err
    rt.wait_for(name, "stopped")
    assert rt("delete", "--force", name).rc == 0


def test_failing_poststop_is_a_warning(rt: Runtime, bundle: Bundle) -> None:
    bundle.config["hooks"] = {"poststop": [hook("exit 3")]}
    result = rt.run(bundle)
    assert result.rc == 0
    assert "level=warning" in result.err
    assert "poststop hook #0: exit status 3" in result.err
    assert rt.containers() == []


def test_killed_hook(rt: Runtime, bundle: Bundle) -> None:
    bundle.config["hooks"] = {"createRuntime": [hook("kill -9 $$")]}
    result = rt.run(bundle)
    assert result.rc == 1
    assert "createRuntime hook #0: signal 9 (killed)" in result.err


HANGS = {
    "does not read": "exec sleep 61",
    "closes early": "exec 0<&-; exec sleep 61",
    "forks a child that holds the pipes": "sleep 61 & sleep 62",
    "ignores signals": "trap '' TERM INT HUP; while :; do sleep 0.1; done",
    "fills its output": "exec yes",
}


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer", "startContainer", "poststart", "poststop"])
@pytest.mark.parametrize("how", HANGS)
def test_no_hook_hangs_us(rt: Runtime, make: "Callable[..., Bundle]", kind: str, how: str) -> None:
    """Each is given one second; then its whole process group is killed."""
    bundle = make("sleep", "0.1" if kind == "poststop" else "60")
    bundle.config["hooks"] = {kind: [hook(HANGS[how], timeout=1)]}
    bundle.config["annotations"] = {"big": "x" * 200000}
    result = rt.run(bundle)
    assert result.rc == (0 if kind == "poststop" else 1), result
    assert result.seconds < 20  # what hangs does so for a minute
    assert f"{kind} hook #0: hook ran past specified timeout of 1.0s" in result.err
    assert result.err.count("\n") == 1


def test_hook_that_leaves_a_child_with_the_pipes(rt: Runtime, bundle: Bundle) -> None:
    """Without a timeout: the hook is done when its own process is, not when the last of its children is."""
    bundle.config["hooks"] = {"createRuntime": [hook("sleep 61 & exit 0")]}
    result = rt.run(bundle)
    assert (result.rc, result.err) == (0, "")
    assert result.seconds < 20


def test_hook_that_reads_nothing(rt: Runtime, bundle: Bundle) -> None:
    bundle.config["annotations"] = {"big": "x" * 1000000}
    bundle.config["hooks"] = {"createRuntime": [hook("exit 0")], "poststop": [hook("exec 0<&-; sleep 0.1")]}
    result = rt.run(bundle)
    assert (result.rc, result.err) == (0, "")


def test_big_state_is_read_whole(rt: Runtime, bundle: Bundle) -> None:
    bundle.config["annotations"] = {"big": "x" * 3000000}
    bundle.config["hooks"] = {"createRuntime": [hook(f"wc -c > {bundle.path}/size")]}
    assert rt.run(bundle).rc == 0
    assert int((bundle.path / "size").read_text()) > 3000000


def test_environment_of_hooks_is_whole(rt: Runtime, bundle: Bundle) -> None:
    """Nothing of the caller's; startContainer without `env` has the program's."""
    bundle.config["hooks"] = {
        "createRuntime": [{"path": "/usr/bin/env", "args": ["env"], "env": ["ONLY=this"]}],
        "createContainer": [{"path": "/usr/bin/env", "args": ["env"]}],
        "startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "env > /seen"]}],
    }
    bundle.process["env"].append("OF=program")
    bundle.config["hooks"]["createRuntime"][0] = hook(f"/usr/bin/env > {bundle.path}/seen", env=["ONLY=this"])
    assert rt.run(bundle, env={"SECRET": "x"}).rc == 0
    lines = (bundle.path / "seen").read_text().split()
    assert "ONLY=this" in lines
    assert not [line for line in lines if "SECRET" in line or "OF=" in line]
    assert "OF=program" in (bundle.rootfs / "seen").read_text().split()
