"""Wasm containers from the outside: which are, what is kept of them, what they may use, and what is said otherwise."""

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pyruntime.engine.cache import SYSTEM
from tests.system.harness import Bundle, Result, Runtime, mount, new_id, wait_until
from tests.system.wasm import Make, answers, put, wait_until_busy
from tests.system.wat import Program

HANDLER, VARIANT = "run.oci.handler", "module.wasm.image/variant"
MANY = """(module (memory (export "memory") 1)
  (func $inner unreachable) (func $outer (export "other") (call $inner)) (func (export "_start")))"""


@pytest.fixture(autouse=True)
def cache(own_mounts: None, rt: Runtime, tmp_path: Path) -> "Iterator[Path]":
    """A cache of the test's own, in its mount namespace; and an engine."""
    if "wasmtime" not in answers():
        pytest.skip("needs wasmtime (docs/how-to/run-wasm.md says where it is looked for)")
    folder = Path(SYSTEM)
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder.parent], check=True)
    yield folder
    subprocess.run(["umount", folder.parent], check=True)


def hello(text: str = "hello\n") -> Program:
    return Program().print(text)


def made(make: Make, program: "Program | str | bytes", *arguments: str, path: str = "guest.wasm") -> Bundle:
    bundle = make(f"/{path}", *arguments)
    (bundle.rootfs / path).parent.mkdir(parents=True, exist_ok=True)
    put(bundle, path, program)
    return bundle


def annotated(bundle: Bundle, **values: str) -> Bundle:
    bundle.config["annotations"] = {f"pyruntime.wasm.{name}": value for name, value in values.items()}
    return bundle


def artefacts(cache: Path) -> "list[Path]":
    return sorted(path for path in cache.iterdir() if len(path.name) == 64) if cache.is_dir() else []


def said(result: Result) -> str:
    """The error, without what a log line escapes."""
    return result.err.replace('\\"', '"')


# Which containers are Wasm


def test_content_is_enough(rt: Runtime, make: Make) -> None:
    bundle = made(make, hello(), path="program")
    (bundle.rootfs / "program").chmod(0o644)
    assert (rt.run(bundle).rc, rt.run(bundle).out) == (0, "hello\n")


@pytest.mark.parametrize("handler", ["wasm-smart", "wasmtime-smart"])
def test_a_native_program_beside_it_stays_native(rt: Runtime, make: Make, handler: str) -> None:
    bundle = make("echo", "native")
    bundle.config["annotations"] = {HANDLER: handler}
    assert rt.run(bundle).out == "native\n"


