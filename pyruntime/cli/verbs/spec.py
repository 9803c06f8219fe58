"""`spec`: write a config.json to begin with, or a whole bundle: around a Wasm program, busybox, a folder, an image."""

import posix as os

from pyruntime.cli.context import Context
from pyruntime.cli.defaultspec import document
from pyruntime.errors import Error, UsageError, explain_oserror
from pyruntime.pathtext import absolute
from pyruntime.report.jsonout import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyruntime.cli.defaultspec import Json
    from pyruntime.cli.grammar import Options


def run(context: Context) -> int:
    """spec; --file is relative to the bundle."""
    options = context.options
    name = options.text("file") or "config.json"
    bundle = absolute(options.text("bundle") or ".")
    if any(options.given(flag) for flag in _WHOLE) or context.arguments:
        _whole(context, bundle, name)
        return 0
    _write(absolute(name, bundle), name, _text(document(options.flag("rootless"))))
    return 0


_ROOTS = ("wasm", "busybox", "rootfs", "oci-layout")
_WHOLE = (*_ROOTS, "memory", "cpus", "pids", "set")


def _whole(context: Context, bundle: str, name: str) -> None:
    """A document with what the flags ask for, and the root file system that goes with it. Raises Error."""
    from pyruntime.cli import specparts  # engines want the bare document only

    options, words = context.options, context.arguments
    roots = [flag for flag in _ROOTS if options.given(flag)]
    if len(roots) > 1:
        raise UsageError(f"spec: --{roots[0]} and --{roots[1]} each make a root file system; give one of them")

    def finish(found: "Json") -> bytes:
        specparts.limits(found, options)
        specparts.settings(found, options.many("set"))
        specparts.demand_sound(found)
        return _text(found)

    module = options.text("wasm")
    if module is not None:
        _wasm(absolute(module), bundle, name, words, options.flag("rootless"), finish)
    else:
        _linux(options, bundle, name, words, finish)


def _linux(options: "Options", folder: str, name: str, words: "list[str]", finish: "Callable[[Json], bytes]") -> None:
    from pyruntime.cli import rootfiles, specparts

    found, made = document(options.flag("rootless")), rootfiles.Made()
    layout, given = options.text("oci-layout"), options.text("rootfs")
    try:
        made.folder(folder)
        if given is not None:
            found["root"]["path"] = absolute(given)
        if options.flag("busybox"):
            rootfiles.busybox(made, f"{folder}/rootfs")
        elif layout is not None:
            from pyruntime.cli import ocilayout

            made.tree(f"{folder}/rootfs")
            image = ocilayout.unpack(absolute(layout), f"{folder}/rootfs")
            ocilayout.settle(found, image, f"{folder}/rootfs")
        specparts.program(found, words)
        _write(absolute(name, folder), name, finish(found))
    except BaseException:  # an interrupt, or no memory, as well: half a bundle is worth nothing
        made.undo()
        raise


def _wasm(
    module: str, folder: str, name: str, arguments: "list[str]", rootless: bool, finish: "Callable[[Json], bytes]"
) -> None:
    """Make the bundle, whole or not at all. Raises Error."""
    from pyruntime.cli import wasmspec  # few callers want one

    bundle = wasmspec.Bundle(folder)
    try:
        program = bundle.place(module)
        _write(absolute(name, folder), name, finish(wasmspec.document(program, arguments, rootless)))
    except BaseException:
        bundle.undo()
        raise


def _text(document: "Json") -> bytes:
    return dumps(document, indent="\t").encode()


def _write(path: str, name: str, data: bytes) -> None:
    """Make the file, whole or not at all. Raises Error, also when it is there."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        raise Error(f"File {name} exists. Remove it first") from None
    except OSError as error:
        raise Error(f"cannot make {explain_oserror(error)}") from None
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError as error:
        os.unlink(path)
        raise Error(f"cannot write {path}: {explain_oserror(error)}") from None
    finally:
        os.close(fd)
