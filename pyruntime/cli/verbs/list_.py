"""`list`: the containers below the state root."""

import posix as os

from pyruntime.cli.context import Context, complain, write_out
from pyruntime.errors import Error, UsageError
from pyruntime.report.jsonout import dumps
from pyruntime.report.table import columns
from pyruntime.state import life, store

HEADER = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
_KEYS = ("id", "pid", "status", "bundle", "created", "owner")


def run(context: Context) -> int:
    """list [--format table|json] [--quiet]. A container that can't be loaded is named on stderr and left out."""
    form = output_format(context)
    views = [view for name in context.ids() if (view := _view(context.root, name))]
    if context.options.flag("quiet"):
        write_out("".join(f"{view['id']}\n" for view in views))
    elif form == "json":
        write_out(dumps(views) + "\n")
    else:
        write_out(columns([HEADER, *([str(view[key]) for key in _KEYS] for view in views)]))
    return 0


def output_format(context: Context) -> str:
    """What --format asks for: `table` or `json`. Raises UsageError."""
    form = context.options.text("format") or "table"
    if form not in ("table", "json"):
        raise UsageError(f"invalid format option: {form!a}: expected table or json")
    return form


def _view(root: str, name: str) -> "dict[str, object] | None":
    try:
        container = store.load(root, name)
    except Error as error:
        complain(f"load container {name}: {error.text}")
        return None
    try:
        return {**life.view(container), "owner": _owner(os.fstat(container.dir_fd).st_uid)}
    finally:
        container.close()


def _owner(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
