"""`spec`: write a config.json to begin with, or with --wasm a whole bundle around a WebAssembly program."""

import posix as os

from pyruntime.cli.context import Context
from pyruntime.cli.defaultspec import document
from pyruntime.errors import Error, UsageError, explain_oserror
from pyruntime.pathtext import absolute
from pyruntime.report.jsonout import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyruntime.cli.defaultspec import Json


def run(context: Context) -> int:
    """spec [--bundle DIR] [--file FILE] [--rootless] [--wasm MODULE [ARGUMENT...]]; FILE is relative to the bundle."""
    options = context.options
    name = options.text("file") or "config.json"
    bundle = absolute(options.text("bundle") or ".")
    module = options.text("wasm")
    if module is not None:
        _wasm(absolute(module), bundle, name, context.arguments, options.flag("rootless"))
        return 0
    if context.arguments:
        raise UsageError('"spec" takes arguments after --wasm FILE only: those of the program')
    _write(absolute(name, bundle), name, _text(document(options.flag("rootless"))))
    return 0


def _wasm(module: str, folder: str, name: str, arguments: "list[str]", rootless: bool) -> None:
    """Make the bundle, whole or not at all. Raises Error."""
    from pyruntime.cli import wasmspec  # few callers want one

    bundle = wasmspec.Bundle(folder)
    try:
        program = bundle.place(module)
        _write(absolute(name, folder), name, _text(wasmspec.document(program, arguments, rootless)))
    except Error:
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
