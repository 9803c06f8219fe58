"""What `doctor` says of engines: each verdict from files of a made host, and each fix by carrying it out."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from pyruntime.cgroup import tree
from pyruntime.cgroup.systemd.manager import About
from pyruntime.errors import Error
from pyruntime.look.doctor import callers, systemd
from pyruntime.look.doctor.verdict import FAIL, OK, UNKNOWN, WARN, Verdict, fail, ok
from tests.look.doctor.facts import Host, levels

V2, V3 = "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"
CHECKS = {
    "docker": (callers.docker, "dockerd"),
    "containerd": (callers.containerd, "containerd"),
    "crio": (callers.crio, "crio"),
    "podman": (callers.podman, "podman"),
}


@pytest.fixture(autouse=True)
def manager(monkeypatch: pytest.MonkeyPatch) -> "list[bool]":
    """systemd answers everybody; the list has for whom it was asked."""
    asked: "list[bool]" = []

    def answer(user: bool) -> "list[Verdict]":
        asked.append(user)
        return [ok("systemd answers")]

    monkeypatch.setattr(systemd, "manager", answer)
    return asked


def carry_out(fix: str, host: Host, launcher: Path) -> None:
    """Type the command that a fix begins with, on the made host."""
    command, _, rest = fix.partition(", then ")
    words = shlex.split(command)
    assert words[0] == str(host.bin / "pyruntime")
    assert rest == "what it says last"
    whole = [
        "/usr/bin/python3",
        "-IBSXutf8",
        str(launcher),
        *words[1:],
        "--host",
        str(host.root),
        "--program",
        words[0],
    ]
    done = subprocess.run(whole, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1].startswith("then: ")


@pytest.mark.parametrize("name", CHECKS)
def test_an_engine_that_is_not_here_fails(host: Host, name: str) -> None:
    (found,) = CHECKS[name][0]()
    assert (found.level, found.text) == (FAIL, f"{CHECKS[name][1]} is not installed")
    assert found.fix.startswith("install ")


@pytest.mark.parametrize("name", CHECKS)
def test_the_fix_makes_the_engine_know_us(host: Host, launcher: Path, name: str) -> None:
    check, program = CHECKS[name]
    host.install(program)
    before = list(check())
    assert levels(before)[:2] == [OK, FAIL if name in ("docker", "crio") else WARN]
    assert str(host.bin / "pyruntime") in before[1].text
    carry_out(before[1].fix, host, launcher)
    after = list(check())
    assert levels(after)[:2] == [OK, OK]
    assert " names us" in after[1].text


@pytest.mark.parametrize(
    "settings",
    ["", "{}", '{"runtimes": {"x": {"path": "/usr/bin/crun"}}}', '{"runtimes": []}', '{"runtimes": {"x": "y"}}'],
)
def test_a_daemon_json_without_us(host: Host, settings: str) -> None:
    host.install("dockerd").put("etc/docker/daemon.json", settings)
    assert levels(callers.docker()) == [OK, FAIL, OK]


@pytest.mark.parametrize("path", ["{bin}/pyruntime", "pyruntime", "{bin}/link"])
def test_a_daemon_json_with_us(host: Host, path: str) -> None:
    (host.bin / "link").symlink_to("pyruntime")
    settings = {"runtimes": {"py": {"path": path.format(bin=host.bin)}}}
    host.install("dockerd").put("etc/docker/daemon.json", json.dumps(settings))
    assert "docker run --runtime py" in list(callers.docker())[1].text


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_daemon_json_that_is_none(host: Host, text: str) -> None:
    host.install("dockerd").put("etc/docker/daemon.json", text)
    found = list(callers.docker())
    assert levels(found) == [OK, UNKNOWN]
    assert "valid JSON" in found[1].fix


def test_a_daemon_json_that_is_closed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.install("dockerd")
    monkeypatch.setattr(callers, "_DOCKER", str(host.root))  # a folder can't be read either
    assert levels(callers.docker()) == [OK, UNKNOWN]


@pytest.mark.parametrize(
    ("booted", "mode", "option", "asked"),
    [
        (False, "unified", "", False),
        (True, "unified", "", True),
        (True, "hybrid", "", False),
        (True, "unified", "native.cgroupdriver=cgroupfs", False),
        (True, "hybrid", "native.cgroupdriver=systemd", True),
    ],
)
def test_dockers_driver(host: Host, manager: "list[bool]", booted: bool, mode: str, option: str, asked: bool) -> None:
    if booted:
        host.boot()
    host.tree(tree.Tree(mode, str(host.root)))
    host.install("dockerd").put("etc/docker/daemon.json", json.dumps({"exec-opts": [option]}))
    assert list(callers.docker())[-1].text == ("systemd answers" if asked else "Docker's cgroup driver is cgroupfs")
    assert manager == [False] * asked


def containerd_with(host: Host, plugin: str, version: int, more: str = "", path: str = "config.toml") -> None:
    table = f'[plugins."{plugin}".containerd.runtimes.x.options]\n  BinaryName = "{host.bin}/pyruntime"\n{more}'
    host.install("containerd").put(f"etc/containerd/{path}", f"version = {version}\n{table}")


@pytest.mark.parametrize(("plugin", "version"), [(V2, 2), (V3, 3)])
def test_containerd_reads_tables_of_its_version(host: Host, plugin: str, version: int) -> None:
    containerd_with(host, plugin, version)
    assert levels(callers.containerd()) == [OK, OK]


@pytest.mark.parametrize(("plugin", "version", "right"), [(V2, 3, V3), (V3, 2, V2)])
def test_containerd_ignores_tables_of_another(host: Host, plugin: str, version: int, right: str) -> None:
    """The commonest fault of wiring: all looks right, and nothing happens."""
    containerd_with(host, plugin, version)
    found = list(callers.containerd())
    assert levels(found) == [OK, FAIL]
    assert f"in version {version}: there it is {right}" in found[1].text
    assert found[1].fix.startswith("remove those lines, then ")


def test_a_file_that_nobody_imports_says_nothing(host: Host) -> None:
    containerd_with(host, V3, 3, path="conf.d/50.toml")
    assert levels(callers.containerd()) == [OK, WARN]
    for imports in (f"{host.root}/etc/containerd/conf.d/*.toml", "conf.d/*.toml"):
        host.put("etc/containerd/config.toml", f'version = 3\nimports = ["{imports}"]\n')
        found = list(callers.containerd())
        assert levels(found) == [OK, OK]
        assert "conf.d/50.toml names us" in found[1].text


@pytest.mark.parametrize("said", ["true", "false"])
def test_containerds_driver(host: Host, manager: "list[bool]", said: str) -> None:
    containerd_with(host, V3, 3, f"  SystemdCgroup = {said}\n")
    assert levels(callers.containerd()) == [OK, OK, *[OK] * (said == "true")]
    assert manager == [False] * (said == "true")


@pytest.mark.parametrize("name", ["containerd", "crio", "podman"])
def test_a_file_that_is_closed_is_unknown(host: Host, name: str) -> None:
    check, program = CHECKS[name]
    files = {"containerd": "containerd/config.toml", "crio": "crio/crio.conf", "podman": "containers/containers.conf"}
    host.install(program).closed(f"etc/{files[name]}")
    found = list(check())
    assert levels(found)[:2] == [OK, UNKNOWN]
    assert files[name] in found[1].text
    assert found[1].fix == "ask again as root"


def test_comments_say_nothing(host: Host) -> None:
    table = f'[crio.runtime.runtimes.p]\n{{}}runtime_path = "{host.bin}/pyruntime"\n'
    host.install("crio").put("etc/crio/crio.conf.d/50.conf", table.format("# "))
    assert levels(callers.crio())[1] == FAIL
    host.put("etc/crio/crio.conf.d/50.conf", table.format(""))
    assert levels(callers.crio())[1] == OK


@pytest.mark.parametrize(
    ("name", "booted", "said", "asked"),
    [
        ("crio", False, "", True),  # it wants systemd wherever it is
        ("crio", True, "", True),
        ("crio", True, "cgroupfs", False),
        ("podman", False, "", False),
        ("podman", True, "", True),
        ("podman", True, "cgroupfs", False),
        ("podman", False, "systemd", True),
    ],
)
def test_who_makes_cgroups(host: Host, manager: "list[bool]", name: str, booted: bool, said: str, asked: bool) -> None:
    if booted:
        host.boot()
    place = {"crio": "crio/crio.conf.d/10", "podman": "containers/containers.conf.d/10.conf"}[name]
    host.install(name).put(f"etc/{place}", f'cgroup_manager = "{said}"\n' if said else "")
    last = list(CHECKS[name][0]())[-1]
    assert last.text == ("systemd answers" if asked else "cgroup manager: cgroupfs")
    assert manager == [os.geteuid() != 0] * asked


def test_a_node_needs_an_engine(host: Host) -> None:
    (found,) = callers.kubernetes()
    assert (found.level, found.fix) == (FAIL, "install one of them")


NODES = {  # what is there of an engine on a node
    "containerd": ("usr/bin/containerd", ""),
    "CRI-O": ("usr/bin/crio", ""),
    "k3s": ("var/lib/rancher/k3s/agent/etc/containerd/config.toml", "version = 3\n"),
    "RKE2": ("var/lib/rancher/rke2/agent/etc/containerd/config.toml", "version = 3\n"),
    "k0s": ("etc/k0s/containerd.toml", "version = 3\n"),
    "MicroK8s": ("var/snap/microk8s/current/args/containerd-template.toml", "version = 2\n"),
}


@pytest.mark.parametrize("name", NODES)
def test_a_node_that_does_not_know_us(host: Host, launcher: Path, name: str) -> None:
    """Its engine is seen wherever the distribution keeps it, and the fix leads to a handler of ours."""
    path, text = NODES[name]
    host.put(path, text, 0o755)
    (before,) = callers.kubernetes()
    assert (before.level, f"no configuration of {name} names" in before.text) == (FAIL, True)
    carry_out(before.fix, host, launcher)
    folder = host.root / path.rpartition("/")[0]
    for made, read in (
        ("config-v3.toml.tmpl", "config.toml"), ("containerd-template.toml", "containerd.toml"),
    ):  # fmt: skip
        if (folder / made).exists():  # what the distribution does when it starts again
            (folder / read).write_text((folder / made).read_text())
    (after,) = callers.kubernetes()
    assert (after.level, " names us" in after.text) == (OK, True)


def test_a_manager_that_answers_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What systemd says is the finding, and what can be done about it the fix."""
    monkeypatch.undo()

    def refused(_: bool) -> None:
        raise Error("--systemd-cgroup: systemd is not to be reached: /bus: InteractiveAuthorizationRequired; log in")

    monkeypatch.setattr(systemd, "find", refused)
    (found,) = systemd.manager(user=True)
    assert (found.level, found.fix) == (FAIL, "log in")
    assert "InteractiveAuthorizationRequired" in found.text


@pytest.mark.parametrize(("user", "whose"), [(True, "the user's systemd"), (False, "systemd")])
def test_a_manager_that_answers(monkeypatch: pytest.MonkeyPatch, user: bool, whose: str) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(systemd, "find", lambda user: About("/bus", user, 252, "/"))
    (found,) = systemd.manager(user)
    assert (found.level, found.text) == (OK, f"cgroup driver: {whose} 252 answers at /bus")


def test_an_ordinary_users_session(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = list(systemd.presence())
    assert levels(absent) == [WARN]
    assert "leave --systemd-cgroup out" in absent[0].fix
    host.boot()
    assert levels(systemd.presence()) == [OK]
    monkeypatch.setattr(systemd, "manager", lambda **_: [fail("nobody answers", "log in")])
    assert [(v.level, v.fix) for v in systemd.presence()] == [(WARN, "log in")]
