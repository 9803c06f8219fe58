"""`spec`: write a config.json to begin with."""

import posix as os

from pyruntime.cli.context import Context
from pyruntime.cli.defaultspec import document
from pyruntime.errors import Error, explain_oserror
from pyruntime.pathtext import absolute
from pyruntime.report.jsonout import dumps


def run(context: Context) -> int:
    """spec [--bundle DIR] [--file FILE] [--rootless]; FILE is relative to the bundle."""
    options = context.options
    name = options.text("file") or "config.json"
    text = dumps(document(options.flag("rootless")), indent="\t")
    _write(absolute(name, absolute(options.text("bundle") or ".")), name, text.encode())
    return 0


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
