"""Images built with RUN, of Linux programs and of Wasm: Buildah, podman and docker build, BuildKit."""

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.builders import BUILDERS, Buildah, Builder, RootlessBuildah, unique
from tests.guest.engines import call, on_a_terminal
from tests.guest.guests import HELLO, put_modules
from tests.system.harness import copy_busybox, make_rootfs

BASE = "FROM scratch\nADD rootfs.tar /\nENV PATH=/bin\n"


@pytest.fixture(autouse=True)
def no_leaks() -> None:
    """Instead of the look at everything: builders keep processes, mounts and cgroups of their own."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a root file system as a tar, where a user may read it."""
    folder = tmp_path_factory.mktemp("context")
    rootfs = make_rootfs(folder / "rootfs", copy_busybox(folder))
    put_modules(rootfs)
    with tarfile.open(folder / "rootfs.tar", "w") as archive:
        archive.add(rootfs, ".")
    shutil.rmtree(rootfs)
    (folder / "note").write_text("note\n")
    for each in (folder, folder.parent, folder.parent.parent):
        each.chmod(0o755)
    return folder


@pytest.fixture(scope="module", params=BUILDERS, ids=lambda kind: kind.name)
def builder(request: pytest.FixtureRequest, launcher: Path) -> "Iterator[Builder]":
    found: Builder = request.param(launcher)
    found.begin()
    yield found
    found.end()


def write(context: Path, *lines: str) -> Path:
    (context / "Containerfile").write_text(BASE + "\n".join(lines) + "\n")
    return context


def test_a_build_with_linux_and_wasm(builder: Builder, context: Path) -> None:
    tag = unique("built")
    lines = ("COPY note /note", "RUN cat /note > /seen && id -u >> /seen", 'RUN ["/hello.wat", "in a build"]')
    result = builder.build(write(context, *lines), tag)
    assert result.returncode == 0, result
    told = result.stdout + result.stderr
    assert "hello from WebAssembly" in told
    assert "in a build\n" in told
    assert builder.read(tag, "/seen") == "note\n0\n"


def test_a_step_as_another_user(builder: Builder, context: Path) -> None:
    tag = unique("user")
    lines = ("WORKDIR /tmp/work", "RUN chmod 777 /tmp/work", "USER 1000:1000", "RUN id -u > seen; id -g >> seen")
    result = builder.build(write(context, *lines), tag)
    assert result.returncode == 0, result
    assert builder.read(tag, "/tmp/work/seen") == "1000\n1000\n"


@pytest.mark.parametrize("line", ["RUN exit 3", 'RUN ["/count.wat", "a", "b"]'], ids=["linux", "wasm"])
def test_the_status_of_a_step_that_fails(builder: Builder, context: Path, line: str) -> None:
    result = builder.build(write(context, line), unique("failed"))
    assert result.returncode != 0
    told = result.stdout + result.stderr
    assert any(words in told for words in ("exit status 3", "exit code: 3", "non-zero code: 3")), result


def test_a_step_whose_program_is_not_there(builder: Builder, context: Path) -> None:
    result = builder.build(write(context, 'RUN ["/bin/no-such-program"]'), unique("failed"))
    assert result.returncode != 0
    assert "/bin/no-such-program" in result.stdout + result.stderr


@pytest.fixture(scope="module", params=[Buildah, RootlessBuildah], ids=lambda kind: kind.name)
def buildah(request: pytest.FixtureRequest, launcher: Path) -> Buildah:
    found: Buildah = request.param(launcher)
    return found


@pytest.fixture(scope="module")
def working(buildah: Buildah, context: Path) -> "Iterator[str]":
    """A working container of Buildah's."""
    tag = unique("working")
    built = buildah.build(write(context), tag)
    assert built.returncode == 0, built
    name = buildah.container(f"localhost/{tag}")
    yield name
    buildah.call("rm", name)


def test_buildah_run(buildah: Buildah, working: str) -> None:
    result = buildah.run(working, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.returncode, result.stdout) == (7, "out\n"), result
    assert "err\n" in result.stderr


def test_buildah_run_of_a_module(buildah: Buildah, working: str) -> None:
    result = buildah.run(working, "/hello.wat", "two words")
    assert (result.returncode, result.stdout) == (0, f"{HELLO}two words\n"), result
    assert buildah.run(working, "/count.wat", "a").returncode == 2


def test_buildah_run_on_a_terminal(buildah: Buildah, working: str) -> None:
    status, output = on_a_terminal(*buildah.running("run"), "--terminal", working, "--", "sh", "-c", "tty; exit 9")
    assert status == 9, output
    assert "/dev/pts/0" in output or "/dev/console" in output


def test_buildah_run_with_a_volume(buildah: Buildah, working: str, context: Path) -> None:
    volume = ("--volume", f"{context}:/mnt:ro")
    result = buildah.run(working, "sh", "-c", "cat /mnt/note; touch /mnt/new || echo REFUSED", flags=volume)
    assert (result.returncode, result.stdout) == (0, "note\nREFUSED\n"), result


def test_buildah_run_by_the_variable(buildah: Buildah, working: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """BUILDAH_RUNTIME, which a user's environment here does not have by itself."""
    if isinstance(buildah, RootlessBuildah):
        monkeypatch.setattr(buildah, "become", (*buildah.become, f"BUILDAH_RUNTIME={buildah.runtime}"))
    monkeypatch.setitem(os.environ, "BUILDAH_RUNTIME", buildah.runtime)
    words = [word for word in buildah.running("run") if word not in ("--runtime", buildah.runtime)]
    result = call(*words, working, "--", "/hello.wat")
    assert (result.returncode, result.stdout) == (0, HELLO), result


def test_what_buildah_confines(buildah: Buildah, working: str) -> None:
    """Its seccomp profile, few capabilities, and namespaces of its own."""
    script = "grep -E '^(Seccomp|CapBnd):' /proc/self/status; readlink /proc/self/ns/pid"
    result = buildah.run(working, "sh", "-c", script)
    bounding, seccomp, namespace = result.stdout.splitlines()
    assert seccomp.split() == ["Seccomp:", "2"]
    assert bounding.split()[1] == "00000000800405fb"
    assert namespace != os.readlink("/proc/self/ns/pid")
