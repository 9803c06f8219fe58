"""`inspect`: what a container, or any process, is confined by."""

import sys
import time

from pyruntime.cli.context import Context, write_out
from pyruntime.errors import Error, UsageError
from pyruntime.look.inspect import show, subject
from pyruntime.look.inspect.compare import compare
from pyruntime.report.jsonout import dumps
from pyruntime.report.paint import Paint
from pyruntime.state.ids import check_id

_CLEAR = "\x1b[H\x1b[2J"


def run(context: Context) -> int:
    """inspect ID | --pid PID."""
    if context.options.flag("watch"):
        return _watch(context)
    write_out(_page(context))
    return 0


def _watch(context: Context) -> int:
    """Show it again and again, until the process is gone."""
    pause = context.options.seconds("interval") or 1.0
    clear = _CLEAR if sys.stdout.isatty() and not context.options.flag("json") else ""
    write_out(clear + _page(context))
    while True:
        time.sleep(pause)
        try:
            page = _page(context)
        except Error as error:
            write_out(f"{error.text}\n")
            return 0
        write_out(clear + page)


def _page(context: Context) -> str:
    options = context.options
    found = _subject(context)
    against = options.text("against")
    if against is None:
        return dumps(found, 2) + "\n" if options.flag("json") else show.text(found, Paint())
    other = subject.of_host() if against == subject.HOST else subject.of_container(context.root, check_id(against))
    difference = compare(found, other)
    return dumps(difference, 2) + "\n" if options.flag("json") else show.comparison(difference, found, Paint())


def _subject(context: Context) -> subject.Json:
    pid = context.options.number("pid")
    if (pid is None) == (not context.arguments):
        raise UsageError("inspect: expected a container's ID or --pid PID, one of them")
    return subject.of_container(context.root, context.id) if pid is None else subject.of_pid(context.root, pid)
