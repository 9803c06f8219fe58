"""Docker and Podman sort failures by words in the text; here they sort what pyruntime really says."""

import os
import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.clients.callers import Streams, wait_exit
from tests.clients.shim import Failed, Shim
from tests.errors.classifiers import OTHER, docker, gone, podman
from tests.system.harness import Bundle, mount

_NONE_DOCKER, _NONE_PODMAN, _ = OTHER


class Case(NamedTuple):
    """A bundle that cannot be created, and the classes its error must fall into."""

    name: str
    change: "Callable[[Bundle], object]"
    docker: int = _NONE_DOCKER
    podman: int = _NONE_PODMAN


def args(*words: str) -> "Callable[[Bundle], object]":
    return lambda bundle: bundle.process.update(args=list(words))


def in_rootfs(name: str, text: str, mode: int) -> "Callable[[Bundle], object]":
    def change(bundle: Bundle) -> None:
        path = bundle.rootfs / name
        path.write_text(text)
        path.chmod(mode)
        bundle.process["args"] = [f"/{name}"]

    return change


def bind(source: str, destination: str) -> "Callable[[Bundle], object]":
    return lambda bundle: bundle.config["mounts"].append(mount(destination, "bind", ["rbind"], source))


def resources(**values: object) -> "Callable[[Bundle], object]":
    return lambda bundle: bundle.linux["resources"].update(values)


def hook(script: str) -> "Callable[[Bundle], object]":
    entry = {"path": "/bin/sh", "args": ["sh", "-c", script]}
    return lambda bundle: bundle.config.update(hooks={"createRuntime": [entry]})


CASES = [
    Case("no such program in PATH", args("nope"), 127, 127),
    Case("no such path", args("/nope"), 127, 127),
    Case("no such path below a folder", args("/no/such/program"), 127, 127),
    Case("a path through a file", args("/bin/busybox/x"), 127),
    Case("a directory", args("/bin"), 126, 126),
    Case("a file without x", in_rootfs("plain", "#!/bin/sh\n", 0o644), 126, 126),
    Case("a missing interpreter", in_rootfs("script", "#!/bin/nothing\n", 0o755), 127, 127),
    Case("a missing bind source", bind("/nowhere/at/all", "/data"), 127, 127),
    Case("a file on a folder", bind("/etc/passwd", "/tmp"), 127),
    Case("a missing rootfs", lambda bundle: bundle.config["root"].update(path="nowhere"), 127, 127),
    Case("a limit in words", resources(memory={"limit": "64M"})),
    Case("a user in words", lambda bundle: bundle.process.update(user={"uid": "nobody", "gid": 0})),
    Case("a wrong bind option", lambda bundle: bundle.config["mounts"].append(
        mount("/data", "bind", ["rbind", "readonly"], "/etc"))),
    Case("a user namespace without maps", lambda bundle: bundle.namespaces("pid", "mount", "user", "uts")),
    Case("a namespace twice", lambda bundle: bundle.namespaces("pid", "pid", "mount", "uts")),
    Case("a namespace path of another kind", lambda bundle: bundle.linux["namespaces"].append(
        {"type": "cgroup", "path": "/proc/self/ns/net"})),
    Case("no process", lambda bundle: bundle.config.pop("process")),
    Case("no arguments", args()),
    Case("a relative cwd", lambda bundle: bundle.process.update(cwd="tmp")),
    Case("a terminal without socket", lambda bundle: bundle.process.update(terminal=True)),
    Case("a hook that fails", hook("exit 3")),
    Case("a sysctl of the host", lambda bundle: bundle.linux.update(sysctl={"kernel.panic": "1"})),
    Case("an unknown rlimit", lambda bundle: bundle.process.update(
        rlimits=[{"type": "RLIMIT_X", "hard": 1, "soft": 1}])),
    Case("a seccomp action nobody has", lambda bundle: bundle.linux.update(seccomp={"defaultAction": "SCMP_ACT_X"})),
    Case("a hostname without uts", lambda bundle: bundle.namespaces("pid", "mount")),
    Case("a mount on the root", lambda bundle: bundle.config["mounts"].append(mount("/", "tmpfs"))),
    Case("a mount below proc", lambda bundle: bundle.config["mounts"].append(mount("/proc/x", "tmpfs"))),
    Case("a filesystem nobody has", lambda bundle: bundle.config["mounts"].append(mount("/data", "nofs"))),
]  # fmt: skip


