"""The host's Python behind /proc/PID/exe: who sees our process from inside can't write it, by whatever way.

The command runs by a copy of the interpreter here, so that a write that does get through harms nobody.
"""

import fcntl
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.harness import PATIENCE, ROOT, Bundle, Runtime, mount, new_id, wait_until

STRACE = shutil.which("strace")
PYTHON = Path("/usr/bin/python3").resolve()
F_GET_SEALS, F_SEAL_WRITE = 1034, 8
SYSTEM = [folder for folder in ("/usr", "/lib", "/lib64") if Path(folder).is_dir()]


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """A copy of the host's Python."""
    copy = tmp_path / "python3"
    shutil.copy(PYTHON, copy)
    return copy


@pytest.fixture
def rt(interpreter: Path, tmp_path: Path) -> Runtime:
    """pyruntime of this tree, run by that copy."""
    (tmp_path / "tree/bin").mkdir(parents=True)
    (tmp_path / "tree/pyruntime").symlink_to(ROOT / "pyruntime")
    launcher = tmp_path / "tree/bin/pyruntime"
    lines = (ROOT / "bin/pyruntime").read_text().partition("\n")[2]
    launcher.write_text(f"#!{interpreter} -IBSXutf8\n{lines}")
    launcher.chmod(0o755)
    return Runtime(launcher, tmp_path / "rt")


def writable(fd: int) -> str:
    """What a write through this descriptor, opened anew, is answered."""
    try:
        again = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
    except OSError as error:
        return error.strerror
    os.close(again)
    return "open"


def protected(fd: int) -> bool:
    try:
        if fcntl.fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE:
            return True
    except OSError:
        pass
    return bool(os.fstatvfs(fd).f_flag & os.ST_RDONLY)


def pid_of(rt: Runtime, name: str) -> int:
    return int(rt.state(name)["pid"])


def test_a_waiting_inits_executable_is_kept_and_written_to_in_vain(
    rt: Runtime, bundle: Bundle, interpreter: Path
) -> None:
    name, before = new_id(), interpreter.read_bytes()
    assert rt.create(bundle, id=name).rc == 0
    held = os.open(f"/proc/{pid_of(rt, name)}/exe", os.O_PATH)
    read = os.open(f"/proc/{pid_of(rt, name)}/exe", os.O_RDONLY)
    try:
        assert protected(read)
        assert rt("delete", "--force", name).rc == 0
        os.close(read)
        assert writable(held) == "Read-only file system"  # nobody executes it any more: this is not ETXTBSY
        assert interpreter.read_bytes() == before
    finally:
        os.close(held)
    with interpreter.open("r+b"):
        pass  # but for the protection it could be written


def with_the_hosts_libraries(bundle: Bundle) -> Bundle:
    """A container in which the interpreter of the host finds all it needs to run."""
    for folder in SYSTEM:
        (bundle.rootfs / folder[1:]).mkdir(exist_ok=True)
        bundle.config["mounts"].append(mount(folder, "bind", ["bind", "ro"], folder))
    bundle.process["env"].append("LD_LIBRARY_PATH=/usr/lib")
    return bundle


ATTACK = (
    "import os; held = os.open('/proc/self/exe', os.O_PATH); os.set_inheritable(held, True); "
    "link = f'/proc/$$/fd/{held}'; "
    "os.execv('/bin/sh', ['sh', '-c', f'sleep 1; readlink {link}; echo x >> {link}; echo tried'])"
)


@pytest.mark.parametrize("entry", ["argument", "link", "script", "linker"])
def test_an_entry_point_that_names_our_executable(rt: Runtime, make: "Callable[..., Bundle]", entry: str) -> None:
    """The image's way to get the runtime's executable started inside, with the image's libraries and arguments."""
    bundle = with_the_hosts_libraries(make())
    program = bundle.rootfs / "entry"
    if entry == "link":
        program.symlink_to("/proc/self/exe")
    elif entry == "script":
        program.write_text(f"#!/proc/self/exe -IS\n{ATTACK}\n")
    elif entry == "linker":
        program.write_bytes(naming_as_linker("/proc/self/exe"))
    if program.exists() and not program.is_symlink():
        program.chmod(0o755)
    arguments = ["-IS", "-c", ATTACK] if entry in ("argument", "link") else []
    bundle.process["args"] = ["/proc/self/exe" if entry == "argument" else "/entry", *arguments]
    name = new_id()
    result = rt.run(bundle, "--detach", id=name)
    try:  # no command of ours may run meanwhile: it would keep the file busy
        if entry != "linker":
            wait_until(lambda: result.out.endswith("tried\n"), "the program has tried")
        wait_until(lambda: rt.status(name) == "stopped", "the program has ended")
    finally:
        rt("delete", "--force", name)
    if entry == "linker":
        assert "tried" not in result.out  # the kernel starts it without the arguments, or not at all
        return
    assert result.out == "/\ntried\n", result
    assert "Read-only file system" in result.err