@pytest.mark.parametrize("mark", ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"])
def test_the_pause_container_of_a_pod_stays_native(rt: Runtime, make: Make, mark: str) -> None:
    bundle = make("echo", "native")
    bundle.config["annotations"] = {HANDLER: "wasm", mark: "sandbox"}
    assert rt.run(bundle).out == "native\n"


@pytest.mark.parametrize("annotation", [(HANDLER, "wasm"), (HANDLER, "wasmtime"), (VARIANT, "compat")])
def test_a_native_program_where_a_module_was_asked_for(rt: Runtime, make: Make, annotation: "tuple[str, str]") -> None:
    bundle = make("echo", "native")
    bundle.config["annotations"] = dict([annotation])
    result = rt.run(bundle)
    assert result.rc == 1
    assert "is a native program, but annotations" in result.err
    assert "use its -smart form" in result.err


@pytest.mark.parametrize(
    ("env", "cwd", "program"),
    [("PATH=/opt/none:/opt/tools", "/", "tool.wasm"), ("PATH=/bin", "/opt/tools", "tool.wasm"),
     ("A=", "/opt", "tools/tool.wasm")],
)  # fmt: skip
def test_it_is_searched_as_a_program_is(rt: Runtime, make: Make, env: str, cwd: str, program: str) -> None:
    bundle = made(make, hello(), path="opt/tools/tool.wasm")
    bundle.process.update(args=[program], env=[env], cwd=cwd)
    assert rt.run(bundle).out == "hello\n"


@pytest.mark.parametrize("whole", [True, False])
def test_a_module_on_a_bind_mount(rt: Runtime, make: Make, tmp_path: Path, whole: bool) -> None:
    bundle = make("/app/guest.wasm")
    (tmp_path / "host").mkdir()
    (tmp_path / "host/guest.wasm").write_text(hello().text())
    where, source = ("/app", tmp_path / "host") if whole else ("/app/guest.wasm", tmp_path / "host/guest.wasm")
    bundle.config["mounts"].append(mount(where, "bind", ["bind", "ro"], str(source)))
    assert rt.run(bundle).out == "hello\n"


def test_a_symlink_to_a_bind_mount(rt: Runtime, make: Make, tmp_path: Path) -> None:
    bundle = make("/app/guest.wasm")
    (bundle.rootfs / "app").symlink_to("data/modules")
    (tmp_path / "host/modules").mkdir(parents=True)
    (tmp_path / "host/modules/guest.wasm").write_text(hello().text())
    bundle.config["mounts"].append(mount("/data", "bind", ["bind"], str(tmp_path / "host")))
    assert rt.run(bundle).out == "hello\n"


def test_a_wrong_guess_about_mounts_is_an_error(rt: Runtime, make: Make, tmp_path: Path) -> None:
    """The mount's destination is a symlink, so it lies where nothing said it would: over the module."""
    bundle = made(make, hello("of the rootfs\n"), path="app/guest.wasm")
    (bundle.rootfs / "link").symlink_to("app")
    (tmp_path / "host").mkdir()
    (tmp_path / "host/guest.wasm").write_text(hello("of the mount\n").text())
    bundle.config["mounts"].append(mount("/link", "bind", ["bind"], str(tmp_path / "host")))
    result = rt.run(bundle)
    assert (result.rc, result.out) == (1, "")
    assert "process.args[0]: /app/guest.wasm was found from outside" in result.err
    (tmp_path / "host/guest.wasm").unlink()
    assert "is not there any more" in rt.run(bundle).err


def test_a_module_that_was_not_found_from_outside_is_told(rt: Runtime, make: Make, tmp_path: Path) -> None:
    bundle = make("/app/guest.wasm")
    (bundle.rootfs / "app").mkdir()
    (bundle.rootfs / "link").symlink_to("app")
    (tmp_path / "host").mkdir()
    put_binary(tmp_path / "host/guest.wasm")
    bundle.config["mounts"].append(mount("/link", "bind", ["bind"], str(tmp_path / "host")))
    result = rt.run(bundle)
    assert result.rc == 1
    assert "it is WebAssembly, which was not found there from outside the container; name it by" in said(result)


def put_binary(file: Path) -> None:
    file.write_bytes(b"\0asm\1\0\0\0")


def test_the_same_bytes_in_another_file_are_no_error(rt: Runtime, make: Make, tmp_path: Path) -> None:
    bundle = made(make, hello(), path="app/guest.wasm")
    (bundle.rootfs / "link").symlink_to("app")
    (tmp_path / "host").mkdir()
    (tmp_path / "host/guest.wasm").write_text(hello().text())
    bundle.config["mounts"].append(mount("/link", "bind", ["bind"], str(tmp_path / "host")))
    assert rt.run(bundle).out == "hello\n"


def test_a_missing_module_is_told_as_a_missing_program(rt: Runtime, make: Make) -> None:
    bundle = make("/app/guest.wasm")
    bundle.config["annotations"] = {HANDLER: "wasm"}
    assert 'exec: "/app/guest.wasm": no such file or directory' in said(rt.run(bundle))


# What is called, and how it ends


def test_another_function(rt: Runtime, make: Make) -> None:
    bundle = made(make, MANY)
    assert rt.run(bundle).rc == 0
    bundle.process["args"] = ["/guest.wasm#other"]
    result = rt.run(bundle)
    assert result.rc == 134
    assert result.err.splitlines()[0] == "wasm trap: unreachable"
    assert [line.split()[:2] for line in result.err.splitlines()[1:]] == [["at", "inner"], ["at", "outer"]]
    bundle.process["args"] = ["/guest.wasm#absent"]
    result = rt.run(bundle)
    assert result.rc == 1
    assert "it exports no function absent, but other, _start; name one of them, as PATH#NAME" in result.err


def test_the_function_is_not_among_the_arguments(rt: Runtime, make: Make) -> None:
    bundle = made(make, Program(function="other").strings("args"))
    bundle.process["args"] = ["/guest.wasm#other", "a#b"]
    assert rt.run(bundle).out == "/guest.wasm\0a#b\0"


def test_a_file_whose_name_has_a_number_sign(rt: Runtime, make: Make) -> None:
    bundle = made(make, hello(), path="guest#other")
    assert rt.run(bundle).out == "hello\n"


@pytest.mark.parametrize("status", [0, 1, 2, 42, 100, 125, 126, 127, 128, 134, 137, 143, 200, 254, 255])
def test_exit_statuses(rt: Runtime, make: Make, status: int) -> None:
    assert rt.run(made(make, Program().exit(status))).rc == status


def test_sigterm_ends_a_module_that_loops_as_pid_1(rt: Runtime, make: Make) -> None:
    bundle, name = made(make, Program().loop()), new_id()
    assert rt.create(bundle, id=name).rc == 0
    assert rt("start", name).rc == 0
    pid = rt.state(name)["pid"]
    wait_until_busy(pid)
    pidfd = os.pidfd_open(pid)
    began = time.monotonic()
    assert rt("kill", name, "TERM").rc == 0
    assert select.select([pidfd], [], [], 10)[0]
    assert time.monotonic() - began < 5  # the command and a busy machine; the signal itself takes a millisecond
    os.close(pidfd)
    rt.wait_for(name, "stopped")
    assert rt("delete", name).rc == 0


def test_sigterm_takes_less_than_50_ms(rt: Runtime, make: Make) -> None:
    """The median of some, from kill(2) to the end of the process, which may have to wait for a CPU."""
    bundle, taken = made(make, Program().loop()), []
    for _ in range(5):
        name = new_id()
        assert rt.run(bundle, "--detach", id=name).rc == 0
        pid = rt.state(name)["pid"]
        wait_until_busy(pid)
        pidfd = os.pidfd_open(pid)
        began = time.monotonic()
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        assert select.select([pidfd], [], [], 10)[0]
        taken.append(time.monotonic() - began)
        os.close(pidfd)
        rt.wait_for(name, "stopped")
        assert rt("delete", name).rc == 0
    assert sorted(taken)[2] < 0.05, taken


# Limits


def test_fuel(rt: Runtime, make: Make) -> None:
    result = rt.run(annotated(made(make, Program().loop()), fuel="1000000"))
    assert (result.rc, result.err.splitlines()[0]) == (134, "wasm trap: out of fuel")


def test_time(rt: Runtime, make: Make) -> None:
    result = rt.run(annotated(made(make, Program().loop()), timeout="0.5"))
    assert (result.rc, result.err.splitlines()[0]) == (134, "wasm trap: interrupted")


def grow(pages: int) -> Program:
    return Program(pages=1).say("grown", f"(memory.grow (i32.const {pages}))")


def test_memory_by_annotation(rt: Runtime, make: Make) -> None:
    assert rt.run(annotated(made(make, grow(15)), memory="1MiB")).out == "grown 1\n"
    assert rt.run(annotated(made(make, grow(16)), memory="1MiB")).out == "grown 4294967295\n"


@pytest.mark.parametrize(
    ("name", "value"), [("fuel", "lots"), ("timeout", "1h"), ("memory", "1KB"), ("feul", "1"), ("memory", "1KiB")]
)
def test_a_bad_annotation_is_refused_before_anything_is_made(
    rt: Runtime, make: Make, cache: Path, name: str, value: str
) -> None:
    result = rt.run(annotated(made(make, hello()), **{name: value}))
    assert result.rc == 1
    assert f'annotations["pyruntime.wasm.{name}"]' in said(result)
    assert artefacts(cache) == []


def controllers() -> str:
    return (
        Path("/sys/fs/cgroup/cgroup.controllers").read_text()
        if Path("/sys/fs/cgroup/cgroup.controllers").exists()
        else ""
    )


needs_memory = pytest.mark.skipif(
    "memory" not in controllers(), reason="needs the memory controller in the cgroup v2 tree"
)


@needs_memory
def test_memory_of_the_container_bounds_the_guests(rt: Runtime, make: Make) -> None:
    bundle = made(make, grow(1024))
    bundle.linux["resources"] = {"memory": {"limit": 64 << 20}}
    assert rt.run(bundle).out == "grown 4294967295\n"
    bundle = made(make, grow(1022))
    bundle.linux["resources"] = {"memory": {"limit": 64 << 20}}
    assert rt.run(bundle).out == "grown 1\n"


def large(functions: int) -> str:
    """A module whose compilation takes more memory than it has bytes, several times."""
    stores = "".join(
        f"(i32.store (i32.const {4 * j}) (i32.mul (i32.load (i32.const {4 * j + 4})) (local.get 0)))" for j in range(40)
    )
    bodies = "".join(f"(func $f{index} (param i32) {stores})" for index in range(functions))
    calls = "".join(f"(call $f{index} (i32.const {index}))" for index in range(functions))
    return f'(module (memory (export "memory") 1) {bodies} (func (export "_start") {calls}))'


@needs_memory
def test_a_large_module_in_little_memory(rt: Runtime, make: Make) -> None:
    """Compiling takes some hundred MiB, running some: they are not the container's to pay for."""
    bundle = made(make, large(2000))
    bundle.linux["resources"] = {"memory": {"limit": 32 << 20, "swap": 32 << 20}}
    assert rt.run(bundle, timeout=120).rc == 0


def test_a_small_address_space(rt: Runtime, make: Make) -> None:
    bundle = made(make, hello())
    bundle.process["rlimits"] = [{"type": "RLIMIT_AS", "soft": 1 << 30, "hard": 1 << 30}]
    assert rt.run(bundle).out == "hello\n"


# What is kept


def test_the_second_container_does_not_compile(rt: Runtime, make: Make, cache: Path) -> None:
    bundle = made(make, hello())
    assert rt.run(bundle).out == "hello\n"
    (first,) = artefacts(cache)
    before = first.stat()
    assert rt.run(bundle).out == "hello\n"
    assert artefacts(cache) == [first]
    assert (first.stat().st_ino, first.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert cache.stat().st_mode & 0o7777 == 0o700


def test_a_corrupted_artefact_is_made_anew(rt: Runtime, make: Make, cache: Path) -> None:
    bundle = made(make, hello())
    rt.run(bundle)
    (first,) = artefacts(cache)
    good = first.read_bytes()
    for bad in (b"", good[:-1], bytes(len(good)), good[:2000] + b"\xcc" + good[2001:]):
        first.write_bytes(bad)
        assert rt.run(bundle).out == "hello\n"
        assert first.read_bytes() == good


def test_an_artefact_of_somebody_else_is_made_anew(rt: Runtime, make: Make, cache: Path) -> None:
    bundle = made(make, hello())
    rt.run(bundle)
    (first,) = artefacts(cache)
    for spoil in (lambda: os.chown(first, 1000, 1000), lambda: first.chmod(0o666)):
        spoil()
        assert rt.run(bundle).out == "hello\n"
        assert (first.stat().st_uid, first.stat().st_mode & 0o777) == (0, 0o600)


@pytest.mark.parametrize("way", ["link", "file", "foreign", "read-only", "noexec"])
def test_a_cache_that_cannot_be_used_costs_time_only(rt: Runtime, make: Make, cache: Path, way: str) -> None:
    if way == "link":
        cache.symlink_to("/tmp")
    elif way == "file":
        cache.write_text("")
    elif way == "foreign":
        cache.mkdir(mode=0o700)
        os.chown(cache, 1000, 1000)
    else:
        option = "ro" if way == "read-only" else "noexec"
        subprocess.run(["mount", "-o", f"remount,{option}", cache.parent], check=True)
    bundle = made(make, hello())
    for _ in range(2):
        assert rt.run(bundle).out == "hello\n"
    assert bool(artefacts(cache)) == (way == "noexec")


def test_many_containers_of_one_module_at_once(rt: Runtime, make: Make, cache: Path) -> None:
    bundle = made(make, hello())
    bundle.write()
    results: "list[tuple[int, str, str]]" = []

    def run() -> None:
        result = rt.run(bundle)
        results.append((result.rc, result.out, result.err))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(0, "hello\n", "")] * 8
    assert len(artefacts(cache)) == 1
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]


