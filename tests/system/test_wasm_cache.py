"""What is kept of compiled modules: for whom, against whom, and the verb that lists, warms and prunes it."""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from pyruntime.engine.cache import SYSTEM
from tests.system.harness import Runtime, new_id, wait_until
from tests.system.wasm import Make, wait_until_busy
from tests.system.wasm_cache import annotated, artefacts, hello, large, made
from tests.system.wasm_cache import cache as cache
from tests.system.wat import Program


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
