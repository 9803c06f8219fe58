"""`explain`: the steps that would make a container, or one of them in full."""

from pyruntime.cli.context import Context, write_out
from pyruntime.look import lines, page
from pyruntime.look.explain import arguments, explain
from pyruntime.report.jsonout import dumps
from pyruntime.report.paint import Paint


def run(context: Context) -> int:
    """explain [BUNDLE] [STEP]."""
    options = context.options
    bundle, number = arguments(context.arguments, options.text("bundle"))
    explained = explain(context, bundle)
    if options.flag("json"):
        value = page.document(explained, number) if number is not None else lines.document(explained)
        write_out(dumps(value, 2) + "\n")
        return 0
    paint = Paint()
    if number is not None:
        write_out(page.page(explained, number, paint))
    elif options.flag("verbose"):
        write_out(lines.full(explained, paint))
    else:
        write_out(lines.listing(explained, paint))
    return 0
