"""`checkpoint`: refused, since it is not there. What runc checks before is checked: a mistake is named first."""

import posix as os

from pyruntime.cli.context import Context
from pyruntime.errors import Error, StateError, UsageError, explain_oserror
from pyruntime.state import life

_S_IFMT, _S_IFDIR, _ENOTDIR = 0o170000, 0o040000, 20


def run(context: Context) -> int:
    """checkpoint ID: raises Error."""
    container = context.load()
    status = life.status(container)
    if status in ("created", "stopped"):
        raise StateError(f"Container cannot be checkpointed in {status} state")
    parent = context.options.text("parent-path")
    if parent:
        _check_parent(context.options.text("image-path") or "", parent)
    raise Error(f"checkpoint is not supported yet; {context.id} was left as it is")


def _check_parent(images: str, parent: str) -> None:
    """An earlier dump is named from the folder of this one, which is where it will be looked for. Raises UsageError."""
    if parent.startswith("/"):
        raise UsageError("--parent-path must be relative: it is looked up from --image-path")
    path = f"{images}/{parent}"
    try:
        if os.stat(path).st_mode & _S_IFMT != _S_IFDIR:
            raise OSError(_ENOTDIR, os.strerror(_ENOTDIR), path)
    except OSError as error:
        raise UsageError(f"invalid --parent-path: {explain_oserror(error)}") from None
