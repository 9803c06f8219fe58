"""`check`: what is wrong with a bundle's configuration, or looks so."""

from pyruntime.cli.context import Context, write_out
from pyruntime.errors import UsageError
from pyruntime.look.lint import lint, show
from pyruntime.report.jsonout import dumps
from pyruntime.report.paint import Paint


def run(context: Context) -> int:
    """check [BUNDLE]."""
    options = context.options
    file, folder = options.text("config"), options.text("bundle")
    if sum((file is not None, folder is not None, bool(context.arguments))) > 1:
        raise UsageError("check: expected one of BUNDLE, --bundle and --config")
    if file is not None:
        report = lint.document(file)
    else:
        report = lint.bundle(context, folder or (context.arguments or ["."])[0])
    write_out(dumps(show.document(report), 2) + "\n" if options.flag("json") else show.text(report, Paint()))
    return show.status(report)
