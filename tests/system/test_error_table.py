"""What is said when something is wrong: one line, cause first, and the exit status that engines make of it."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.errors.classifiers import ABSENT, CROOKED, DENIED, NO_CONTAINER, OTHER, kind
from tests.system import leaks
from tests.system.bad_configs import put
from tests.system.harness import Bundle, Result, Runtime, mount, new_id

Change = Callable[[Bundle], None]
Kind = tuple[int, int, bool]
HOST = os.uname().machine
FOREIGN = ("aarch64", 183) if HOST != "aarch64" else ("x86_64", 62)
NATIVE = {"x86_64": 62, "aarch64": 183}.get(HOST, 0)
NAMES = ("error:", "why:", "from:", "try:")
COMPONENT = b"\0asm\x0d\0\1\0"
KILL_INIT = r"""kill -9 $(sed -n 's/.*"pid":\([0-9]*\).*/\1/p')"""


def said(result: Result, rc: int = 1) -> str:
    """The message, which is the log file's one line and the one line on stderr."""
    assert result.rc == rc, result
    (line,) = result.log
    assert line["level"] == "error"
    assert result.err.splitlines() == [line["msg"]], result
    assert "internal error" not in line["msg"]
    return str(line["msg"])


def config(path: str, value: object) -> Change:
    """Change one value of the configuration."""
    return lambda bundle: put(bundle.config, path, value)


def program(content: bytes, mode: int = 0o755) -> Change:
    """Let the container run a file with this content."""

    def change(bundle: Bundle) -> None:
        path = bundle.rootfs / "app"
        path.write_bytes(content)
        path.chmod(mode)
        bundle.process["args"] = ["/app"]

    return change


def elf(machine: int, loader: bytes = b"") -> bytes:
    """A 64-bit executable of one program header and no code."""
    head = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = len(loader) + 1
    return (
        b"\x7fELF\2\1\1" + bytes(9) + head + struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, size, size, 1) + loader + b"\0"
    )


def annotated(change: Change, **annotations: str) -> Change:
    def both(bundle: Bundle) -> None:
        change(bundle)
        bundle.config["annotations"] = annotations

    return both


def named_user(bundle: Bundle) -> None:
    (bundle.rootfs / "etc/passwd").write_text("root:x:0:0::/:\nnobody:x:65534:65534::/:\n")
    put(bundle.config, "process.user.uid", "nobody")


def named_group(bundle: Bundle) -> None:
    put(bundle.config, "process.user.additionalGids", [5, "user"])


def hook(kind: str, script: str) -> Change:
    return config(f"hooks.{kind}", [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}])


def bind(destination: str, source: str, *options: str) -> Change:
    return config("mounts.+", mount(destination, "bind", ["bind", *options], source))


