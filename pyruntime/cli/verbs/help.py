"""`help`: the texts of --help."""

import sys

from pyruntime.cli.context import Context, write_out
from pyruntime.cli.help import app_help, verb_help
from pyruntime.cli.options import VERBS
from pyruntime.errors import UsageError


def run(context: Context) -> int:
    """help [COMMAND]. Raises UsageError, with exit status 3, for a command that is not there."""
    prog = sys.argv[0].rpartition("/")[2]
    if not context.arguments:
        write_out(app_help(prog))
        return 0
    verb = context.arguments[0]
    if verb not in VERBS:
        raise UsageError(f"No help topic for {verb!a}: there is no such command; all of them: {prog} help", 3)
    write_out(verb_help(prog, verb))
    return 0
