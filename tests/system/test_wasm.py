"""Wasm containers from the outside: which are, what they may use, and what is said otherwise."""

import os
import select
import time
from pathlib import Path

import pytest

from tests.system.harness import Result, Runtime, mount, new_id
from tests.system.wasm import Make, wait_until_busy
from tests.system.wasm_cache import annotated, artefacts, hello, large, made
from tests.system.wasm_cache import cache as cache
from tests.system.wat import Program

HANDLER, VARIANT = "run.oci.handler", "module.wasm.image/variant"
MANY = """(module (memory (export "memory") 1)
  (func $inner unreachable) (func $outer (export "other") (call $inner)) (func (export "_start")))"""


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


def test_engines_are_told(rt: Runtime) -> None:
    out = rt("wasm", "engines").out
    assert out.startswith("wasmtime\n    version    ")
    assert rt("wasm", "engines", "--json").out.startswith('[{"name":"wasmtime","version":"')


@pytest.mark.parametrize("words", [(), ("cache",), ("cache", "warm"), ("engines", "more"), ("cache", "list", "x")])
def test_other_words_are_refused(rt: Runtime, words: "tuple[str, ...]") -> None:
    result = rt("wasm", *words)
    assert result.rc == 1
    assert "Traceback" not in result.err