def test_nothing_of_the_cache_is_open_in_a_container(rt: Runtime, make: Make, cache: Path) -> None:
    bundle, name = made(make, Program().loop()), new_id()
    for _ in range(2):  # compiled, and found
        assert rt.create(bundle, id=name).rc == 0
        pid = rt.state(name)["pid"]
        assert not [link for link in _descriptors(pid) if str(cache) in link]
        rt("start", name)
        wait_until_busy(pid)
        assert not [link for link in _descriptors(pid) if str(cache) in link or "memfd" in link]
        assert rt("delete", "--force", name).rc == 0


def _descriptors(pid: int) -> "list[str]":
    return [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]


def test_a_guest_does_not_see_the_cache(rt: Runtime, make: Make, cache: Path) -> None:
    bundle = made(make, Program().cat(SYSTEM.lstrip("/")))
    rt.run(bundle)
    assert artefacts(cache)
    assert rt.run(bundle).out == "errno 44\n"  # ENOENT


def test_create_interrupted_while_it_compiles_leaves_nothing(rt: Runtime, make: Make, cache: Path) -> None:
    bundle, name = made(make, large(4000)), new_id()
    bundle.write()
    command = rt.command("create", "--bundle", bundle.path, name)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: _children(process.pid), "it compiles")
        (child,) = _children(process.pid)
        assert _cgroup(child) == _cgroup(os.getpid())  # what it takes is not the container's to pay for
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143
    assert rt.containers() == []
    assert artefacts(cache) == []