@pytest.fixture
def shim(caller: "Callable[..., Shim]") -> Shim:
    return caller(Shim)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_failed_create_falls_into_its_class(shim: Shim, case: Case) -> None:
    case.change(shim.bundle)
    shim.bundle.write()
    with pytest.raises(Failed) as failure:
        shim.create()
    text = str(failure.value)
    assert "internal error" not in text
    assert (docker(text), podman(text)) == (case.docker, case.podman), text
    assert not gone(text), text


def test_no_controller_is_no_missing_file(shim: Shim) -> None:
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        pytest.skip("this host's v2 tree has every controller")
    resources(memory={"limit": 1 << 26})(shim.bundle)
    shim.bundle.write()
    with pytest.raises(Failed) as failure:
        shim.create()
    assert "memory" in str(failure.value)
    assert (docker(str(failure.value)), podman(str(failure.value))) == (_NONE_DOCKER, _NONE_PODMAN)


def test_no_config(shim: Shim) -> None:
    (shim.bundle.path / "config.json").unlink()
    with pytest.raises(Failed) as failure:
        shim.create()
    assert "config.json" in str(failure.value)


def test_what_the_kernel_alone_can_tell_is_told_by_the_container(shim: Shim) -> None:
    """Some handler may know the format: create succeeds, and the reason is on stderr when the program is released."""
    in_rootfs("script", "echo hello\n", 0o755)(shim.bundle)
    shim.bundle.write()
    streams = Streams()
    pid = shim.create(streams)
    shim.ask("start", shim.id)
    assert wait_exit(pid) != 0
    assert streams.read() == ("", 'exec /script: exec format error: a text file without "#!"\n')
    shim.delete()


def test_errors_about_a_container_that_is_gone(shim: Shim) -> None:
    for words in (["start"], ["state"], ["delete"], ["kill", "9"], ["pause"], ["resume"], ["ps", "--format=json"]):
        ended = shim.call("--root", str(shim.root), words[0], *words[1:2 if words[0] == "ps" else 1], "gone",
                          *words[1:] if words[0] == "kill" else [])  # fmt: skip
        assert ended.rc == 1, words
        assert gone(ended.err), ended.err
        assert (docker(ended.err), podman(ended.err)) == (_NONE_DOCKER, _NONE_PODMAN), ended.err


def test_version_is_understood(shim: Shim) -> None:
    """The text around `version` on its line, which may hold no colon, and the line `commit:`."""
    ended = shim.call("--version", env={})
    name = version = commit = ""
    for line in ended.out.strip().splitlines():
        if ":" not in line and "version" in line:
            name, _, version = (part.strip() for part in line.partition("version"))
        if line.startswith("commit:"):
            commit = line.removeprefix("commit:").strip()
    assert (ended.rc, name) == (0, "pyruntime")
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", version)
    assert commit


def test_a_wrapper_script_between_engine_and_runtime(shim: Shim) -> None:
    """An engine with arguments configured calls a generated script, which hands on what it was given."""
    wrapper = shim.bundle.path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\n"{shim.binary}" --debug=false $@\n')
    wrapper.chmod(0o755)
    shim.binary = str(wrapper)
    assert shim.call("features").rc == 0
    pid = shim.create()
    shim.ask("start", shim.id)
    assert wait_exit(pid) == 0
    shim.delete()
