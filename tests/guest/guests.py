"""The images that the guest's tests run: one of busybox with Wasm beside it, one of Wasm alone, and one for pods."""

from pathlib import Path

from tests.guest.image import pack
from tests.system.harness import ROOT, copy_busybox, make_rootfs

NAME = "docker.io/library/pyruntime-test:1"
WASM = "docker.io/library/pyruntime-wasm:1"
PAUSE = "docker.io/library/pyruntime-pause:1"
HELLO = "hello from WebAssembly\n/hello.wat\n"  # what /hello.wat prints, before its arguments
UNTIL_TERM = "trap 'exit 0' TERM INT; while :; do sleep 100000 & wait; done"  # a first process that heeds SIGTERM

# Says "waiting", then sleeps second by second for ever: a service that is a module.
_WAIT = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "waiting\\n")
  (func (export "_start")
    (i32.store (i32.const 8) (i32.const 64))
    (i32.store (i32.const 12) (i32.const 8))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))
    (i32.store (i32.const 144) (i32.const 1))
    (i64.store (i32.const 152) (i64.const 1000000000))
    (loop $again
      (drop (call $poll (i32.const 128) (i32.const 256) (i32.const 1) (i32.const 300)))
      (br $again))))
"""

# Ends with the number of its arguments, so of one alone with 1.
_COUNT = """
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (call $exit (i32.load (i32.const 0)))))
"""


def put_modules(rootfs: Path) -> None:
    """The modules /hello.wat, /wait.wat and /count.wat."""
    (rootfs / "hello.wat").write_text((ROOT / "examples/bundles/hello-wasm/hello.wat").read_text())
    (rootfs / "wait.wat").write_text(_WAIT)
    (rootfs / "count.wat").write_text(_COUNT)


def make_images(folder: Path) -> "list[Path]":
    """The images as tars in `folder`, which everybody may read afterwards; the one named NAME comes first."""
    rootfs = make_rootfs(folder / "rootfs", copy_busybox(folder))
    put_modules(rootfs)
    pack(rootfs, NAME, folder / "tar")
    pack(rootfs, PAUSE, folder / "pause.tar", "sh", "-c", UNTIL_TERM)
    alone = folder / "alone"
    alone.mkdir()
    put_modules(alone)
    pack(alone, WASM, folder / "wasm.tar", "/hello.wat")
    for each in (folder, folder.parent, folder.parent.parent):
        each.chmod(0o755)
    return [folder / "tar", folder / "wasm.tar", folder / "pause.tar"]