def test_the_compiler_ends_with_a_killed_command(rt: Runtime, make: Make) -> None:
    bundle, name = made(make, large(4000)), new_id()
    bundle.write()
    command = rt.command("create", "--bundle", bundle.path, name)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_until(lambda: _children(process.pid), "it compiles")
        (child,) = _children(process.pid)
        wait_until(lambda: "\nUid:\t65534" in Path(f"/proc/{child}/status").read_text(), "it is nobody's")
        process.kill()
    wait_until(lambda: not Path(f"/proc/{child}").exists() or _state(child) == "Z", "the compiler ends")
    assert rt("delete", "--force", name).rc == 0


def _children(pid: int) -> "list[int]":
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cgroup(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# The verb


def test_the_cache_is_listed_warmed_and_pruned(rt: Runtime, make: Make, cache: Path) -> None:
    bundle = made(make, hello())
    module = bundle.rootfs / "guest.wasm"
    assert rt("wasm", "cache", "list").out.split() == ["KEY", "BYTES", "ENGINE", "LAST", "USED", "PROGRAM"]
    assert f"{module}: compiled, " in rt("wasm", "cache", "warm", module).out
    assert f"{module}: was there, " in rt("wasm", "cache", "warm", module).out
    (first,) = artefacts(cache)
    before = first.stat()
    assert rt.run(bundle).out == "hello\n"
    assert artefacts(cache) == [first]
    assert (first.stat().st_ino, first.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert str(module) in rt("wasm", "cache", "list").out
    assert rt("wasm", "cache", "prune").out == ""
    assert rt("wasm", "cache", "prune", "--size", "0").out.startswith(first.name[:12])
    assert artefacts(cache) == []


def test_warm_with_annotations_is_for_containers_that_have_them(rt: Runtime, make: Make, cache: Path) -> None:
    bundle = annotated(made(make, hello()), fuel="1000000")
    bundle.write()
    assert rt("wasm", "cache", "warm", "--annotation", "pyruntime.wasm.fuel=5", bundle.rootfs / "guest.wasm").rc == 0
    (first,) = artefacts(cache)
    assert rt.run(bundle).out == "hello\n"
    assert artefacts(cache) == [first]


def test_warm_tells_what_it_could_not_keep(rt: Runtime, make: Make, cache: Path) -> None:
    module = made(make, hello()).rootfs / "guest.wasm"
    subprocess.run(["mount", "-o", "remount,size=64k", cache.parent], check=True)
    with suppress(OSError), (cache.parent / "all of it").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    result = rt("wasm", "cache", "warm", module)
    assert result.rc == 1
    assert f"{module}: compiled and not kept: cache of Wasm modules: {cache}: " in result.err
    assert "no space left on device" in result.err.lower()


def test_warm_tells_what_is_wrong(rt: Runtime, make: Make, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\0asm\1\0\0\0nonsense")
    for words, told in (
        ((tmp_path / "absent",), "no such file or directory"),
        ((Path("/bin/true"),), "expected a WebAssembly program"),
        ((tmp_path / "bad",), "not a valid Wasm module"),
        (("--annotation", "fuel", tmp_path / "bad"), "expected NAME=VALUE"),
        (("--annotation", "pyruntime.wasm.fuel=x", tmp_path / "bad"), "expected a number of instructions"),
    ):
        result = rt("wasm", "cache", "warm", *words)
        assert result.rc == 1
        assert told in result.err
        assert "Traceback" not in result.err


def test_engines_are_told(rt: Runtime) -> None:
    out = rt("wasm", "engines").out
    assert out.startswith("wasmtime\n    version    ")
    assert rt("wasm", "engines", "--json").out.startswith('[{"name":"wasmtime","version":"')


@pytest.mark.parametrize("words", [(), ("cache",), ("cache", "warm"), ("engines", "more"), ("cache", "list", "x")])
def test_other_words_are_refused(rt: Runtime, words: "tuple[str, ...]") -> None:
    result = rt("wasm", *words)
    assert result.rc == 1
    assert "Traceback" not in result.err
