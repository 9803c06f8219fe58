"""What is opened by name between the change of the root and the program: next to nothing, whatever was asked for."""

import platform
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.harness import ROOT, Bundle, Runtime, new_id, wait_until
from tests.system.wasm import Wasm

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs x86-64, for the injector")

# A name, and why it is opened. All that Python, the C library or an engine would look for by itself is not here.
OPENED = {
    r"/|\.|": "the root and the working directory, for look-ups below them",
    r"/var|/dev": "read-only at last: mounts of the config",
    r"/etc/passwd": "HOME, read by our own code",
    r"/bin/(sleep|true)": "the program: its first bytes tell what it needs",
    r"/tmp": "process.cwd",
    r"/dev/null": "is standard output the null device, whose owner stays",
    r"/dev/ptmx|/?dev/console|console": "the terminal, and where it is bound",
    r"sys/kernel/msgmax": "below a private procfs",
    r"/guest\.wasm": "is the module there the one that was compiled",
}
LOOKING = ("open", "openat", "openat2", "connect")  # the last is how the C library asks a name service


def plain(bundle: Bundle) -> None:
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.process["cwd"] = "/tmp"
    bundle.linux["sysctl"] = {"kernel.msgmax": "4096"}
    bundle.config["mounts"].append({"destination": "/var", "type": "tmpfs", "source": "x", "options": ["ro"]})


def terminal(bundle: Bundle) -> None:
    plain(bundle)
    bundle.process["terminal"] = True


def mapped(bundle: Bundle) -> None:
    plain(bundle)
    bundle.user_namespace()


def filtered(bundle: Bundle) -> None:
    """By a filter with and one without no_new_privs: the second is loaded early."""
    plain(bundle)
    refused = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}
    bundle.process["noNewPrivileges"] = False


def hooked(bundle: Bundle) -> None:
    filtered(bundle)
    bundle.process["noNewPrivileges"] = True
    bundle.config["hooks"] = {"startContainer": [{"path": "/bin/true", "args": ["true"]}]}


def everything(bundle: Bundle) -> None:
    hooked(bundle)
    bundle.process["terminal"] = True
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 64}]
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 19}
    bundle.linux["personality"] = {"domain": "LINUX32"}
    bundle.linux["namespaces"] += [{"type": "cgroup"}, {"type": "time"}]
    bundle.config["root"]["readonly"] = True
    bundle.config["domainname"] = "example.org"
    bundle.user_namespace()


KINDS = (plain, terminal, mapped, filtered, hooked, everything)


class Trace:
    """One command under the injector, which lists the calls of all its processes in the order of time."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.report, self.release = rt.folder / "calls", rt.folder / "go"

    def run(self, words: "list[str]", begin: str, id: str = "") -> None:
        """With an id, of what is then to be started."""
        injector = [sys.executable, "-IS", str(ROOT / "tests/system/injector.py"), str(self.report), "", "--"]
        environment = {"PATH": "/bin", "BEGIN": begin, "RELEASE": str(self.release) if id else ""}
        with open(self.rt.folder / "told", "wb") as told:
            process = subprocess.Popen([*injector, *words], env=environment, stdin=subprocess.DEVNULL, stderr=told)
            if id:
                wait_until(self.release.exists, "create is done")
                assert self.rt("start", id).rc == 0
                self.rt.wait_for(id, "stopped")
            assert process.wait(60) == 0, (self.rt.folder / "told").read_text()

    def after_the_root(self) -> "list[tuple[str, str]]":
        """(call, what it is about) of what becomes the container, once its root is the container's."""
        found = [line.split(" ", 3) for line in self.report.read_text(errors="replace").splitlines()]
        rooted = [n for n, (_, call, _, about) in enumerate(found) if call == "pivot_root" or "mnt:[" in about]
        return [(call, about) for process, call, _, about in found[max(rooted) :] if process != "0"]

    def judge(self, sure: str = "/etc/passwd") -> None:
        """`sure`: what must be among it, or the trace is of somebody else."""
        calls = self.after_the_root()
        named = {about for call, about in calls if call in LOOKING}
        assert sure in named
        allowed = re.compile("|".join(f"({name})" for name in OPENED))
        assert {name for name in named if not allowed.fullmatch(name)} == set()


@pytest.fixture
def console(rt: Runtime) -> "Iterator[Path]":
    """A console socket. The terminal that comes by it stays on its way."""
    path = rt.folder / "console"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("verb", ["run", "create", "exec"])
def test_hardly_a_file_of_the_container_is_opened(
    rt: Runtime, make: "Callable[..., Bundle]", console: Path, verb: str, kind: "Callable[[Bundle], None]"
) -> None:
    """No name service, no locale, no module: what the C library would look for there is hostile."""
    bundle, name, trace = make("sleep", "60" if verb == "exec" else "0"), new_id(), Trace(rt)
    (bundle.rootfs / "etc/nsswitch.conf").write_text("passwd: evil\ngroup: evil\n")
    (bundle.rootfs / "lib").mkdir()
    (bundle.rootfs / "lib/libnss_evil.so.2").write_text("no library")
    kind(bundle)
    own = bool(bundle.process.get("terminal"))
    if verb == "run":
        trace.run(rt.command("run", "--bundle", bundle.write().path, name), "/config.json")
    elif verb == "create":
        words = ["--console-socket", str(console)] if own else []
        trace.run(rt.command("create", *words, "--bundle", bundle.write().path, name), "/config.json", name)
    else:
        bundle.process["terminal"] = False
        assert rt.run(bundle, "--detach", id=name).rc == 0
        trace.run(rt.command("exec", *(["--tty"] if own else []), name, "true"), "/state.json")
    if verb != "run":
        assert rt("delete", "--force", name).rc == 0
    trace.judge()


QUIET = '(module (memory (export "memory") 1) (func (export "_start")))'


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["run", "create", "exec"])
def test_an_engine_opens_hardly_a_file_of_the_container(rt: Runtime, wasm: Wasm, verb: str) -> None:
    """The engine's library and what it needs is loaded before; the guest is given its root."""
    bundle, name, trace = wasm(QUIET), new_id(), Trace(rt)
    if verb == "run":
        trace.run(rt.command("run", "--bundle", bundle.write().path, name), "/config.json")
    elif verb == "create":
        trace.run(rt.command("create", "--bundle", bundle.write().path, name), "/config.json", name)
    else:
        native = bundle.process["args"]
        bundle.process["args"] = ["sleep", "60"]
        assert rt.run(bundle, "--detach", id=name).rc == 0
        trace.run(rt.command("exec", name, *native), "/state.json")
    if verb != "run":
        assert rt("delete", "--force", name).rc == 0
    trace.judge("/guest.wasm")