UNLOCK = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
held = os.open('/proc/self/exe', os.O_PATH)
writable = (ctypes.c_uint64 * 4)(0, 1, 0, 0)  # MOUNT_ATTR_RDONLY is to be cleared
for name, call in (
    ('mount_setattr', lambda: libc.syscall(442, held, b'', 0x1000, writable, 32)),
    ('remount', lambda: libc.mount(None, b'/proc/self/fd/%d' % held, None, 0x1000 | 0x20, None)),
    ('open_tree', lambda: libc.syscall(428, held, b'', 0x1000 | 1)),
    ('bind', lambda: libc.mount(b'/proc/self/fd/%d' % held, b'/tmp', None, 0x1000, None)),
):
    print(name, call(), os.strerror(ctypes.get_errno()))
"""


@pytest.mark.parametrize("user", [False, True])
def test_its_mount_is_not_made_writable(rt: Runtime, make: "Callable[..., Bundle]", user: bool) -> None:
    """By a root of the container that may mount, and to whom, by the id map, our executable belongs."""
    bundle = with_the_hosts_libraries(make())
    bundle.process["args"] = ["/proc/self/exe", "-IS", "-c", UNLOCK]
    bundle.process["capabilities"] = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
    if user:
        bundle.user_namespace(first=0)
    result = rt.run(bundle)
    assert result.out.splitlines() == [
        f"{name} -1 Invalid argument" for name in ("mount_setattr", "remount", "open_tree", "bind")
    ], result


def naming_as_linker(path: str) -> bytes:
    """A program of this machine's kind whose PT_INTERP is `path`: the interpreter's own, with that one name changed."""
    data = bytearray(PYTHON.read_bytes())
    for linker in (b"/lib64/ld-linux-x86-64.so.2\0", b"/lib/ld-linux-aarch64.so.1\0"):
        at = data.find(linker)
        if at >= 0:
            data[at : at + len(linker)] = path.encode().ljust(len(linker), b"\0")
    return bytes(data)


def under_strace(rt: Runtime, tmp_path: Path, verb: str, faults: "list[str]", *words: object) -> "tuple[int, str]":
    """(exit status, stderr) of a command some of whose calls fail."""
    inject = [word for fault in faults for word in ("-e", f"inject={fault}")]
    command = [str(STRACE), "-qq", "-o", "/dev/null", *inject, *rt.command(verb, *words)]
    with (tmp_path / "err").open("wb") as err:  # a created container would hold a pipe open
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=err, stderr=err, check=False, timeout=60 * PATIENCE
        )
    return done.returncode, (tmp_path / "err").read_text()


NO_MOUNT = ["open_tree:error=ENOSYS:when=1"]
NO_ATTRIBUTES = ["mount_setattr:error=EPERM:when=1"]
NO_MEMFD = ["memfd_create:error=ENOSYS"]
NO_LINK = ["prctl:error=EPERM:when=1"]
ODD = {"mount": NO_MOUNT, "attributes": NO_ATTRIBUTES, "link": NO_LINK, "memfd": NO_MEMFD}


@pytest.mark.skipif(STRACE is None, reason="needs strace, to make system calls fail")
@pytest.mark.parametrize("missing", ODD)
def test_another_way_where_one_is_missing(rt: Runtime, bundle: Bundle, tmp_path: Path, missing: str) -> None:
    name = new_id()
    bundle.write()
    status, said = under_strace(rt, tmp_path, "create", ODD[missing], "--bundle", bundle.path, name)
    assert status == 0, said
    read = os.open(f"/proc/{pid_of(rt, name)}/exe", os.O_RDONLY)
    try:
        assert protected(read)
        assert rt("start", name).rc == 0
    finally:
        os.close(read)
        rt("delete", "--force", name)


@pytest.mark.skipif(STRACE is None, reason="needs strace, to make system calls fail")
@pytest.mark.parametrize("ways", [[*NO_MOUNT, *NO_MEMFD], [*NO_ATTRIBUTES, *NO_MEMFD], [*NO_LINK, *NO_MEMFD]])
@pytest.mark.parametrize("verb", ["create", "run", "exec"])
def test_nothing_starts_where_there_is_no_way(
    rt: Runtime, bundle: Bundle, tmp_path: Path, ways: "list[str]", verb: str
) -> None:
    name = new_id()
    bundle.sh("echo started")
    if verb == "exec":
        bundle.process["args"] = ["sleep", "60"]
        assert rt.run(bundle, "--detach", id=name).rc == 0
        words: "list[object]" = [name, "echo", "started"]
    else:
        words = ["--bundle", bundle.write().path, name]
    try:
        status, said = under_strace(rt, tmp_path, verb, ways, *words)
    finally:
        rt("delete", "--force", name)
    assert status == (255 if verb == "exec" else 1)
    assert "can't keep /proc/self/exe from being written by a container" in said
    assert "started" not in said


def test_the_program_is_not_made_unwritable(rt: Runtime, bundle: Bundle) -> None:
    """What is put behind our link is not put behind the program's: that is the container's own file."""
    bundle.sh("readlink /proc/self/exe")
    assert rt.run(bundle).out == "/bin/busybox\n"
    assert stat.S_ISREG((bundle.rootfs / "bin/busybox").stat().st_mode)
