"""`spec`: write a config.json to begin with, or a whole bundle: around a Wasm program, busybox, a folder, an image."""

from pyruntime.cli.context import Context
from pyruntime.cli.defaultspec import document
from pyruntime.cli.made import Made, new_file
from pyruntime.errors import UsageError
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
    new_file(absolute(name, bundle), name, (_text(document(options.flag("rootless"))),))
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
        if options.given("set"):
            _warn(context, found)
        return _text(found)

    module, made = options.text("wasm"), Made()
    try:
        if module is not None:
            from pyruntime.cli import wasmspec

            program = wasmspec.place(made, absolute(module), bundle)
            content = finish(wasmspec.document(program, words, options.flag("rootless")))
            new_file(absolute(name, bundle), name, (content,))
        else:
            _linux(made, options, bundle, name, words, finish)
    except BaseException:  # an interrupt, or no memory, as well: half a bundle is worth nothing
        made.undo()
        raise


def _warn(context: Context, document: "Json") -> None:
    """Tell of keys that --set may have misspelt: `create` has to pass over what it does not know."""
    from pyruntime.look.lint import schema

    for finding in schema.read(document):
        context.log.warning(f"spec --set: {finding.path}: {finding.problem}")


def _linux(
    made: Made, options: "Options", folder: str, name: str, words: "list[str]", finish: "Callable[[Json], bytes]"
) -> None:
    from pyruntime.cli import rootfiles, specparts

    found = document(options.flag("rootless"))
    layout, given = options.text("oci-layout"), options.text("rootfs")
    if given is not None:
        found["root"]["path"] = rootfiles.existing(absolute(given))
    made.folder(folder)
    if options.flag("busybox"):
        rootfiles.busybox(made, f"{folder}/rootfs")
    elif layout is not None:
        from pyruntime.cli import ocilayout

        made.tree(f"{folder}/rootfs")
        image = ocilayout.unpack(absolute(layout), f"{folder}/rootfs")
        ocilayout.settle(found, image, f"{folder}/rootfs")
    specparts.program(found, words)
    new_file(absolute(name, folder), name, (finish(found),))


def _text(document: "Json") -> bytes:
    return dumps(document, indent="\t").encode()