TABLE: "list[tuple[str, Change, str, Kind]]" = [
    # situation, what is changed, how the line begins, how engines sort it
    (
        "a script's interpreter is absent",
        program(b"#!/bin/bash\n"),
        "exec /app: no such file or directory: its first line needs /bin/bash, which is not in the container [step ",
        ABSENT,
    ),
    (
        "a script with CR LF",
        program(b"#!/bin/sh\r\necho\r\n"),
        'exec /app: no such file or directory: line 1 ends in CR LF, so the kernel looks for "/bin/sh\\r" [step ',
        ABSENT,
    ),
    (
        "the loader is absent",
        program(elf(NATIVE, b"/lib/ld-musl.so.1")),
        "exec /app: no such file or directory: its loader /lib/ld-musl.so.1 is not in the container [step ",
        ABSENT,
    ),
    (
        "the program is absent",
        config("process.args", ["nope"]),
        'exec: "nope": executable file not found in $PATH (/sbin:/usr/sbin:/bin:/usr/bin) [step ',
        ABSENT,
    ),
    (
        "the program is absent at its path",
        config("process.args", ["/nope"]),
        'exec: "/nope": stat /nope: no such file or directory [step ',
        ABSENT,
    ),
    (
        "the program is a directory",
        config("process.args", ["/bin"]),
        'exec: "/bin": permission denied: it is a directory [step ',
        DENIED,
    ),
    (
        "no x bit",
        program(b"#!/bin/sh\n", 0o644),
        'exec: "/app": permission denied: mode is 0644, needs an x bit [step ',
        DENIED,
    ),
    (
        "the interpreter has no x bit",
        program(b"#!/etc/passwd\n"),
        "exec /app: permission denied: its first line needs /etc/passwd: mode is 0644, needs an x bit [step ",
        DENIED,
    ),
    (
        "a mount without exec",
        lambda bundle: (
            bind("/mnt", str(bundle.rootfs / "bin"), "noexec")(bundle),
            put(bundle.config, "process.args", ["/mnt/busybox"]),
        )[0],
        'exec: "/mnt/busybox": permission denied: its mount is noexec [step ',
        DENIED,
    ),
    (
        "a script without its first line",
        program(b"echo hello\n"),
        'exec /app: exec format error: a text file without "#!" [step ',
        OTHER,
    ),
    (
        "another architecture",
        program(elf(FOREIGN[1])),
        f"exec /app: exec format error: built for {FOREIGN[0]}, this host is {HOST} [step ",
        OTHER,
    ),
    (
        "a component for an engine of modules",
        annotated(program(COMPONENT), **{"run.oci.handler": "wasmedge"}),
        'annotations["run.oci.handler"]: engine wasmedge: /app is a component, which it does not run; build a core ',
        OTHER,
    ),
    (
        "a size in words",
        config("linux.resources.memory", {"limit": "64M"}),
        'linux.resources.memory.limit: expected bytes as a number, got "64M" (= 67108864?)',
        OTHER,
    ),
    (
        "a user's name",
        named_user,
        'process.user.uid: expected an integer from 0 to 4294967294, got "nobody" (65534 in this rootfs)',
        OTHER,
    ),
    (
        "a group's name",
        named_group,
        "process.user.additionalGids[1]: expected an integer from 0 to 4294967294, "
        'got "user" (1000 in this rootfs)',
        OTHER,
    ),
    (
        "a name that nobody has",
        config("process.user.uid", "nemo"),
        'process.user.uid: expected an integer from 0 to 4294967294, got "nemo"',
        OTHER,
    ),
    (
        "an option of other tools",
        bind("/mnt", "/srv", "readonly"),
        'mounts[7].options[1]: "readonly": no such bind option; did you mean "ro"?',
        OTHER,
    ),
    (
        "a bind source that is missing",
        bind("/mnt", "/nope"),
        "mounts[7].source /nope: no such file or directory (on the host) [step ",
        ABSENT,
    ),
    (
        "a file on a directory",
        bind("/tmp", "/etc/hostname"),
        "mounts[7]: not a directory: source is a file, destination /tmp is a folder [step ",
        CROOKED,
    ),
    (
        "a directory on a file",
        bind("/etc/passwd", "/etc"),
        "mounts[7]: not a directory: source is a folder, destination /etc/passwd is a file, or lies below one [step ",
        CROOKED,
    ),
    (
        "a quota below the kernel's minimum",
        config("linux.resources.cpu", {"quota": 10}),
        "linux.resources.cpu.quota: expected at least 1000 microseconds, the kernel's minimum, or -1 for no limit, ",
        OTHER,
    ),
    (
        "a user namespace without maps",
        config("linux.namespaces.+", {"type": "user"}),
        'linux.uidMappings: linux.namespaces has "user" but linux.uidMappings is empty',
        OTHER,
    ),
    (
        "a hook fails",
        config("hooks.createRuntime", [{"path": "/bin/false"}]),
        "error running createRuntime hook #0: exit status 1, stdout: , stderr:  (/bin/false) [step ",
        OTHER,
    ),
    (
        "a hook fails with an engine's words",
        hook("createContainer", "echo Permission denied; cat /no/such; exit 2"),
        "error running createContainer hook #0: exit status 2, stdout: Permission-denied, stderr: cat: ",
        OTHER,
    ),
    (
        "a hook in the container fails with an engine's words",
        hook("startContainer", "echo executable file not found in PATH >&2; exit 2"),
        "error running startContainer hook #0: exit status 2, stdout: , stderr: executable-file not-found in PATH",
        OTHER,
    ),
    (
        "a hook is missing",
        config("hooks.createRuntime", [{"path": "/no/hook"}]),
        "error running createRuntime hook #0: /no/hook: no such file or directory [step ",
        ABSENT,
    ),
    (
        "a rootfs that is missing",
        config("root.path", "nope"),
        "root.path: invalid rootfs: ",
        ABSENT,
    ),
    (
        "a working directory that is a file",
        config("process.cwd", "/etc/passwd"),
        "process.cwd /etc/passwd: not a directory [step ",
        CROOKED,
    ),
    (
        "init dies early",
        hook("createRuntime", KILL_INIT),
        "container init was killed by signal 9 during set-up [step ",
        OTHER,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_table(rt: Runtime, bundle: Bundle, change: Change, words: str, expected: Kind) -> None:
    if "loader" in words and not NATIVE:
        pytest.skip(f"needs a machine whose ELF number is known here, not {HOST}")
    change(bundle)
    text = said(rt.run(bundle, log=True), 255 if words.startswith("exec /") else 1)
    assert text.startswith(words)
    assert kind(text) == expected
    assert rt.containers() == []


EARLY = [row for row in TABLE if row[0] in ("a script's interpreter is absent", "a script with CR LF", "no x bit")]


@pytest.mark.parametrize(("change", "words", "expected"), [row[1:] for row in EARLY], ids=[row[0] for row in EARLY])
def test_create_says_it_and_not_start(rt: Runtime, bundle: Bundle, change: Change, words: str, expected: Kind) -> None:
    change(bundle)
    text = said(rt.create(bundle, id=new_id(), log=True))
    assert text.startswith(words)
    assert kind(text) == expected


def test_what_may_have_a_handler_is_left_to_the_kernel(rt: Runtime, bundle: Bundle) -> None:
    """binfmt_misc may know it, and nobody can see from here whether: so it is said when execve has refused it."""
    program(elf(FOREIGN[1], b"/lib/ld.so"))(bundle)
    name = new_id()
    created = rt.create(bundle, id=name)
    assert created.rc == 0, created
    assert rt("start", name).rc == 0
    rt.wait_for(name, "stopped")
    words = f"exec /app: exec format error: built for {FOREIGN[0]}, this host is {HOST}\n"
    assert created.err == words
    assert rt("delete", name).rc == 0


def test_what_the_root_is_to_be(rt: Runtime, bundle: Bundle) -> None:
    put(bundle.config, "root.path", "nope")
    text = said(rt.run(bundle, log=True))
    assert text.startswith(f"root.path: invalid rootfs: {bundle.path}/nope: no such file or directory; ")
    assert text.endswith("pyruntime spec --busybox makes one")


def test_no_configuration(rt: Runtime, tmp_path: Path) -> None:
    text = said(rt("run", "--bundle", tmp_path, new_id(), log=True))
    words = f"JSON specification file config.json not found in {tmp_path}; make one: pyruntime spec, or name the bundle"
    assert text.startswith(words)
    assert kind(text) == (128, 127, False)  # "not found" is Podman's too, and the text is runc's


def test_a_terminal_and_create(rt: Runtime, bundle: Bundle) -> None:
    put(bundle.config, "process.terminal", True)
    text = said(rt.create(bundle, id=new_id(), log=True))
    words = "process.terminal: cannot allocate tty if runc will detach without setting console socket; "
    assert text.startswith(words + "give --console-socket")
    assert kind(text) == OTHER


def test_an_id_in_use(rt: Runtime, bundle: Bundle) -> None:
    name = new_id()
    bundle.process["args"] = ["sleep", "100"]
    assert rt.create(bundle, id=name).rc == 0
    pid = rt.state(name)["pid"]
    told = f"container with given ID already exists: {name} ({{}}); remove it: pyruntime delete -f {name} [step 1 of "
    text = said(rt.create(bundle, id=name, log=True))
    assert text.startswith(told.format(f"created, pid {pid}"))
    assert kind(text) == OTHER
    assert rt("kill", name, "KILL").rc == 0
    rt.wait_for(name, "stopped")
    assert said(rt.run(bundle, id=name, log=True)).startswith(told.format("stopped"))
    shutil.copy(rt.root / name / "state.json", rt.folder / "state.json")
    (rt.root / name / "state.json").write_text("{")
    text = said(rt.run(bundle, id=name, log=True))
    assert text.startswith(f"container with given ID already exists: {name}; remove it")
    shutil.copy(rt.folder / "state.json", rt.root / name / "state.json")
    assert rt("delete", "--force", name).rc == 0


@pytest.mark.parametrize(
    ("verb", "more", "rc"), [("state", (), 1), ("kill", (), 1), ("delete", (), 1), ("exec", ("true",), 255)]
)
def test_an_unknown_id(rt: Runtime, bundle: Bundle, verb: str, more: "tuple[str, ...]", rc: int) -> None:
    before = "exec failed: " if verb == "exec" else ""
    text = said(rt(verb, "nope", *more, log=True), rc)
    assert text == f"{before}container does not exist: nope in {rt.root}; another --root or user?"
    assert kind(text) == NO_CONTAINER
    name = new_id()
    assert rt.create(bundle, id=name).rc == 0
    assert said(rt(verb, "nope", *more, log=True), rc).endswith(f"or user? known: {name}")
    assert rt("delete", "--force", name).rc == 0


def test_a_container_that_has_stopped_is_gone_for_kill(rt: Runtime, bundle: Bundle) -> None:
    name = new_id()
    assert rt("run", "--bundle", bundle.write().path, "--keep", name).rc == 0
    text = said(rt("kill", name, "TERM", log=True))
    assert text.startswith("container not running")
    assert kind(text) == NO_CONTAINER
    assert rt("delete", name).rc == 0


EXEC = [row for row in TABLE if row[0] in ("a script's interpreter is absent", "no x bit", "another architecture")]


@pytest.mark.parametrize(("change", "words", "expected"), [row[1:] for row in EXEC], ids=[row[0] for row in EXEC])
def test_exec_says_the_same(rt: Runtime, bundle: Bundle, change: Change, words: str, expected: Kind) -> None:
    change(bundle)
    bundle.process["args"] = ["sleep", "100"]
    name = new_id()
    assert rt.create(bundle, id=name).rc == 0
    text = said(rt("exec", name, "/app", log=True), 255)
    assert text.startswith(f"exec failed: {words}")
    assert kind(text) == expected
    assert rt("delete", "--force", name).rc == 0


LIMITS = {"memory": ("memory", {"limit": 1 << 26}), "cpuset": ("cpu", {"cpus": "0"}), "pids": ("pids", {"limit": 9})}


def controllers() -> "list[str]":
    return (Path(leaks.cgroup2_mount()) / "cgroup.controllers").read_text().split()


def test_a_controller_that_is_not_there(rt: Runtime, bundle: Bundle) -> None:
    missing = [name for name in LIMITS if name not in controllers()]
    if not missing:
        pytest.skip(f"needs a cgroup tree without one of the controllers {', '.join(LIMITS)}")
    part, value = LIMITS[missing[0]]
    put(bundle.config, "linux.resources", {part: value})
    text = said(rt.run(bundle, log=True))
    has = " ".join(controllers()) or "none"
    assert f": the {missing[0]} controller is not available in this cgroup tree (has: {has}); " in text
    assert kind(text) == OTHER


def test_a_cpu_that_is_not_there(rt: Runtime, bundle: Bundle) -> None:
    if "cpuset" not in controllers():
        pytest.skip("needs the cpuset controller in the cgroup v2 tree")
    put(bundle.config, "linux.resources.cpu", {"cpus": "9999"})
    text = said(rt.run(bundle, log=True))
    online = Path("/sys/devices/system/cpu/online").read_text().strip()
    assert text.startswith(f"linux.resources.cpu.cpus: this host has CPUs {online}; name some of these (wrote ")
    assert kind(text) == OTHER


def test_too_little_memory_to_start(rt: Runtime, bundle: Bundle) -> None:
    if "memory" not in controllers():
        pytest.skip("needs the memory controller in the cgroup v2 tree")
    put(bundle.config, "linux.resources.memory", {"limit": 1 << 19})
    text = said(rt.run(bundle, log=True))
    assert text.startswith("container init was OOM-killed (memory limit too low?): memory.max is 0.5 MiB, ")
    assert kind(text) == OTHER


def test_a_terminal_is_told_which_step_to_ask_about(rt: Runtime, bundle: Bundle, launcher: Path) -> None:
    """The number is that of the plan that `explain` shows, which `run` does not walk."""
    program(b"#!/bin/bash\n")(bundle)
    bundle.write()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 300, 0, 0))
    words = rt.command("run", "--bundle", bundle.path, new_id())
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, check=False, timeout=60
    )
    os.close(theirs)
    lines = os.read(ours, 65536).decode().splitlines()
    os.close(ours)
    assert done.returncode == 255
    plain = [re.sub(r"\x1b\[\d+m", "", line) for line in lines]
    told = {name: " ".join(line.split(" ", 1)[1].strip() for line in plain if line.startswith(name)) for name in NAMES}
    assert told["error:"] == "exec /app: no such file or directory"
    assert told["why:"].startswith("its first line needs /bin/bash")
    assert re.fullmatch(rf"{bundle.path}/config.json:1  process.args\[0\]  \(FindProgram\)", told["from:"])
    assert told["try:"].startswith(f"pyruntime explain {bundle.path} ")
    explained = subprocess.run([launcher, *told["try:"].split()[1:]], capture_output=True, text=True, check=True)
    assert ": FindProgram, by init" in explained.stdout


@pytest.mark.parametrize("more", [(), ("--log-level", "info"), ("--log-format", "json"), ("--debug",)])
def test_a_pipe_gets_runcs_line_of_a_failed_execve(rt: Runtime, bundle: Bundle, more: "tuple[str, ...]") -> None:
    """The bare one by default; whoever asks for more of the log gets the reason as well."""
    program(b"#!/bin/bash\n")(bundle)
    bundle.write()
    result = rt(*more, "run", "--bundle", str(bundle.path), new_id())
    assert result.rc == 255
    if more:
        assert "its first line needs /bin/bash" in result.err
    else:
        assert result.err == "exec /app: no such file or directory\n"
