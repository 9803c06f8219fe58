"""`doctor`: what this host has, and lacks, for what one wants to do."""

from pyruntime.cli.context import Context, write_out
from pyruntime.errors import UsageError
from pyruntime.look.doctor import show
from pyruntime.look.doctor.needs import PURPOSES, examine, status
from pyruntime.report.jsonout import dumps
from pyruntime.report.paint import Paint


def run(context: Context) -> int:
    """doctor [--for PURPOSE]."""
    options = context.options
    purpose = options.text("for") or ""
    if purpose not in PURPOSES:
        raise UsageError(f"doctor --for {purpose}: expected one of {', '.join(sorted(filter(None, PURPOSES)))}")
    verdicts = examine(purpose, options.text("bundle"))
    if options.flag("json"):
        write_out(dumps(show.document(verdicts, purpose), 2) + "\n")
    else:
        write_out(show.text(verdicts, purpose, Paint()))
    return status(verdicts)
