"""`state`: what the container is doing, as JSON."""

from pyruntime.cli.context import Context, write_out
from pyruntime.report.jsonout import dumps
from pyruntime.state.life import view


def run(context: Context) -> int:
    """state ID."""
    write_out(dumps(view(context.load()), indent=2))
    return 0
